/**
 * Finds a program that this project starts but does not ship. Where there is none, installs it once per user, into a
 * cache folder that outlives checkouts. The order is: what the operator names, PATH, the cache, the ways to install it.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** One way to get a program. `run` leaves its executable somewhere in `dir`, an empty folder, and returns the path. */
export interface Installation {
  /** For the error that names all ways: what a person needs to have or do. */
  readonly needs: string;
  /** Reported while it happens. */
  readonly announcement: string;
  readonly run: (dir: string, report: Report) => Promise<string>;
}

export interface Tool {
  /** The executable's name on PATH and in the cache. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** The environment variable that names its path. */
  readonly variable: string;
  readonly installations: readonly Installation[];
}

export type Report = (line: string) => void;
export type Environment = Readonly<Record<string, string | undefined>>;

/** The program is nowhere and cannot be installed. The message names every way to get it. */
export class ToolMissingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ToolMissingError';
  }
}

const LOCK_STALE_MS = 30_000;
const LOCK_TOUCH_MS = 5_000;
const LOCK_POLL_MS = 500;
const STILL_AT_IT_MS = 15_000;

/** @throws ToolMissingError */
export async function locateOrInstall(tool: Tool, options: { env: Environment; report: Report }): Promise<string> {
  const { env, report } = options;
  const found = await locate(tool, env);
  if (found !== null) return found;
  const cached = cachedPath(tool, env);
  await mkdir(cacheFolder(env), { recursive: true });
  return withLock(`${cached}.lock`, { tool, report }, async () => {
    // The previous holder of the lock may just have installed it.
    if (await isExecutable(cached)) return cached;
    return install(tool, cached, report);
  });
}

/** Where the program is, or null. Installs nothing. @throws ToolMissingError when its variable names something else */
export async function locate(tool: Tool, env: Environment): Promise<string | null> {
  const named = env[tool.variable]?.trim();
  if (named !== undefined && named !== '') {
    if (await isExecutable(named)) return named;
    throw new ToolMissingError(
      `${tool.variable} is set to ${named}, which is not an executable file: correct it or unset it`,
    );
  }
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of folders) {
    const candidate = join(folder, tool.name);
    if (await isExecutable(candidate)) return candidate;
  }
  const cached = cachedPath(tool, env);
  return (await isExecutable(cached)) ? cached : null;
}

function cacheFolder(env: Environment): string {
  const named = env['COORDINATOR_CACHE_DIR'];
  if (named !== undefined && named !== '') return join(named, 'bin');
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache'), 'quiver-coordinator', 'bin');
}

const cachedPath = (tool: Tool, env: Environment): string => join(cacheFolder(env), tool.name);

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** An installation is made in a folder of its own and renamed into place, so nobody sees half of one. */
async function install(tool: Tool, target: string, report: Report): Promise<string> {
  const failures: string[] = [];
  for (const installation of tool.installations) {
    const dir = `${target}.${randomUUID()}`;
    report(`${tool.title}: ${installation.announcement}`);
    try {
      await mkdir(dir);
      const built = await installation.run(dir, report);
      await chmod(built, 0o755);
      await rename(built, target);
      report(`${tool.title}: installed as ${target}`);
      return target;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      report(`${tool.title}: this failed (${reason})`);
      failures.push(`${installation.needs} (tried: ${reason})`);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }
  const ways = [`set ${tool.variable} to its path`, `put ${tool.name} on PATH`, ...failures];
  throw new ToolMissingError(`${tool.title} was not found. Do one of these: ${ways.join('; ')}`);
}

/**
 * Keeps two processes from installing the same at once. The holder touches its lock while it works, so the lock of a
 * killed holder goes stale. If two take a stale lock at the same moment, both install, which is wasteful and harmless.
 */
async function withLock<T>(path: string, about: { tool: Tool; report: Report }, work: () => Promise<T>): Promise<T> {
  const mine = randomUUID();
  for (let isTold = false; !(await tryLock(path, mine)); await delay(LOCK_POLL_MS)) {
    if (!isTold) about.report(`${about.tool.title}: waiting for another process that is installing it`);
    isTold = true;
  }
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, LOCK_TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touch);
    const holder = await readFile(path, 'utf8').catch(() => null);
    if (holder === mine) await rm(path, { force: true });
  }
}

async function tryLock(path: string, mine: string): Promise<boolean> {
  try {
    await writeFile(path, mine, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const age = await stat(path).then(
    (lock) => Date.now() - lock.mtimeMs,
    () => 0,
  );
  if (age > LOCK_STALE_MS) await rm(path, { force: true });
  return false;
}

export interface InstallCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly timeoutMs: number;
}

/**
 * Runs one installer to its end and reports that it is still running. When its time is up, kills it with all its
 * children.
 */
export async function runInstaller(options: InstallCommand, report: Report): Promise<void> {
  const { command, args, env, timeoutMs } = options;
  const startedAtMs = Date.now();
  const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let lastLine = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => (lastLine = chunk.trim().split('\n').at(-1)?.trim() || lastLine));
  const killAll = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  process.once('exit', killAll);
  const timer = setTimeout(killAll, timeoutMs);
  const still = setInterval(() => {
    const seconds = Math.round((Date.now() - startedAtMs) / 1000);
    report(`  … ${seconds} s${lastLine === '' ? '' : `: ${lastLine.slice(0, 100)}`}`);
  }, STILL_AT_IT_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        reject(error.code === 'ENOENT' ? new Error(`${command} is not installed`) : error);
      });
      child.once('close', (code, signal) => {
        if (code === 0) resolve();
        else if (Date.now() - startedAtMs >= timeoutMs) reject(new Error(`${command} took over ${timeoutMs / 1000} s`));
        else reject(new Error(`${command} ended with ${signal ?? `exit code ${code}`}: ${lastLine.slice(0, 300)}`));
      });
    });
  } finally {
    clearTimeout(timer);
    clearInterval(still);
    process.off('exit', killAll);
  }
}
