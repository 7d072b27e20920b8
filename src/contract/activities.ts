/**
 * Everything that workflows may see of activities: types only. Inputs and results are plain JSON and small. No vector,
 * payload, point id or key is ever part of one, because all of it stays in a Temporal history.
 */
import type { OperationState } from './operation-state';
import type { ExaminedShards } from '../domain/diagnosis';
import type { Hook, HookNews, ToldNews } from '../domain/hooks';
import type { Shard } from '../domain/shard-map';
import type { ClusterAnswer, ClusterTransition } from './cluster';
import type {
  CollectionInfo,
  CompareDonorInput,
  CompareDonorResult,
  CopyDonorInput,
  CopyDonorResult,
  DrainPreflightInput,
  DropDonorInput,
  DropDonorResult,
  FollowDonorInput,
  FollowDonorResult,
  LaggingRouter,
  RouterList,
  MayWriteLate,
  Move,
  PreflightInput,
  PlannedScans,
  PlanScansInput,
  PreflightReport,
  ReadForDropResult,
  RemoveCopiesInput,
  ScanReport,
} from './move';
import type { DiagnosisInput, SeenWorker } from './messages';
import type { WatchActivities } from './watch';
import type { IdentifyInput, ReleaseInput } from './identity';
import type { FindMisplacedInput, FindMisplacedResult, InspectedCollection, RepairParties } from './repair';

export interface CoordinatorActivities extends WatchActivities {
  /** Applies one transition to the cluster workflow. A repeat is harmless. Fails with a DomainErrorCode as type. */
  changeCluster(input: { cluster: string; transition: ClusterTransition }): Promise<ClusterAnswer>;

  /**
   * Makes sure that every shard of an operation is the one that it is taken for, and writes the operation's epoch to all
   * of them. Members without a mark are adopted, joiners are claimed. Returns the epochs for `recordEpochs`. When it fails
   * with a DomainErrorCode as type, its claims on joiners are gone again. A repeat is harmless.
   */
  identifyShards(input: IdentifyInput): Promise<{ epochs: Readonly<Record<string, number>> } & MayWriteLate>;

  /** The same looks for a plan: claims no joiner, adopts no member, writes no epoch. Fails with a DomainErrorCode as type. */
  lookAtShards(input: IdentifyInput): Promise<{ unmarked: number }>;

  /** Takes the marks of this cluster off shards that leave it, or that never joined. Any other mark is left alone. */
  releaseShards(input: ReleaseInput): Promise<MayWriteLate>;

  /**
   * Checks that a grow can end well: all shards and routers answer, the donors agree on their collections, and the
   * joiners are empty. Changes nothing. Fails with a DomainErrorCode as type, never retryable.
   */
  preflightGrow(input: PreflightInput): Promise<PreflightReport>;

  /**
   * The same for a drain: all shards and routers answer, and the shards agree on their collections. Changes nothing.
   * Fails with a DomainErrorCode as type, never retryable.
   */
  preflightDrain(input: DrainPreflightInput): Promise<{ collections: number }>;

  /** Where each shard will be read from, and what that costs. Changes nothing. Fails with ScanTooLong, never retryable. */
  planScans(input: PlanScansInput): Promise<PlannedScans>;

  /** What an operation that was ended from outside knew; null when it can no longer be read. */
  recallOperation(input: { cluster: string; operationId: string }): Promise<OperationState | null>;

  /**
   * Creates on every receiver the collections that the donors have and it lacks. Returns the collections of the donors.
   * A repeat is harmless. With `settleMs`, what is missing or of another kind is looked at twice, that long apart, because a client may be
   * creating it: right once the receivers are in the map.
   */
  prepareCollections(input: {
    donors: readonly Shard[];
    receivers: readonly Shard[];
    /**
     * False: what a receiver lacks is not created but waited for (CollectionInFlux), because clients decide on it
     * there. Default true.
     */
    mayCreate?: boolean;
    /**
     * By receiver: the collections that it had before the operation. Any other one of another kind than the donors'
     * is a copy of a collection that a client has created anew: it is replaced. Absent: none is.
     */
    had?: readonly (readonly string[])[];
    /**
     * Donors that need not answer: another one's copy does not wait until they have a leader again. Their collections
     * are not known then, so whoever needs all of them names none. Default none.
     */
    mayBeAway?: readonly number[];
    settleMs?: number;
  }): Promise<
    {
      collections: readonly CollectionInfo[];
      /** Those that were replaced included. */
      created: number;
      /** Whoever gave points to these on a receiver must give them again. Absent: none. */
      replaced?: number;
    } & MayWriteLate
  >;

  /** Every collection that any of these shards has, whether they agree on it or not. Changes nothing. */
  listCollections(input: { shards: readonly Shard[] }): Promise<{ collections: readonly CollectionInfo[] }>;

  /**
   * Asks routers until all hold exactly `version`, or `patienceMs` is over (0: asks once). Never fails because a router
   * lags. The map does not change while an operation holds the lock. So a later version comes from elsewhere, and is no
   * better than an old one. The list of the cluster is read again meanwhile. `more`: so many lag beside the samples in `lagging`, which is empty only when none lags.
   */
  awaitRouters(input: RouterList & { version: number; patienceMs: number }): Promise<{
    lagging: readonly LaggingRouter[];
    more?: number;
    /** The list of the cluster is empty by now, so nobody was asked. */
    none?: true;
  }>;

  /** Reads one donor in one scan, and sends its slice to the owners as the bytes that came. */
  copyDonor(input: CopyDonorInput): Promise<CopyDonorResult>;

  /** One pass for one donor: looks by id at what may differ, on both sides, and makes the owners like the donor. */
  compareDonor(input: CompareDonorInput): Promise<CompareDonorResult>;

  /** After the flip: looks at what arrives on one donor as it comes, and sends on what came by an old map. */
  followDonor(input: FollowDonorInput): Promise<FollowDonorResult>;

  /**
   * Removes from the receivers the collections that no donor has (a client dropped them meanwhile), except those in
   * `keep`. Looks twice, `settleMs` apart. Returns how many it removed.
   */
  removeOrphanCollections(input: {
    donors: readonly Shard[];
    receivers: readonly Shard[];
    keep: readonly (readonly string[])[];
    settleMs: number;
  }): Promise<{ removed: number } & MayWriteLate>;

  /**
   * Makes the receivers build their indexes. Returns the names that were not ready after `patienceMs`. Ready means that
   * a search is answered at once. With `mustFind` it also finds what the receiver holds. That takes longer, because an
   * index that was built early is brought up to date in the background. Wait for the latter before the donors drop the
   * slice: until then the donors' own answers make searches complete. `notKnown`: a shard refuses to be asked.
   */
  warmUp(input: {
    receivers: readonly Shard[];
    collections: readonly string[];
    patienceMs: number;
    mustFind?: boolean;
    /**
     * With `mustFind`: searches only for points of this slice, because points that a receiver had before are found
     * anyway.
     */
    slice?: Move;
  }): Promise<{ notReady: readonly string[]; notKnown?: readonly string[] }>;

  /** After the flip: reads one donor once more. What it shows waits on the worker for dropFromDonor. */
  readForDrop(input: DropDonorInput): Promise<ReadForDropResult>;

  /** Drops what INV-5 allows. Reads the donor first when what was read for it is lost. */
  dropFromDonor(input: DropDonorInput): Promise<DropDonorResult>;

  /** The undo of a copy: removes from one receiver what its donor holds, or is known to have deleted. */
  removeCopies(input: RemoveCopiesInput): Promise<{ removed: number; kept: number } & MayWriteLate>;

  /** Counts what receivers hold of a slice that is not theirs yet. Reads each of them in one scan. */
  countStrays(input: Move): Promise<{ strays: number; scans: readonly ScanReport[] } & MayWriteLate>;

  /** Forgets what the workers keep of a move. */
  endSession(input: { session: string }): Promise<void>;

  /**
   * The undo of prepare and copy. Collections that the joiner did not have before are removed. Those that it had, empty,
   * lose every point of the slice. Those that held points of their own (`nonemptyBefore`) are left alone. A repeat is
   * harmless.
   */
  cleanJoiner(
    input: Move & { joiner: Shard; collectionsBefore: readonly string[]; nonemptyBefore: readonly string[] },
  ): Promise<{ collectionsDropped: number; pointsDeleted: number } & MayWriteLate>;

  /**
   * Which collections there are, and where they are missing or differ. What looks wrong is looked at twice, `settleMs`
   * apart: a client may be creating or dropping it. With `creates`, a missing collection is created on shards of the
   * map, with the settings on which all others agree. `collections` restricts the look to these. Fails with
   * InvalidRequest when one of them is nowhere.
   */
  inspectCollections(
    input: RepairParties & { collections: readonly string[] | null; creates: boolean; settleMs: number },
  ): Promise<{ collections: readonly InspectedCollection[]; created: number } & MayWriteLate>;

  /** Reads every holder in one scan, and finds what lies where it does not belong; with `mend`, repairs it. */
  findMisplaced(input: FindMisplacedInput): Promise<FindMisplacedResult>;
}

/** Of webhooks. No secret is in any of this in clear. */
export interface HookActivities {
  /**
   * Waits until there is news, some minutes at most. Changes nothing, so a repeat is harmless. Without `told` it answers
   * at once what is there, as no news.
   */
  awaitHookNews(input: {
    cluster: string;
    told: ToldNews | null;
  }): Promise<{ told: ToldNews; news: readonly HookNews[] }>;

  /** Tells one hook one thing, once. A repeat has the same id, by which a receiver tells it. Fails when it did not arrive. */
  deliverHookNews(input: { cluster: string; hook: Pick<Hook, 'url' | 'sealed'>; news: HookNews }): Promise<void>;
}

/** Of a diagnosis. */
export interface DiagnosisActivities {
  /** The machine of the worker that takes it. Changes nothing. */
  examineWorker(input: Record<string, never>): Promise<SeenWorker>;

  /** Every shard, side by side, within a few seconds. Never fails because of what it finds. Changes nothing. */
  examineShards(input: DiagnosisInput): Promise<ExaminedShards>;
}
