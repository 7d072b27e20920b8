/** What a command touches of its process, so that a test can stand in for it. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export type ServiceRole = 'serve' | 'api' | 'worker';

/** The service in this process. Each resolves with its exit code when it has stopped. */
export interface Services {
  run(role: ServiceRole): Promise<number>;
  /** API, worker and a Temporal of its own. Tells by `onReady` when all of them work. */
  up(options: UpOptions): Promise<number>;
}

export interface UpOptions {
  /** The shards of a cluster that does not exist yet; empty: the settings name them, or the cluster exists. */
  readonly shardUrls: readonly string[];
  readonly onReady: (ready: UpReady) => void;
}

export interface UpReady {
  readonly url: string;
  readonly webUiUrl: string | null;
  /** What a command needs in its environment beside the URL: the file of a key that was made, or words on where the key is. */
  readonly key: { readonly kind: 'file'; readonly path: string } | { readonly kind: 'configured' | 'none' };
}

export interface CliIo {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Results only. */
  readonly stdout: Output;
  /** Progress, questions, errors. */
  readonly stderr: Output;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined };
  /** Calls `handler` on Ctrl-C instead of ending the process, until the returned function is called. */
  readonly onInterrupt: (handler: () => void) => () => void;
  readonly version: string;
  readonly services: Services;
  readonly nowMs: () => number;
}

/** No colour without a terminal, with NO_COLOR (no-color.org: set and not empty), or on a terminal that knows none. */
export function hasColour(output: Output, environment: CliIo['environment']): boolean {
  return output.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
}
