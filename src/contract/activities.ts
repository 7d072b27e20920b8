/**
 * Everything that workflows may see of activities: types only. Inputs and results are plain JSON and small; no vector, payload,
 * point id or key is ever part of one, because all of it stays in a Temporal history.
 */
import type { AutoscalePolicy, Evaluation } from '../domain/autoscale-state';
import type { LockStage, OperationLock, PublishedState } from '../domain/cluster-state';
import type { CollectionFindings, FindingSample, FindingsByHolder, Holder } from '../domain/findings';
import type { LockRequest, OperationResult } from '../domain/lock-transitions';
import type { ManualChange } from '../domain/manual-changes';
import type { OperationState } from './operation-state';
import type { PlacementSpec, Shard, ShardAddress, ShardMap } from '../domain/shard-map';

/** A collection and how many points each shard says that it holds. Its schema stays in the activities: a history must not grow with it. */
export interface CollectionInfo {
  readonly name: string;
  readonly countByShard: Readonly<Record<string, number>>;
}

/** A transition of the cluster workflow (see domain/lock-transitions.ts, manual-changes.ts, autoscale-state.ts and cluster-state.ts). */
export type ClusterTransition =
  | { readonly type: 'reserve'; readonly operationId: string; readonly request: LockRequest }
  | { readonly type: 'announce'; readonly operationId: string }
  | { readonly type: 'confirmHeld'; readonly operationId: string }
  | { readonly type: 'confirmAnnounced'; readonly operationId: string }
  | { readonly type: 'flip'; readonly operationId: string }
  | { readonly type: 'withdraw'; readonly operationId: string }
  | ({ readonly type: 'release' } & OperationResult)
  | { readonly type: 'takeOver'; readonly operationId: string; readonly from: string }
  | { readonly type: 'beginCheck'; readonly operationId: string }
  | ({ readonly type: 'endCheck' } & OperationResult)
  | { readonly type: 'changeByHand'; readonly change: ManualChange; readonly key: string | null }
  | { readonly type: 'seedAutoscale'; readonly policy: AutoscalePolicy; readonly standbys: readonly ShardAddress[] }
  | { readonly type: 'replacePolicy'; readonly policy: AutoscalePolicy }
  | { readonly type: 'addStandby'; readonly address: ShardAddress }
  | { readonly type: 'removeStandby'; readonly primaryUrl: string }
  | {
      readonly type: 'markStandbys';
      readonly findings: readonly { readonly primaryUrl: string; readonly problem: string | null }[];
    }
  | { readonly type: 'recordEvaluation'; readonly evaluation: Omit<Evaluation, 'atMs'>; readonly streak: number }
  | { readonly type: 'catchUp'; readonly published: PublishedState };

/** What the cluster workflow answers to a transition: the map after it, and the lock with its holder's shards. */
export interface ClusterAnswer {
  readonly map: ShardMap;
  readonly lock: OperationLock | null;
}

/** What the lock must be for a step to touch points: held by this operation, at this stage. Confirmed by every such activity (lock-guard.ts). */
export interface LockGuard {
  readonly cluster: string;
  readonly operationId: string;
  readonly stage: LockStage;
}

/**
 * The move that an operation makes, told by placement alone: a point moves when its donor under `placement` is one of the
 * shards and its owner another one. `placement` is that of the map *before* the flip, with the joining or leaving shards in
 * it, in every step of the operation. `shards` are all donors and receivers with their addresses.
 */
export interface Move {
  readonly placement: PlacementSpec;
  readonly shards: readonly Shard[];
}

/**
 * Where a walk over a collection on several shards stands: per shard, the offset behind the last row taken and a digest of
 * that row's id (null when none was taken). An opened walk looks the row up near its offset and goes on behind it; when it
 * is not there any more, the walk says `restarted` and begins anew.
 */
export interface WalkCursor {
  readonly streams: readonly {
    readonly shardId: number;
    readonly offset: number;
    readonly lastIdDigest: string | null;
  }[];
}

/**
 * Part of every result of an activity that writes points to shards: until then (ms since the epoch) a write of an *earlier*
 * attempt, or one whose reply was lost, may still reach a shard. 0 when none can.
 */
export interface MayWriteLate {
  readonly lateWritesUntilMs: number;
}

export interface CopyPageInput extends Move {
  readonly collection: string;
  readonly donorId: number;
  /** Rows of the donor's collection: [offset, offset + limit). */
  readonly offset: number;
  readonly limit: number;
}
export interface CopyPageResult extends MayWriteLate {
  readonly rowsRead: number;
  readonly pointsCopied: number;
  readonly bytesCopied: number;
  /** The collection does not exist on the donor any more. */
  readonly collectionGone: boolean;
}

export interface ReconcileInput extends Move {
  readonly collection: string;
  readonly cursor: WalkCursor | null;
  readonly settleMs: number;
}
export interface ReconcileResult extends MayWriteLate {
  /** Null: the collection has been walked to its end. */
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly collectionGone: boolean;
  /** Points of the slice that the donors hold, in this segment. */
  readonly pointsCompared: number;
  readonly bytesCompared: number;
  /** Differences seen at first sight, and what became of them. INV-4: a pass is clean when the last two are 0 in all segments. */
  readonly differences: number;
  readonly settledByThemselves: number;
  readonly upserted: number;
  readonly deleted: number;
  /** An attempt before this one may have written something that nobody counted: then the pass is not clean (INV-4). */
  readonly mayHaveWritten: boolean;
}

export interface DropInput extends Move {
  readonly collection: string;
  readonly cursor: WalkCursor | null;
  /**
   * INV-5: the pass that allowed the flip compared this collection, so a point that its owner lacks now was deleted there
   * since. False: such a point is kept and counted.
   */
  readonly absentIsDeleted: boolean;
  /** Who lets go of what the other side holds. Default: the donors. The receivers do in the undo of a drain, whose donor is the owner again. */
  readonly from?: 'donors' | 'receivers';
  readonly settleMs: number;
}
export interface DropResult extends MayWriteLate {
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly collectionGone: boolean;
  /** By the shard that let go: a donor, or with `from: 'receivers'` a receiver. */
  readonly droppedByDonor: Readonly<Record<string, number>>;
  /** Of these, points that the owner did not hold any more. */
  readonly droppedAsDeleted: number;
  readonly kept: number;
}

export interface LaggingRouter {
  readonly url: string;
  /** The version it holds, or null when it did not answer. */
  readonly version: number | null;
  readonly reason: string;
}

export interface PreflightInput {
  readonly joiners: readonly ShardAddress[];
  readonly donors: readonly Shard[];
  readonly routerUrls: readonly string[];
  readonly allowNonempty: boolean;
  /** The cluster's. A router that holds a later one follows another coordinator, or a cluster that was lost (RouterAhead). */
  readonly mapVersion: number;
}
export interface PreflightReport {
  readonly collections: readonly CollectionInfo[];
  /** Names of the collections that each joiner had before this operation, by index of `joiners`. */
  readonly collectionsBefore: readonly (readonly string[])[];
  /** Of these, the ones that held points (allowNonempty): an undo leaves them alone. */
  readonly nonemptyBefore: readonly (readonly string[])[];
}

export interface DrainPreflightInput extends Move {
  readonly routerUrls: readonly string[];
  readonly mapVersion: number;
}

/** Whom a check or a repair reads: the shards of the map, and leftovers, which own nothing. */
export interface RepairParties extends Move {
  readonly leftovers: readonly ShardAddress[];
}

/** A collection as a check or a repair found it. */
export interface InspectedCollection extends Pick<
  CollectionFindings,
  'collection' | 'notCompared' | 'missingOn' | 'otherSchemaOn'
> {
  /** Rows that its holders say they have, together. */
  readonly rows: number;
}

/** Where the merge over all holders stands; see WalkCursor. */
export interface HolderCursor {
  readonly streams: readonly {
    readonly holder: Holder;
    readonly offset: number;
    readonly lastIdDigest: string | null;
  }[];
}

export interface CompareInput extends RepairParties {
  readonly collection: string;
  readonly cursor: HolderCursor | null;
  /** Null: only looks. */
  readonly mend: { readonly settleMs: number; readonly prefer: readonly Holder[] } | null;
}
export interface CompareResult extends MayWriteLate {
  /** Null: the collection has been walked to its end. */
  readonly cursor: HolderCursor | null;
  /** The walk began anew: what was `seen` of this collection before does not count any more. */
  readonly restarted: boolean;
  readonly rowsRead: number;
  /** What a walk that began anew would see again. */
  readonly seen: { readonly points: number; readonly byHolder: FindingsByHolder };
  /** Samples of what was seen. */
  readonly samples: readonly FindingSample[];
  /** What was found and mended, so that no walk sees it again. */
  readonly mended: {
    readonly byHolder: FindingsByHolder;
    readonly moved: number;
    readonly removedByHolder: Readonly<Record<Holder, number>>;
  };
  /** An attempt before this one may have written something that nobody counted. */
  readonly mayHaveWritten: boolean;
}

export interface CoordinatorActivities {
  /** Applies one transition to the cluster workflow. Repeating it is harmless. Fails with a DomainErrorCode as type. */
  changeCluster(input: { cluster: string; transition: ClusterTransition }): Promise<ClusterAnswer>;

  /** Design step 1. Changes nothing. Fails with a DomainErrorCode as type, never retryable. */
  preflightGrow(input: PreflightInput): Promise<PreflightReport>;

  /**
   * The same for a drain: all shards answer and agree on their collections, and no other shard holds points of the leaver's slice: they would
   * be taken for deleted ones. Rows are looked at for a few seconds; where there are more, those that were are a sample.
   * Fails with a DomainErrorCode as type, never retryable.
   */
  preflightDrain(input: DrainPreflightInput): Promise<{ collections: number; rowsRead: number }>;

  /** What an operation that was ended from outside knew; null when it cannot be told any more. */
  recallOperation(input: { cluster: string; operationId: string }): Promise<OperationState | null>;

  /**
   * Creates on every receiver what the donors have and it has not; says what there is. Repeating it is harmless. With `settleMs`,
   * as is right once the receivers are in the map, what is missing is looked at twice, so long apart: a client may be creating it.
   */
  prepareCollections(input: {
    donors: readonly Shard[];
    receivers: readonly Shard[];
    /** False: what a receiver lacks is not created but waited for (CollectionInFlux), because its clients decide on it. Default true. */
    mayCreate?: boolean;
    settleMs?: number;
  }): Promise<{ collections: readonly CollectionInfo[]; created: number } & MayWriteLate>;

  /** Every collection that any of these shards has, whether they agree on it or not. Changes nothing. */
  listCollections(input: { shards: readonly Shard[] }): Promise<{ collections: readonly CollectionInfo[] }>;

  /**
   * Asks routers until all hold exactly `version`, or `patienceMs` is over (0: asks once). Never fails because a router lags.
   * The map does not change while an operation holds the lock, so a later version is a foreign one and no better than an old one.
   */
  awaitRouters(input: {
    routerUrls: readonly string[];
    version: number;
    patienceMs: number;
  }): Promise<{ lagging: readonly LaggingRouter[] }>;

  /** Design step 5: one page of one collection of one donor, straight to the points' owners, bytes as they came. */
  copyPage(input: CopyPageInput): Promise<CopyPageResult>;

  /** Design step 6: one segment of one pass over one collection on all shards of the move. */
  reconcileSegment(input: ReconcileInput): Promise<ReconcileResult>;

  /**
   * Removes from the receivers collections that no donor has any more (dropped by a client meanwhile), except those in
   * `keep`. Looked at twice, `settleMs` apart. Returns how many it removed.
   */
  removeOrphanCollections(input: {
    donors: readonly Shard[];
    receivers: readonly Shard[];
    keep: readonly (readonly string[])[];
    settleMs: number;
  }): Promise<{ removed: number } & MayWriteLate>;

  /**
   * Design step 7: has the receivers build their indexes; returns the names that were not ready after `patienceMs`. Ready: a
   * search is answered at once. With `mustFind` also: it finds what the receiver holds, which takes longer, because an index
   * that was built early is brought up to date in the background. The latter is what to wait for before the donors drop the slice,
   * since until then their own answers make searches complete.
   */
  warmUp(input: {
    receivers: readonly Shard[];
    collections: readonly string[];
    patienceMs: number;
    mustFind?: boolean;
    /** With `mustFind`: only points of this slice are searched for, since those that a receiver had before are found anyway. */
    slice?: Move;
  }): Promise<{ notReady: readonly string[] }>;

  /** Design step 9: one segment of dropping one collection's slice from the donors. */
  dropSegment(input: DropInput): Promise<DropResult>;

  /** Design step 10: one segment of counting, per donor, points of the slice that are still there, and points of nobody's business. */
  confirmSegment(input: Move & { collection: string; cursor: WalkCursor | null }): Promise<{
    cursor: WalkCursor | null;
    restarted: boolean;
    collectionGone: boolean;
    leftOnDonors: number;
    heldByOwners: number;
  }>;

  /**
   * Undo of prepare and copy, one part: collections that the joiner did not have before are removed; in those that it had, empty,
   * every point of the slice is deleted; those that held points of their own (`nonemptyBefore`) are left alone. Repeating it
   * is harmless. `done: false`: to be called again.
   */
  cleanJoiner(
    input: Move & { joiner: Shard; collectionsBefore: readonly string[]; nonemptyBefore: readonly string[] },
  ): Promise<{ done: boolean; collectionsDropped: number; pointsDeleted: number } & MayWriteLate>;

  /**
   * The end of a drain, when the leaver is out of the map and its slice is dropped: removes from it the points that their owners
   * hold, and the collections that are empty then. What is on it alone is kept and counted, and after 2,000 such points everything
   * that is left. `done: false`: to be called again, and what is kept is counted by that call.
   */
  emptyLeaver(
    input: Move & { leaver: Shard; settleMs: number },
  ): Promise<{ done: boolean; removed: number; kept: number; collectionsDropped: number } & MayWriteLate>;

  /**
   * A repair removes copies, so none of the shards and leftovers may be another one of them, or a router, under another address. Creates a
   * collection on each for a moment and looks where it shows. Fails with ShardAlreadyInMap.
   */
  refuseAliasesInMap(input: RepairParties): Promise<MayWriteLate>;

  /**
   * What collections there are, and where they are missing or differ. What looks wrong is looked at twice, `settleMs` apart: a client may be
   * creating or dropping it. With `creates`, missing ones are created on shards of the map, with the settings on which all others agree.
   * `collections` restricts to these; fails with InvalidRequest when one of them is nowhere.
   */
  inspectCollections(
    input: RepairParties & { collections: readonly string[] | null; creates: boolean; settleMs: number },
  ): Promise<{ collections: readonly InspectedCollection[]; created: number } & MayWriteLate>;

  /** One segment of the merge of one collection over all holders: finds what lies where it does not belong, and mends it when told to. */
  compareSegment(input: CompareInput): Promise<CompareResult>;
}
