/**
 * Everything that workflows may see of activities: types only. Inputs and results are plain JSON and small; no vector, payload,
 * point id or key is ever part of one, because all of it stays in a Temporal history.
 */
import type { OperationState } from './operation-state';
import type { Shard } from '../domain/shard-map';
import type { ClusterAnswer, ClusterTransition } from './cluster';
import type {
  CollectionInfo,
  CopyPageInput,
  CopyPageResult,
  DrainPreflightInput,
  DropInput,
  DropResult,
  LaggingRouter,
  MayWriteLate,
  Move,
  PreflightInput,
  PreflightReport,
  ReconcileInput,
  ReconcileResult,
  WalkCursor,
} from './move';
import type { CompareInput, CompareResult, InspectedCollection, RepairParties } from './repair';

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
