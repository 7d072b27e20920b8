/**
 * Temporal's own server on PostgreSQL, as docker-compose.yml runs it but without an engine: its version, its environment and its steps for schema
 * and namespace are read from there. Programs that are missing are built with Go into the per-user cache.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { locateTemporalCli } from '../../../src/temporal/dev-server/temporal-cli';
import {
  locateOrInstall,
  runInstaller,
  type Environment,
  type Report,
  type Tool,
} from '../../../src/temporal/dev-server/tool-cache';
import { composeService } from '../compose';
import { freePort } from '../free-port';
import type { TemporalTarget } from '../temporal';
import { waitFor } from '../wait-for';
import { Postgres } from './postgres';

const DEPLOY = join(__dirname, '../../../deploy/temporal');
const HOST = '127.0.0.1';
const BUILD_TIMEOUT_MS = 3_600_000;
const STEP_TIMEOUT_MS = 180_000;
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;
const LOG_TAIL_CHARS = 1_000;

const run = promisify(execFile);

/** The version of the image that Compose runs. */
export const TEMPORAL_VERSION = composeService('temporal').image.split(':')[1] ?? '';

const SERVER = { program: 'temporal-server', variable: 'TEMPORAL_SERVER', command: 'cmd/server' } as const;
const SQL_TOOL = { program: 'temporal-sql-tool', variable: 'TEMPORAL_SQL_TOOL', command: 'cmd/tools/sql' } as const;

/** Its name has the version in it: another version in the cache or on PATH is another program. */
function tool({ program, variable, command }: typeof SERVER | typeof SQL_TOOL, env: Environment): Tool {
  const source = `go.temporal.io/server/${command}@v${TEMPORAL_VERSION}`;
  return {
    name: `${program}-${TEMPORAL_VERSION}`,
    title: `${program} ${TEMPORAL_VERSION}`,
    variable,
    installations: [
      {
        needs: `install a Go toolchain, so that go install ${source} can build it`,
        announcement: 'building it with go install (about 8 minutes on 2 cores for the first of both, once)',
        run: async (dir, report) => {
          const build = { command: 'go', args: ['install', source], env: { ...env, GOBIN: dir } };
          await runInstaller({ ...build, timeoutMs: BUILD_TIMEOUT_MS }, report);
          return join(dir, basename(command));
        },
      },
    ],
  };
}

/** Whether it can be had at all: both programs are named, or there is a Go that builds them. */
export function canHaveTemporalServer(): boolean {
  const isNamed = [SERVER, SQL_TOOL].every(({ variable }) => Boolean(process.env[variable]));
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return isNamed || folders.some((folder) => existsSync(join(folder, 'go')));
}

export class ProductionTemporal implements TemporalTarget {
  readonly namespace = composeService('temporal-namespace').environment?.['TEMPORAL_NAMESPACE'] ?? '';
  readonly postgres: Postgres;
  private readonly dir: string;
  private readonly ports: Ports;
  private child: ChildProcess | null = null;
  private exited: Promise<void> = Promise.resolve();

  private constructor(postgres: Postgres, dir: string, ports: Ports) {
    this.postgres = postgres;
    this.dir = dir;
    this.ports = ports;
  }

  /** PostgreSQL, both schemas, the server and the namespace, in the order in which Compose starts them. */
  static async start(): Promise<ProductionTemporal> {
    const dir = await mkdtemp(join(tmpdir(), 'production-temporal-'));
    await linkPrograms(dir);
    const { POSTGRES_USER: user = '', POSTGRES_PASSWORD: password = '' } =
      composeService('postgresql').environment ?? {};
    const postgres = await Postgres.start({ user, password });
    const temporal = new ProductionTemporal(postgres, dir, await freePorts());
    try {
      await temporal.setUpSchemas();
      await temporal.startServer();
      await temporal.createNamespace();
    } catch (error) {
      const tail = await temporal.logTail();
      await temporal.dispose();
      throw new Error(`Temporal on PostgreSQL did not start; the log of its server ends with: ${tail}`, {
        cause: error,
      });
    }
    return temporal;
  }

  get address(): string {
    return `${HOST}:${this.ports.frontend}`;
  }

  get isRunning(): boolean {
    return this.child !== null && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** By the script of Compose, which may be repeated. Returns what it printed. */
  setUpSchemas(): Promise<string> {
    const { host, port } = this.postgres.address;
    return this.runStep('temporal-schema', { SQL_HOST: host, SQL_PORT: port });
  }

  /** By the script of Compose, which may be repeated. Returns what it printed. */
  createNamespace(): Promise<string> {
    return this.runStep('temporal-namespace', { TEMPORAL_ADDRESS: this.address });
  }

  private async runStep(service: string, env: Record<string, string>): Promise<string> {
    const { entrypoint, environment } = composeService(service);
    const script = join(DEPLOY, basename(entrypoint?.[1] ?? ''));
    const options = { cwd: this.dir, env: this.environment({ ...environment, ...env }), timeout: STEP_TIMEOUT_MS };
    const { stdout, stderr } = await run('sh', [script], options);
    return `${stdout}${stderr}`;
  }

  private environment(env: Readonly<Record<string, string>>): Record<string, string> {
    const { PATH = '' } = process.env;
    return { PATH: [this.dir, PATH].join(delimiter), HOME: this.dir, ...env };
  }

  private async startServer(): Promise<void> {
    const { host, port } = this.postgres.address;
    const log = await open(this.log, 'a');
    const child = spawn(join(this.dir, SERVER.program), ['start'], {
      cwd: this.dir,
      stdio: ['ignore', log.fd, log.fd],
      env: this.environment({
        ...composeService('temporal').environment,
        ...portVariables(this.ports),
        POSTGRES_SEEDS: host,
        DB_PORT: port,
        BIND_ON_IP: HOST,
        DYNAMIC_CONFIG_FILE_PATH: join(DEPLOY, 'dynamic-config.yaml'),
        LOG_LEVEL: 'warn',
      }),
    });
    await log.close();
    this.child = child;
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
    const killWithTest = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithTest);
    void this.exited.then(() => process.off('exit', killWithTest));
    const isServing = (): Promise<unknown> =>
      run(join(this.dir, 'temporal'), ['operator', 'cluster', 'health', '--address', this.address]);
    await waitFor('Temporal answers', isServing, READY_TIMEOUT_MS);
  }

  private get log(): string {
    return join(this.dir, 'server.log');
  }

  async logTail(): Promise<string> {
    return (await readFile(this.log, 'utf8').catch(() => '')).slice(-LOG_TAIL_CHARS);
  }

  async dispose(): Promise<void> {
    this.child?.kill('SIGTERM');
    const timer = setTimeout(() => this.child?.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(timer);
    await this.postgres.dispose();
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Under the names by which the scripts call them. */
async function linkPrograms(dir: string): Promise<void> {
  const report: Report = (line) => void process.stderr.write(`${line}\n`);
  const { env } = process;
  await symlink(await locateTemporalCli({ report }), join(dir, 'temporal'));
  for (const each of [SERVER, SQL_TOOL]) {
    await symlink(await locateOrInstall(tool(each, env), { env, report }), join(dir, each.program));
  }
}

/** The server is four services in one process. Each has a port for calls, and the next one for finding the others. */
const SERVICES = ['frontend', 'history', 'matching', 'worker'] as const;
type Ports = Readonly<Record<(typeof SERVICES)[number] | 'http', number>>;

async function freePorts(): Promise<Ports> {
  const [frontend, history, matching, worker, http] = await Promise.all(
    Array.from({ length: SERVICES.length + 1 }, freePort),
  );
  return { frontend, history, matching, worker, http } as Ports;
}

function portVariables(ports: Ports): Record<string, string> {
  const pairs = SERVICES.flatMap((service) => [
    [`${service.toUpperCase()}_GRPC_PORT`, String(ports[service])],
    [`${service.toUpperCase()}_MEMBERSHIP_PORT`, String(ports[service] + 1)],
  ]);
  return { ...Object.fromEntries(pairs), FRONTEND_HTTP_PORT: String(ports.http) };
}
