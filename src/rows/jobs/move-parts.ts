import type { HeldRows, Priming } from '../owner-writer';
import type { Shards } from '../ports';
import type { Sessions } from '../sessions';

/** What every job works with. */
export interface MoveParts {
  readonly shards: Shards;
  readonly sessions: Sessions;
  readonly spoolFolder: string;
  readonly priming: Priming | null;
  /** Of all jobs of the worker. */
  readonly held: HeldRows;
}
