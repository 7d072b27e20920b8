import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..');

export interface CommandResult {
  readonly isOk: boolean;
  /** It went on after it was done. */
  readonly wasEnded: boolean;
  readonly output: string;
  readonly seconds: number;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});
// Without this a SIGTERM would end this process without its exit handlers, and leave its children behind.
process.once('SIGTERM', () => process.exit(143));

export interface CommandOptions {
  /** Its output goes to the terminal as it comes. */
  readonly isLive?: boolean;
  /** Looked for while the program runs: it is done when this file is there, and is ended when it goes on. */
  readonly doneFile?: string;
  /** How long it may go on after that. Default: 60 s. */
  readonly endWithinMs?: number;
}

const END_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 500;

/** Runs a program of node_modules/.bin in the project's root. One that had to be ended is not ok. */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { isLive = false, doneFile, endWithinMs = END_WITHIN_MS } = options;
  const [name = '', ...args] = command;
  const startedAtMs = Date.now();
  const child = spawn(join(ROOT, 'node_modules', '.bin', name), args, {
    cwd: ROOT,
    stdio: isLive ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let doneAtMs: number | null = null;
  let wasEnded = false;
  const looking = setInterval(() => {
    if (doneFile === undefined || !existsSync(doneFile)) return;
    doneAtMs ??= Date.now();
    if (Date.now() - doneAtMs > endWithinMs) wasEnded = child.kill('SIGTERM');
  }, LOOK_EVERY_MS);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const isOk = await new Promise<boolean>((resolve) => {
    child.once('error', (error) => {
      chunks.push(Buffer.from(error.message));
      resolve(false);
    });
    child.once('close', (code) => resolve(code === 0));
  });
  clearInterval(looking);
  running.delete(child);
  return { isOk, wasEnded, output: Buffer.concat(chunks).toString(), seconds: (Date.now() - startedAtMs) / 1_000 };
}
