/** What every command is given: a client, a place for results, a place for progress, and a way to ask. */
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { loadClientConfig } from '../config/client-settings';
import { CliError, EXIT, usageError } from './exit';
import { hasColour, type CliIo } from './io';
import { styleOf, type Style } from './output/table';
import { RestClient } from './rest/client';

export interface GlobalOptions {
  readonly output: 'table' | 'json';
  readonly url?: string;
  readonly keyFile?: string;
  readonly quiet?: true;
}

export class Context {
  readonly io: CliIo;
  readonly options: GlobalOptions;
  /** Of the standard output. */
  readonly style: Style;
  #client: RestClient | null = null;

  constructor(io: CliIo, options: GlobalOptions) {
    this.io = io;
    this.options = options;
    this.style = styleOf(hasColour(io.stdout, io.environment));
  }

  get isJson(): boolean {
    return this.options.output === 'json';
  }

  /** @throws ConfigError when the settings name no coordinator that can be called */
  get client(): RestClient {
    this.#client ??= new RestClient(loadClientConfig(this.io.environment, this.options));
    return this.#client;
  }

  /** The answer as it came, or what `asTable` makes of it. */
  print(raw: unknown, asTable: (style: Style) => string): void {
    this.io.stdout.write(this.isJson ? `${JSON.stringify(raw, null, 2)}\n` : asTable(this.style));
  }

  /** For a person only: `--quiet` keeps it back. */
  tell(line: string): void {
    if (this.options.quiet !== true) this.io.stderr.write(`${line}\n`);
  }

  /** Asks unless `isSure`. @throws CliError usage without a terminal to ask on; failed when the answer is no */
  async confirm(question: string, isSure: boolean | undefined): Promise<void> {
    if (isSure === true) return;
    const { stdin, stderr } = this.io;
    if (stdin.isTTY !== true || stderr.isTTY !== true) {
      throw usageError(`${question} Expected --yes, because there is no terminal to ask on: nothing was changed`);
    }
    const asking = createInterface({ input: stdin, output: stderr as NodeJS.WritableStream, terminal: true });
    const stop = new AbortController();
    asking.once('SIGINT', () => stop.abort());
    asking.once('close', () => stop.abort());
    try {
      const answer = await asking.question(`${question} [y/N] `, { signal: stop.signal });
      if (/^y(?:es)?$/i.test(answer.trim())) return;
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      stderr.write('\n');
    } finally {
      asking.close();
    }
    throw new CliError(EXIT.failed, 'nothing was changed');
  }
}

/** One command's work, which ends with its exit code. The service has codes of its own. */
export type Work = (context: Context) => Promise<number>;

/** Builds the context of a command from the options of its whole line, and remembers how it ended. */
export interface Runner {
  run(command: Command, work: Work): Promise<void>;
}
