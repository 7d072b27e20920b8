/** The built product as its users run it: `node dist/main.js …` as a child process, to be watched, killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { waitFor } from './wait-for';

const ROOT = join(__dirname, '../..');
export const MAIN = join(ROOT, 'dist', 'main.js');
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const LOG_LINES_MAX = 5_000;

export interface CoordinatorOptions {
  readonly role: 'serve' | 'api' | 'worker';
  /** All of its environment but PATH and HOME. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One line of its log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** Starts it and waits until it is ready: an API by what /readyz says, a worker by its log. */
export async function startCoordinator(options: CoordinatorOptions): Promise<CoordinatorProcess> {
  requireFreshBuild();
  const coordinator = new CoordinatorProcess(options);
  await coordinator.start();
  return coordinator;
}

export class CoordinatorProcess {
  /** The newest lines that it logged, over all its starts. */
  readonly log: LogLine[] = [];
  private readonly options: CoordinatorOptions;
  private child: ChildProcess | null = null;
  private exited: Promise<ExitStatus> = Promise.resolve({ code: null, signal: null });
  private address: string | null = null;
  private logLinesBefore = 0;

  constructor(options: CoordinatorOptions) {
    this.options = options;
  }

  /** Where its API listens. */
  get url(): string {
    if (this.address === null) throw new Error(`this ${this.options.role} has no API, or has not started yet`);
    return this.address;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  async start(): Promise<void> {
    this.spawn();
    const ended = this.exited.then(({ code, signal }) => {
      throw new Error(`it ended while starting (${signal ?? `exit code ${code}`}): ${this.logTail()}`);
    });
    const ready = this.options.role === 'worker' ? this.workerReady() : this.apiReady();
    try {
      await Promise.race([ready, ended]);
    } catch (error) {
      // The loser of the race goes on waiting for a process that is gone, and its failure is of no interest.
      ready.catch(() => undefined);
      await this.kill();
      throw error;
    }
    ended.catch(() => undefined);
  }

  /** Starts it without waiting for anything: for starts that are meant to fail. */
  spawn(): void {
    this.logLinesBefore = this.log.length;
    const { role, env, cwd = ROOT } = this.options;
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN, role], {
      cwd,
      env: { PATH, HOME, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.remember(line));
    }
    this.exited = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    const killWithTest = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithTest);
    void this.exited.then(() => process.off('exit', killWithTest));
  }

  private remember(line: string): void {
    let entry: LogLine;
    try {
      entry = JSON.parse(line) as LogLine;
    } catch {
      entry = { msg: line };
    }
    this.log.push(entry);
    if (this.log.length <= LOG_LINES_MAX) return;
    const surplus = this.log.length - LOG_LINES_MAX;
    this.log.splice(0, surplus);
    this.logLinesBefore = Math.max(0, this.logLinesBefore - surplus);
  }

  /** Waits for a line of this start whose message contains `part`. */
  async awaitLog(part: string, timeoutMs = READY_TIMEOUT_MS): Promise<LogLine> {
    const find = (): LogLine | undefined =>
      this.log.slice(this.logLinesBefore).find((line) => line.msg?.includes(part) === true);
    return waitFor(`the ${this.options.role} logs "${part}"`, find, timeoutMs);
  }

  private async apiReady(): Promise<void> {
    const { url } = await this.awaitLog('listening');
    if (typeof url !== 'string') throw new Error('the line "listening" carries no url');
    this.address = url;
    const isReady = async (): Promise<boolean> => (await fetch(`${url}/readyz`)).ok;
    await waitFor('GET /readyz is 200', isReady, READY_TIMEOUT_MS);
  }

  private async workerReady(): Promise<void> {
    await this.awaitLog('working');
  }

  /** SIGKILL, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.exited;
  }

  /** SIGTERM, and how it ended; SIGKILL when it does not end. */
  async stop(): Promise<ExitStatus> {
    this.child?.kill('SIGTERM');
    const timer = setTimeout(() => this.child?.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const status = await this.exited;
    clearTimeout(timer);
    return status;
  }

  /** How it ended, once it has. */
  ended(): Promise<ExitStatus> {
    return this.exited;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** The last lines that are no mere information. */
  warnings(): string {
    const isWarning = ({ level }: LogLine): boolean => ['warn', 'error', 'fatal'].includes(String(level));
    const lines = this.log.filter(isWarning).slice(-8);
    return lines.map((line) => JSON.stringify(line).slice(0, 1_500)).join('\n');
  }

  logTail(): string {
    const lines = this.log.slice(-20).map((line) => JSON.stringify(line));
    return lines.join('\n');
  }
}

/** A test of an old build would be a test of something else. */
export function requireFreshBuild(): void {
  const builtAtMs = modifiedAtMs(join(ROOT, 'dist', 'workflow-bundle.js'));
  const newestMs = Math.max(...sources(join(ROOT, 'src')).map(modifiedAtMs));
  if (builtAtMs >= newestMs) return;
  throw new Error(`dist is ${builtAtMs === 0 ? 'missing' : 'older than src'}: run npm run build first`);
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function modifiedAtMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
