/** The command line in this process, with outputs that are collected. */
import { PassThrough } from 'node:stream';
import { runCli } from '../../src/cli/program';
import type { CliIo, Services } from '../../src/cli/io';

export interface CliOptions {
  readonly url?: string;
  readonly key?: string | null;
  readonly environment?: Readonly<Record<string, string>>;
  /** Both outputs and the input are terminals. */
  readonly isTerminal?: boolean;
  /** What a person types. */
  readonly typed?: string;
  readonly services?: Partial<Services>;
}

export class CliRun {
  readonly ended: Promise<number>;
  stdout = '';
  stderr = '';
  #interrupt: (() => void) | null = null;

  constructor(words: readonly string[], options: CliOptions = {}) {
    const { url, key = 'key-of-admin', environment = {}, isTerminal = false, typed, services = {} } = options;
    const stdin = Object.assign(new PassThrough(), { isTTY: isTerminal });
    if (typed !== undefined) stdin.end(typed);
    const output = (add: (text: string) => void) => {
      const stream = new PassThrough();
      stream.on('data', (chunk: Buffer) => add(chunk.toString()));
      return Object.assign(stream, { isTTY: isTerminal, columns: 80 });
    };
    const io: CliIo = {
      environment: {
        ...(url === undefined ? {} : { COORDINATOR_URL: url }),
        ...(key === null ? {} : { COORDINATOR_KEY: key }),
        ...environment,
      },
      stdout: output((text) => (this.stdout += text)),
      stderr: output((text) => (this.stderr += text)),
      stdin,
      onInterrupt: (handler) => {
        this.#interrupt = handler;
        return () => (this.#interrupt = null);
      },
      version: '1.2.3',
      services: {
        run: () => Promise.reject(new Error('this test runs no service')),
        up: () => Promise.reject(new Error('this test runs no service')),
        ...services,
      },
      nowMs: Date.now,
    };
    this.ended = runCli(words, io);
  }

  get canBeInterrupted(): boolean {
    return this.#interrupt !== null;
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#interrupt?.();
  }
}

/** Runs to the end. */
export async function cli(
  words: readonly string[],
  options: CliOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const run = new CliRun(words, options);
  const code = await run.ended;
  // What was written last is still under way in the streams.
  await new Promise((resolve) => setImmediate(resolve));
  return { code, stdout: run.stdout, stderr: run.stderr };
}
