/**
 * The embedded Temporal: a dev server with a database file, as a child process. When it is killed it loses nothing that
 * it had acknowledged. Its caller decides whether to start it again on the same file.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';

export interface DevServerOptions {
  /** Path of the Temporal CLI (see temporal-cli.ts). */
  readonly cli: string;
  /** Null keeps everything in memory. */
  readonly dbFile: string | null;
  /** Port of the gRPC frontend, on 127.0.0.1. 0 takes a free one. */
  readonly port: number;
  /** Port of the Web UI. 0 takes a free one; null runs without it. */
  readonly uiPort: number | null;
  readonly namespace: string;
  /** Where the server's own warnings go, appended. Default: beside the database, or nowhere without one. */
  readonly logFile?: string;
  /** Registered at the start, name to type (Keyword, Int, …). */
  readonly searchAttributes?: Readonly<Record<string, string>>;
  readonly readyTimeoutMs?: number;
}

export interface DevServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface DevServer {
  /** host:port, as TEMPORAL_ADDRESS takes it. */
  readonly address: string;
  readonly uiUrl: string | null;
  readonly pid: number;
  readonly exited: Promise<DevServerExit>;
  /** SIGTERM, and SIGKILL when that takes too long. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): void;
}

/** The server cannot be started; the message says why and what to do. */
export class DevServerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DevServerError';
  }
}

const HOST = '127.0.0.1';
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
/** The watchdog of a killed process is ending its server: that server gets this long. */
const PREDECESSOR_TIMEOUT_MS = 5_000;
const POLL_MS = 100;
const LOG_TAIL_BYTES = 2_000;

/** Without these two a lone workflow is held to some 20 steps a second. */
const DYNAMIC_CONFIG = ['history.transferProcessorMaxPollRPS=2000', 'history.timerProcessorMaxPollRPS=2000'];

/** Answers when the namespace can be used. @throws DevServerError */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { dbFile, namespace } = options;
  const logFile = options.logFile ?? (dbFile === null ? null : `${dbFile}.log`);
  if (dbFile !== null) await mkdir(dirname(dbFile), { recursive: true });
  if (dbFile !== null) await awaitPredecessor(dbFile);
  const port = await freePort(options.port, 'gRPC');
  const uiPort = options.uiPort === null ? null : await freePort(options.uiPort, 'Web UI');

  const child = await launch(options.cli, serverArgs(options, port, uiPort), logFile);
  const pid = child.pid;
  if (pid === undefined) throw new DevServerError(`${options.cli} could not be started`);
  const exited = new Promise<DevServerExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  endWithParent(pid, exited);
  if (dbFile !== null) await rememberPid(dbFile, pid, exited);

  const server: DevServer = {
    address: `${HOST}:${port}`,
    uiUrl: uiPort === null ? null : `http://${HOST}:${uiPort}`,
    pid,
    exited,
    stop: () => stop(child, exited),
    kill: () => void child.kill('SIGKILL'),
  };
  try {
    await awaitReady(server, namespace, options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  } catch (error) {
    server.kill();
    await exited;
    const tail = logFile === null ? '' : await readTail(logFile);
    throw new DevServerError(`${(error as Error).message}${tail === '' ? '' : `; its log ends with: ${tail}`}`, {
      cause: error,
    });
  }
  return server;
}

function serverArgs(options: DevServerOptions, port: number, uiPort: number | null): string[] {
  const { dbFile, namespace, searchAttributes = {} } = options;
  const args = ['server', 'start-dev', '--ip', HOST, '--port', String(port), '--namespace', namespace];
  args.push('--log-level', 'error');
  args.push(...(uiPort === null ? ['--headless'] : ['--ui-ip', HOST, '--ui-port', String(uiPort)]));
  if (dbFile !== null) args.push('--db-filename', dbFile);
  for (const value of DYNAMIC_CONFIG) args.push('--dynamic-config-value', value);
  for (const [name, type] of Object.entries(searchAttributes)) args.push('--search-attribute', `${name}=${type}`);
  return args;
}

/** In a session of its own, so that Ctrl-C reaches the parent first. The parent then stops both in order. */
async function launch(cli: string, args: readonly string[], logFile: string | null): Promise<ChildProcess> {
  const log = logFile === null ? null : await open(logFile, 'a');
  const output = log === null ? 'ignore' : log.fd;
  const child = spawn(cli, args, { stdio: ['ignore', output, output], detached: true });
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(new DevServerError(`${cli} could not be started`, { cause: error })));
    });
  } finally {
    await log?.close();
  }
  return child;
}

/**
 * However this process ends, SIGKILL included, the server ends with it. A shell holds the other end of a pipe, reads
 * until it closes, and then kills the server.
 */
function endWithParent(pid: number, exited: Promise<DevServerExit>): void {
  const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$0" 2>/dev/null', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  (watchdog.stdin as { unref?: () => void } | null)?.unref?.();
  void exited.then(() => watchdog.kill('SIGKILL'));
}

// ---- One server per database file ----

interface PidFile {
  readonly pid: number;
}

async function rememberPid(dbFile: string, pid: number, exited: Promise<DevServerExit>): Promise<void> {
  const path = `${dbFile}.pid`;
  await writeFile(path, JSON.stringify({ pid } satisfies PidFile));
  void exited.then(() => rm(path, { force: true })).catch(() => undefined);
}

/**
 * Two servers on one file would spoil it. The server that a killed process left behind is about to end; any other one
 * is an error.
 */
async function awaitPredecessor(dbFile: string): Promise<void> {
  const untilMs = Date.now() + PREDECESSOR_TIMEOUT_MS;
  for (;;) {
    const pid = await readPid(dbFile);
    if (pid === null || !(await isServerOn(pid, dbFile))) return;
    if (Date.now() > untilMs) {
      throw new DevServerError(
        `a Temporal server (process ${pid}) already runs on ${dbFile}: stop it, or set TEMPORAL_ADDRESS to use it`,
      );
    }
    await delay(POLL_MS);
  }
}

async function readPid(dbFile: string): Promise<number | null> {
  try {
    const { pid } = JSON.parse(await readFile(`${dbFile}.pid`, 'utf8')) as PidFile;
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

/** Another program may have got the process id since. */
async function isServerOn(pid: number, dbFile: string): Promise<boolean> {
  if (process.platform === 'linux') {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return line.includes(dbFile);
  }
  const ps = spawn('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'] });
  let line = '';
  ps.stdout.setEncoding('utf8').on('data', (chunk: string) => (line += chunk));
  await new Promise<void>((resolve) => ps.once('close', () => resolve()).once('error', () => resolve()));
  return line.includes(dbFile);
}

// ---- Start and stop ----

async function freePort(port: number, purpose: string): Promise<number> {
  const probe = createServer();
  return new Promise((resolve, reject) => {
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be used (${error.code ?? error.message})`;
      reject(new DevServerError(`port ${port} for Temporal's ${purpose} ${why}: free it or choose another one`));
    });
    probe.listen(port, HOST, () => {
      const { port: taken } = probe.address() as AddressInfo;
      probe.close(() => resolve(taken));
    });
  });
}

async function awaitReady(server: DevServer, namespace: string, timeoutMs: number): Promise<void> {
  const untilMs = Date.now() + timeoutMs;
  const exit: { how?: DevServerExit } = {};
  void server.exited.then((how) => Object.assign(exit, { how }));
  const connection = Connection.lazy({ address: server.address });
  try {
    for (let lastError: unknown = null; ; await delay(POLL_MS)) {
      if (exit.how !== undefined) throw new DevServerError(`Temporal ended while starting (${describe(exit.how)})`);
      if (Date.now() > untilMs) {
        throw new DevServerError(`Temporal was not ready within ${timeoutMs} ms`, { cause: lastError });
      }
      try {
        await connection.withDeadline(Date.now() + 1_000, () =>
          connection.workflowService.describeNamespace({ namespace }),
        );
        return;
      } catch (error) {
        lastError = error;
      }
    }
  } finally {
    await connection.close();
  }
}

const describe = ({ code, signal }: DevServerExit): string => signal ?? `exit code ${code}`;

async function stop(child: ChildProcess, exited: Promise<DevServerExit>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

async function readTail(logFile: string): Promise<string> {
  const text = await readFile(logFile, 'utf8').catch(() => '');
  return text.slice(-LOG_TAIL_BYTES).trim();
}
