import type { Attention } from './attention';
import type { OperationEnd, OperationKind } from './cluster-state';
import type { Findings } from './findings';
import type { Pause } from './pause';
import type { Slowed } from './slowed';
import type { WorkLimits } from './work-limits';

/**
 * The phases of all operations. The order in which an operation runs through them is its script (workflows/grow.ts, drain.ts, repair.ts).
 * `undo` and `take-over`, the first phase of a recovery, stand in no script.
 */
export type Phase =
  | 'preflight'
  | 'prepare'
  | 'announce'
  | 'await-routers'
  | 'copy'
  | 'warm-up'
  | 'reconcile'
  | 'promote'
  | 'remove'
  | 'await-routers-after'
  | 'await-index'
  | 'drop'
  | 'confirm'
  | 'empty'
  | 'collections'
  | 'compare'
  | 'undo'
  | 'take-over';

/** INV-9: what an operation waits for, since when, and what ends the wait. Holds no point data and no secret. */
export interface Waiting {
  readonly reason: string;
  readonly sinceMs: number;
  readonly endsWhen: string;
}

export interface PhaseProgress {
  readonly phase: Phase;
  readonly startedAtMs: number;
  /** Null while the phase runs. */
  readonly endedAtMs: number | null;
  /** One short line: what was found or done. */
  readonly note: string;
}

/**
 * The facts by which an operation is watched, the same everywhere: workflow query, REST, terminal, Web UI.
 * Points are points of the slice that moves; bytes are bytes of their JSON.
 */
export interface OperationProgress {
  readonly operationId: string;
  readonly kind: OperationKind;
  readonly status: 'running' | OperationEnd;
  readonly shardIds: readonly number[];
  readonly phase: Phase;
  readonly phases: readonly PhaseProgress[];
  readonly pointsDone: number;
  /** Estimated from the donors' counts until the copy is done. */
  readonly pointsExpected: number;
  readonly bytesDone: number;
  readonly bytesExpected: number;
  /** Points per second over the phase that runs, 0 when it moves none. */
  readonly ratePerSecond: number;
  /** Null when it is not known. */
  readonly etaSeconds: number | null;
  readonly waiting: Waiting | null;
  /** Attempts of steps that failed and were tried again. */
  readonly failedAttempts: number;
  readonly cancelRequested: boolean;
  /** True as soon as the flip was asked for: from then on the operation only goes forward. */
  readonly pointOfNoReturnPassed: boolean;
  readonly next: string;
  readonly startedAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs: number | null;
  readonly outcome: OperationOutcome | null;
  /** Where the rows of each shard were read from. Absent until one was read. */
  readonly sources?: readonly SourceProgress[];
  /** How many more shards are read, which `sources` does not name. */
  readonly sourcesLeftOut?: number;
  /** Of a check or a repair, growing while it reads; null in every other operation. */
  readonly findings: Findings | null;
  /** Absent: it is not paused. It may be over already. */
  readonly pause?: Pause;
  /** How fast it may work, its own limits and those of the cluster together. Absent: nothing limits it. */
  readonly limits?: WorkLimits;
  /** What slows it down just now. Absent: nothing does. At most SLOWED_SHOWN_MAX. */
  readonly slowed?: readonly Slowed[];
}

/** How one shard is read. */
export interface SourceProgress {
  readonly shardId: number;
  readonly source: 'follower' | 'primary' | 'pages';
  readonly url: string;
  /** Why no better source was taken. */
  readonly reason: string;
  readonly scans: number;
  readonly rowsRead: number;
  readonly rowsPerSecond: number;
  /** How long the shard that was read stood still for each scan. The newest ones. */
  readonly stopsMs: readonly number[];
  /** Made before anything was announced. */
  readonly estimate?: SourceEstimate;
}

/** What reading one shard will cost. */
export interface SourceEstimate {
  readonly rows: number;
  readonly bytes: number;
  readonly scans: number;
  /** Rows that will be asked for by id. */
  readonly questions: number;
  /** How long the shard's clients stand still for each scan. */
  readonly stopMs: number;
  /** What the shard itself needs in memory for a scan. */
  readonly memoryBytes: number;
}

/** What came of an operation. */
export interface OperationOutcome {
  readonly message: string;
  /** Points that the joiner took over, counted by the last reconcile pass. */
  readonly pointsMoved: number;
  /** Points dropped, by donor id. */
  readonly droppedByDonor: Readonly<Record<string, number>>;
  /** INV-5: points left on a donor because their owner neither holds them nor is known to have deleted them. */
  readonly pointsKept: number;
  /** What it leaves to a person. Absent: nothing. */
  readonly attention?: readonly Attention[];
  readonly durationMs: number;
}

/** How far a long step has come. Sent by its activity, ever more rarely, so that a history does not grow with points. */
export interface StepProgress {
  readonly shardId: number | null;
  readonly points: number;
  readonly bytes: number;
  readonly rowsRead: number;
  readonly expected: number;
  /** What slows it down. Absent: nothing does. */
  readonly slowed?: readonly Slowed[];
}
