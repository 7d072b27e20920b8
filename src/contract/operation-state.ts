/** What an operation carries through continue-as-new: one plain-JSON object, all of it. */
import type { AnnouncedAnswer, Refusal } from './requests';
import type { StepProgress } from '../domain/progress';
import type { InspectedCollection } from './repair';
import type { Move, PreflightReport } from './move';
import type { LockingKind, LockStage, OperationKind } from '../domain/cluster-state';
import type { DomainErrorCode } from '../domain/errors';
import type { Holder, Mended, PassFindings } from '../domain/findings';
import type { OperationProgress, Phase } from '../domain/progress';
import type { Shard } from '../domain/shard-map';
import type { ClusterLimits, WorkLimits } from '../domain/work-limits';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface OperationState {
  progress: Mutable<OperationProgress>;
  /** Phases that are over; a run that continues as new does not enter them again. */
  completed: Phase[];
  announced: AnnouncedAnswer | null;
  /** Why the operation was refused before anything was announced. */
  refusal: Refusal | null;
  /** Who or what asked for the undo, in the words of the request. Null for a cancel from the Web UI. */
  cancelReason: string | null;
  /** How its shards know it. Null until it has begun, and in an operation that release 0.2 began. */
  identity: OperationIdentity | null;
  preflight: PreflightReport | null;
  /** The operation's own shards, numbered. */
  shards: readonly Shard[];
  /** Null until announced. Placement as before the flip, to the end. */
  move: Move | null;
  mapVersion: number;
  /** Where the cluster's lock, as far as this operation knows, stands; null while, or where, it holds none. */
  lockStage: LockStage | null;
  /** The change has been in the map: routers may have written to both sides of it. Known for sure once it was withdrawn. */
  wasAnnounced: boolean;
  /** When every router was known (or, after the grace, taken) to hold the version that announced or flipped. */
  routersAdoptedAtMs: number;
  /** Until then a write of an attempt that is over may still reach a shard. */
  lateWritesUntilMs: number;
  /** By shard id: where the caller wants its rows to be read from. */
  sources: Readonly<Record<string, string>> | null;
  /** By worker: how far its clock is off, ahead above 0, and whether the cluster was told. */
  clockSkews: Readonly<Record<string, { readonly skewMs: number; readonly isNoticed: boolean } | undefined>>;
  copy: CopyState | null;
  /** When the copy last wrote. A client's write may have been half-way then: the copy may have undone its first half. */
  copiedAtMs: number;
  /** By shard id: where the work on each donor stands. */
  donors: Record<string, DonorState | undefined>;
  /** How often collections of the receivers were replaced, because clients had created them anew. */
  replacements: number;
  watch: WatchState | null;
  /** How many entries the cluster's list of routers has, as it told last. Absent: it never told, so the settings count. */
  routerEntries?: number;
  /** By shard id: how far the steps of this phase that run have come. */
  steps: Readonly<Record<string, StepProgress>>;
  /** Since the flip a router was not watched: it may have written by an old map. No later reading of the watch ends that. */
  isWatchBroken: boolean;
  passes: number;
  /** INV-5: collections that the clean pass compared. */
  provenCollections: readonly string[];
  droppedByDonor: Record<string, number>;
  /** INV-5: points that stay on a donor, because their owner neither holds them nor is known to have deleted them. */
  pointsKept: number;
  /** Of a check or a repair. */
  repair: RepairState | null;
  /** What emptying the leaver came to. From then on it may have lost its mark, so it is not looked at again. */
  emptied: string | null;
  /** Why a leaver was abandoned before it was empty. */
  notEmptied: string | null;
  /** Not null since its undo has begun. A later run goes on with it. */
  undoing: UndoState | null;
  /** Of a recovery: what it took over. */
  recovers: { readonly operationId: string; readonly kind: LockingKind; readonly stage: LockStage } | null;
  /** How fast it may work, and when: its own limits, and what the cluster says. Absent: nothing was ever said. */
  limits?: { readonly own: Partial<WorkLimits>; readonly cluster: ClusterLimits | null };
  /** It stood still since its last clean pass, so another one comes before the flip. */
  isProofStale?: true;
}

/** Where an undo stands. Every part of it is harmless to repeat, but what it left to a person is said once. */
export interface UndoState {
  /** What is undone, and why. */
  readonly isCancelled: boolean;
  readonly type: DomainErrorCode;
  readonly message: string;
  /** The undos that were tried, by what they do; and the shards that the present one has cleaned. */
  tried: string[];
  cleaned: number[];
  pointsKept: number;
  /** What a person has to do. */
  left: string[];
  /** False: the lock must be kept. */
  isUndone: boolean;
}

export interface OperationIdentity {
  readonly clusterUid: string;
  /** What every participant shows since the beginning, or a later one (confirmIdentity). */
  readonly epoch: number;
  /** The operation that claimed the joiners: this one, or the one that it recovers. */
  readonly claimedBy: string;
  /** A joiner may bear its claim. */
  readonly mayHaveClaimed: boolean;
}

/** What the copy was planned with. */
export interface CopyState {
  readonly collections: readonly string[];
  readonly rowsExpected: number;
}

/** What is known of one donor, and which worker keeps the rest. */
export interface DonorState {
  /** The task queue of the worker that has read it; null where workers have none of their own, or none has. */
  worker: string | null;
  /** How often its copy was begun. */
  tries: number;
  isCopied: boolean;
  pointsCopied: number;
  bytesCopied: number;
  /** Points and bytes that the last pass compared. */
  pointsCompared: number;
  bytesCompared: number;
  /** A pass must read the donor again first: rows may be on it alone, or no worker knows any more what was copied. */
  needsCut: boolean;
  /** A pass must read the receivers too: rows may lie there that no worker knows of. */
  mustScanReceivers: boolean;
  isTailKept: boolean;
  /** What arrived after the flip was looked at as it came. */
  isFollowed: boolean;
  pointsKept: number;
}

/** The watch over the routers: INV-4 rests on it. */
export interface WatchState {
  readonly watchId: string;
  readonly worker: string | null;
  /** By the watch's own clock. What was read from a donor was read after it. */
  sinceMs: number;
  /** What the processes of the routers were marked with when the watch was opened. */
  readonly mark: string;
  /** What is watched, where it is not the list of the settings. */
  readonly routerUrls?: readonly string[];
}

/** Where a check or a repair stands: the pass that runs, and what came of those before. */
export interface RepairState {
  /** Counted from 1. */
  readonly pass: number;
  readonly collections: readonly InspectedCollection[];
  /** What this pass has found, and what of that it has left as it is. */
  found: PassFindings;
  left: PassFindings;
  rowsRead: number;
  readonly rowsReadBefore: number;
  /** Points and collections that this pass wrote or removed. A repair ends behind a pass with 0. */
  written: number;
  /** What the first pass has found. */
  first: PassFindings | null;
  /** Over all passes. */
  mended: Mended;
  removedByHolder: Readonly<Record<Holder, number>>;
}

/** A state as release 0.2 wrote it. A recovery may find it in an operation that began under that release. */
interface StateOf02 {
  readonly proven?: readonly string[];
  readonly dropped?: Record<string, number>;
  readonly kept?: number;
  readonly copy: {
    readonly collections: readonly (string | { readonly name: string })[];
    readonly rowsExpected: number;
  } | null;
}

/** Reads a state that an earlier run has carried over, or that an operation told its recovery, of this release or of 0.2. */
export function readCarried(carried: OperationState): OperationState {
  const {
    proven = [],
    dropped = {},
    kept = 0,
    copy,
    ...rest
  } = carried as StateOf02 & Omit<OperationState, 'copy'> & { progress: OperationState['progress'] };
  const { kind, operationId, startedAtMs } = rest.progress;
  const names = copy?.collections.map((each) => (typeof each === 'string' ? each : each.name)) ?? [];
  return {
    ...newOperationState(kind, operationId, startedAtMs),
    ...{ provenCollections: proven, droppedByDonor: dropped, pointsKept: kept },
    ...rest,
    copy: copy == null ? null : { collections: names, rowsExpected: copy.rowsExpected },
  };
}

export function newOperationState(kind: OperationKind, operationId: string, nowMs: number): OperationState {
  return {
    progress: {
      operationId,
      kind,
      status: 'running',
      shardIds: [],
      phase: 'preflight',
      phases: [],
      pointsDone: 0,
      pointsExpected: 0,
      bytesDone: 0,
      bytesExpected: 0,
      ratePerSecond: 0,
      etaSeconds: null,
      waiting: null,
      failedAttempts: 0,
      cancelRequested: false,
      pointOfNoReturnPassed: false,
      next: 'look at everything that takes part',
      startedAtMs: nowMs,
      updatedAtMs: nowMs,
      endedAtMs: null,
      outcome: null,
      findings: null,
    },
    completed: [],
    announced: null,
    refusal: null,
    cancelReason: null,
    identity: null,
    preflight: null,
    shards: [],
    move: null,
    mapVersion: 0,
    lockStage: null,
    wasAnnounced: false,
    routersAdoptedAtMs: 0,
    lateWritesUntilMs: 0,
    sources: null,
    clockSkews: {},
    copy: null,
    copiedAtMs: 0,
    donors: {},
    replacements: 0,
    watch: null,
    steps: {},
    isWatchBroken: false,
    passes: 0,
    provenCollections: [],
    droppedByDonor: {},
    pointsKept: 0,
    repair: null,
    emptied: null,
    notEmptied: null,
    undoing: null,
    recovers: null,
  };
}
