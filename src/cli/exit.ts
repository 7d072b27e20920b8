/** How a command ends. Scripts rely on these numbers: a new one is an addition, never another meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** The command line, a setting, or a request that can never succeed. */
  usage: 2,
  /** No coordinator answers there, or it cannot reach its Temporal or cluster. */
  unreachable: 3,
  /** The state of the cluster stands against it. */
  conflict: 4,
  /** The command ended before the operation did. */
  running: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that ends otherwise than done. The message says what was expected, what was seen and what to do. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

export const usageError = (message: string): CliError => new CliError(EXIT.usage, message);
