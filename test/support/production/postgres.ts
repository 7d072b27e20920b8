/** A PostgreSQL server of one's own, of the programs that the machine has: Debian's packages first, then PATH. */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../free-port';
import { waitFor } from '../wait-for';

const DEBIAN = '/usr/lib/postgresql';
const HOST = '127.0.0.1';
const SUPERUSER = 'postgres';
const SETUP_TIMEOUT_MS = 60_000;
const READY_TIMEOUT_MS = 60_000;
const LOG_TAIL_CHARS = 2_000;

const run = promisify(execFile);

/** The folder with the programs of the newest version, or null. */
export function postgresPrograms(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(DEBIAN, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  ];
  const isWhole = (folder: string): boolean =>
    ['initdb', 'postgres', 'pg_ctl', 'pg_isready', 'psql'].every((name) => existsSync(join(folder, name)));
  return folders.find(isWhole) ?? null;
}

export interface PostgresLogin {
  readonly user: string;
  readonly password: string;
}

/** Empty: the programs run as whoever runs the tests. */
interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

export class Postgres {
  private readonly programs: string;
  private readonly dir: string;
  private readonly port: number;
  private readonly account: Account;
  private child: ChildProcess | null = null;
  private exited: Promise<void> = Promise.resolve();

  private constructor(programs: string, dir: string, port: number, account: Account) {
    this.programs = programs;
    this.dir = dir;
    this.port = port;
    this.account = account;
  }

  /** Without databases. The role of `login` may create them, as the install guide has it. */
  static async start(login: PostgresLogin): Promise<Postgres> {
    const programs = postgresPrograms();
    if (programs === null) throw new Error(`expected PostgreSQL in ${DEBIAN} or on PATH, found none: install it`);
    const account = ownAccount();
    const dir = await mkdtemp(join(tmpdir(), 'postgres-'));
    const postgres = new Postgres(programs, dir, await freePort(), account);
    try {
      await postgres.initialise();
      await postgres.start();
      await postgres.createRole(login);
    } catch (error) {
      await postgres.dispose();
      throw error;
    }
    return postgres;
  }

  /** As the environment of a client has it. */
  get address(): { readonly host: string; readonly port: string } {
    return { host: HOST, port: String(this.port) };
  }

  private get data(): string {
    return join(this.dir, 'data');
  }

  private get log(): string {
    return join(this.dir, 'postgres.log');
  }

  private async initialise(): Promise<void> {
    const { uid, gid } = this.account;
    if (uid !== undefined && gid !== undefined) await chown(this.dir, uid, gid);
    const auth = ['--auth-local', 'trust', '--auth-host', 'scram-sha-256'];
    const options = ['--username', SUPERUSER, '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-sync'];
    await this.call('initdb', ['--pgdata', this.data, ...options, ...auth]);
  }

  /** A role that may log in and create databases, and nothing else. */
  private async createRole({ user, password }: PostgresLogin): Promise<void> {
    const script = join(this.dir, 'role.sql');
    await writeFile(script, `CREATE ROLE :"user" LOGIN CREATEDB PASSWORD :'password';`);
    const variables = ['--set', `user=${user}`, '--set', `password=${password}`, '--set', 'ON_ERROR_STOP=1'];
    const server = ['--host', this.dir, '--port', String(this.port), '--username', SUPERUSER, '--dbname', 'postgres'];
    await this.call('psql', [...server, ...variables, '--file', script]);
  }

  /** Starts, or starts again on the same port and data, and waits until it takes connections. */
  async start(): Promise<void> {
    const log = await open(this.log, 'a');
    // Its processes crash here, the machine never does: what they have written the system keeps.
    const args = ['-D', this.data, '-h', HOST, '-p', String(this.port), '-k', this.dir, '-c', 'fsync=off'];
    const child = spawn(join(this.programs, 'postgres'), args, {
      cwd: this.dir,
      stdio: ['ignore', log.fd, log.fd],
      ...this.account,
    });
    await log.close();
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
    // Its own name for an immediate stop: after a SIGKILL its children would live on for a moment.
    const stopWithTest = (): void => void child.kill('SIGQUIT');
    process.once('exit', stopWithTest);
    void this.exited.then(() => process.off('exit', stopWithTest));
    const isReady = (): Promise<unknown> => this.call('pg_isready', ['-h', HOST, '-p', String(this.port)]);
    await waitFor('PostgreSQL takes connections', isReady, READY_TIMEOUT_MS).catch(async (error: unknown) => {
      throw new Error(`PostgreSQL did not start; its log ends with: ${(await this.readLog()).slice(-LOG_TAIL_CHARS)}`, {
        cause: error,
      });
    });
  }

  /** No checkpoint and no goodbye: what was committed is found again in the write-ahead log. */
  async stopImmediately(): Promise<void> {
    await this.call('pg_ctl', ['stop', '-D', this.data, '-m', 'immediate', '-w']);
    await this.exited;
  }

  async dispose(): Promise<void> {
    this.child?.kill('SIGQUIT');
    await this.exited;
    await rm(this.dir, { recursive: true, force: true });
  }

  /** All that it logged, over all its starts. */
  readLog(): Promise<string> {
    return readFile(this.log, 'utf8');
  }

  private call(program: string, args: readonly string[]): Promise<unknown> {
    const options = { cwd: this.dir, timeout: SETUP_TIMEOUT_MS, ...this.account };
    return run(join(this.programs, program), args, options);
  }
}

/** PostgreSQL refuses to run as root, so that root runs it as `postgres`, the user of Debian's package. */
function ownAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const idOf = (option: string): number => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}
