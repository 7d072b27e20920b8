/** What an operation carries through continue-as-new: one plain-JSON object, all of it. */
import type { AnnouncedAnswer, Refusal } from './requests';
import type { HolderCursor, InspectedCollection } from './repair';
import type { CollectionInfo, Move, PreflightReport, WalkCursor } from './move';
import type { LockingKind, LockStage, OperationKind } from '../domain/cluster-state';
import type { FindingsByHolder, FindingSample, Holder, Mended, PassFindings } from '../domain/findings';
import type { OperationProgress, Phase } from '../domain/progress';
import type { Shard } from '../domain/shard-map';

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
  copy: CopyState | null;
  pass: PassState | null;
  passes: number;
  /** INV-5: collections that the clean pass compared. */
  provenCollections: readonly string[];
  sweep: SweepState | null;
  droppedByDonor: Record<string, number>;
  /** INV-5: points that stay on a donor, because their owner neither holds them nor is known to have deleted them. */
  pointsKept: number;
  /** Of a check or a repair. */
  repair: RepairState | null;
  /** Why a leaver was abandoned before it was empty. */
  notEmptied: string | null;
  /** Of a recovery: what it took over. */
  recovers: { readonly operationId: string; readonly kind: LockingKind; readonly stage: LockStage } | null;
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

/** Where the copy stands. Pages are numbered over all collections of a donor, in the order of `collections`. */
export interface CopyState {
  readonly collections: readonly CollectionInfo[];
  readonly rowsExpected: number;
  rowsRead: number;
  nextPage: Record<string, number>;
}

/** One pass of reconcile over all collections. */
export interface PassState {
  readonly collections: readonly string[];
  readonly startedAtMs: number;
  index: number;
  cursor: WalkCursor | null;
  /** Of the collections that this pass is through with. */
  pointsCompared: number;
  bytesCompared: number;
  /** Of the collection that it walks now; begins again when the walk does. */
  current: { points: number; bytes: number };
  /** Points and collections that this pass wrote. INV-4: the flip needs a pass with 0. */
  written: number;
}

/** One round of drop and confirm over all collections. */
export interface SweepState {
  readonly collections: readonly string[];
  readonly step: 'drop' | 'confirm';
  index: number;
  cursor: WalkCursor | null;
  /** Points kept (drop) or left (confirm) in the collection that is walked now; begins again when the walk does. */
  current: number;
  currentHeld: number;
  leftOnDonors: number;
  /** Points of the slice that their owners hold, counted by confirm. */
  heldByOwners: number;
  round: number;
}

/** Where a check or a repair stands: the pass that runs, and what came of those before. */
export interface RepairState {
  /** Counted from 1. */
  readonly pass: number;
  readonly collections: readonly InspectedCollection[];
  index: number;
  cursor: HolderCursor | null;
  /** Of the collection that is walked now. All but `mended` begins again when the walk does. */
  current: {
    readonly seen: { readonly points: number; readonly byHolder: FindingsByHolder };
    readonly mended: FindingsByHolder;
    readonly samples: readonly FindingSample[];
    readonly rowsRead: number;
  };
  /** What this pass has found in the collections that it is through with, and of that what it has left as it is. */
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

type Renamed = 'provenCollections' | 'droppedByDonor' | 'pointsKept' | 'sweep' | 'identity';

/** A state as release 0.2 wrote it, under the names of that release. It lives in histories, and in runs that go on under this one. */
interface StateOf02 {
  readonly identity?: OperationIdentity | null;
  readonly proven?: readonly string[];
  readonly dropped?: Record<string, number>;
  readonly kept?: number;
  readonly sweep: (Omit<SweepState, 'leftOnDonors' | 'heldByOwners'> & { left?: number; held?: number }) | null;
}

/** Reads a state that an earlier run has carried over, or that an operation told its recovery, of this release or of 0.2. */
export function readCarried(carried: OperationState): OperationState {
  const {
    proven,
    dropped,
    kept,
    sweep,
    identity = null,
    ...rest
  } = carried as Omit<OperationState, Renamed> & StateOf02;
  const renamed = { provenCollections: proven, droppedByDonor: dropped, pointsKept: kept };
  const { left, held, ...sweeping } = sweep ?? {};
  return {
    ...renamed,
    ...rest,
    identity,
    sweep: sweep === null ? null : { leftOnDonors: left, heldByOwners: held, ...sweeping },
  } as OperationState;
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
    copy: null,
    pass: null,
    passes: 0,
    provenCollections: [],
    sweep: null,
    droppedByDonor: {},
    pointsKept: 0,
    repair: null,
    notEmptied: null,
    recovers: null,
  };
}
