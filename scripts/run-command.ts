import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..');

export interface CommandResult {
  readonly isOk: boolean;
  readonly output: string;
  readonly seconds: number;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});
// Without this a SIGTERM would end this process without its exit handlers, and leave its children behind.
process.once('SIGTERM', () => process.exit(143));

/** Runs a program of node_modules/.bin in the project's root. With `isLive` its output goes to the terminal as it comes. */
export async function runCommand(command: readonly string[], isLive = false): Promise<CommandResult> {
  const [name = '', ...args] = command;
  const startedAtMs = Date.now();
  const child = spawn(join(ROOT, 'node_modules', '.bin', name), args, {
    cwd: ROOT,
    stdio: isLive ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
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
  running.delete(child);
  return { isOk, output: Buffer.concat(chunks).toString(), seconds: (Date.now() - startedAtMs) / 1_000 };
}
