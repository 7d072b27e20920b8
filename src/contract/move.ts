/** Inputs and results of the activities of a move. Plain JSON and small: they stay in a history. */
import type { ToldTime } from '../domain/late-writes';
import type { SourceProgress } from '../domain/progress';
import type { WatchQuestion } from '../domain/router-watch';
import type { PlacementSpec, Shard, ShardAddress } from '../domain/shard-map';

/**
 * A collection, and how many points the shards that were asked say they hold of it together. The schema and the counts
 * by shard stay in the activities: a history must not grow with them.
 */
export interface CollectionInfo {
  readonly name: string;
  readonly points: number;
}

/** As a worker of before told it: a running operation may have such an answer in its history. */
interface CollectionByShard {
  readonly name: string;
  readonly countByShard: Readonly<Record<string, number>>;
}

export function pointsOf(collection: CollectionInfo | CollectionByShard): number {
  if ('points' in collection) return collection.points;
  return Object.values(collection.countByShard).reduce((sum, each) => sum + each, 0);
}

/**
 * The move that an operation makes. Placement alone defines it: a point moves when its donor under `placement` is one
 * of the shards and its owner another one. `placement` is that of the map *before* the flip, with the joining or
 * leaving shards in it, in every step of the operation. `shards` are all donors and receivers with their addresses.
 */
export interface Move {
  readonly placement: PlacementSpec;
  readonly shards: readonly Shard[];
  /** What each of them must show before it is believed (INV-8). Null where nothing is known of them. */
  readonly identity?: { readonly clusterUid: string; readonly epoch: number } | null;
  /** By shard id: the address that the caller wants its rows to be read from. */
  readonly sources?: Readonly<Record<string, string>> | null;
}

/**
 * Part of every result of an activity that writes points to shards. Until then (ms since the epoch) a write of an
 * *earlier* attempt, or one that lost its reply, may still reach a shard. 0 when none can.
 */
export interface MayWriteLate {
  /** By the clock of the worker. Use `told` where it is there. */
  readonly lateWritesUntilMs: number;
  /** Absent in what release 0.3.0 and earlier told. */
  readonly told?: ToldTime;
}

/**
 * The type of a failure of a shard that asked for a long pause. Temporal does not retry it, so that the wait is told
 * and bounded by the workflow (INV-9).
 */
export const ASKED_TO_WAIT = 'AskedToWait';

/** In the details of such a failure. */
export interface AskedToWait {
  readonly shardUrl: string;
  readonly forMs: number;
}
/** Shards that an operation will read, and how much of each. */
export interface PlanScansInput extends Move {
  readonly readers: readonly { readonly shardId: number; readonly scans: number; readonly share: number }[];
  readonly stopMaxMs: number;
  /** Nothing may be written, so a follower is taken for up to date, and a long stop is told beside the plans. */
  readonly isPlan?: boolean;
}

/** Of all shards that will be read, and the plans of those that stand still the longest: a history must not grow with shards. */
export interface PlannedScans {
  readonly plans: readonly SourceProgress[];
  /** Absent in what release 0.3.0 told, whose `plans` are all. */
  readonly of?: {
    readonly shards: number;
    readonly followers: number;
    readonly stopMs: number;
    /** What will be moved, about. */
    readonly bytes: number;
  };
  /** Only with `isPlan`. `rows`: what will be moved, about. */
  readonly plan?: {
    readonly rows: number;
    readonly rowsRead: number;
    readonly refusal: { readonly code: string; readonly detail: string } | null;
  };
}

export function sumOfPlans(
  plans: readonly SourceProgress[],
  readers: PlanScansInput['readers'],
): Exclude<PlannedScans['of'], undefined> {
  const shares = new Map(readers.map(({ shardId, share }) => [shardId, share]));
  return {
    shards: plans.length,
    followers: plans.filter(({ source }) => source === 'follower').length,
    stopMs: Math.max(0, ...plans.map(({ estimate }) => estimate?.stopMs ?? 0)),
    bytes: plans.reduce((sum, { shardId, estimate }) => sum + (estimate?.bytes ?? 0) * (shares.get(shardId) ?? 0), 0),
  };
}

/** What a step needs that works on one donor's slice. */
export interface DonorInput extends Move {
  /** Names what a worker keeps of this move: the operation that began it. */
  readonly session: string;
  readonly donorId: number;
  /** About how many rows it will look at, for its progress. */
  readonly expected: number;
}

/** A worker keeps in its own memory what it has read and proven, so the next step must reach the same one. */
export interface KeptByWorker {
  /** Its task queue; null where workers have none of their own. */
  readonly worker: string | null;
}

/** How the rows of a shard were read. */
export interface ScanReport {
  readonly source: 'follower' | 'primary' | 'pages';
  readonly sourceUrl: string;
  /** Why no better source was taken. */
  readonly sourceReason: string;
  /** How long the shard that was read stood still: until its first row came. */
  readonly stopMs: number;
  readonly rowsRead: number;
  readonly tookMs: number;
}

export interface CopyDonorInput extends DonorInput {
  readonly collections: readonly string[];
  /** An earlier step may have written rows, and no worker may know which. */
  readonly isRepeat: boolean;
}
export interface CopyDonorResult extends MayWriteLate, KeptByWorker {
  readonly scan: ScanReport;
  readonly pointsCopied: number;
  readonly bytesCopied: number;
  /** False: rows may lie on the receivers that no pass would look at, unless it scans the receivers too. */
  readonly knowsAllWritten: boolean;
}

export interface CompareDonorInput extends DonorInput {
  readonly collections: readonly string[];
  readonly settleMs: number;
  /** Read the donor again first: rows may be on it alone. */
  readonly recut: boolean;
  /** Read the receivers too: rows may lie there that nobody knows of. */
  readonly scanReceivers: boolean;
}
export interface CompareDonorResult extends MayWriteLate, KeptByWorker {
  /** Nothing was compared: this worker knows nothing of the move. */
  readonly needsCut: boolean;
  readonly scans: readonly ScanReport[];
  /** Points of the slice that the donor holds. */
  readonly pointsCompared: number;
  readonly bytesCompared: number;
  /** Differences at the first look, and what became of them. INV-4: a pass is clean when the last two are 0. */
  readonly differences: number;
  readonly settledByThemselves: number;
  readonly upserted: number;
  readonly deleted: number;
  /** An earlier attempt may have written something that nobody counted: then the pass is not clean (INV-4). */
  readonly mayHaveWritten: boolean;
  /** Every change of the donor since its last scan is known. */
  readonly isTailKept: boolean;
}

export interface FollowDonorInput extends DonorInput {
  readonly collections: readonly string[];
  readonly forMs: number;
  /** How long ago the map flipped, while routers may still hold the one before; null when every one holds the flipped map. */
  readonly sinceFlipMs: number | null;
  /** The donor has dropped its slice, so what is carried goes from it at once. */
  readonly isDropped: boolean;
}
export interface FollowDonorResult extends MayWriteLate, KeptByWorker {
  readonly isTailKept: boolean;
  readonly carried: number;
}

/**
 * What a step behind the flip relies on: at `readAtMs`, every router had been watched. The step asks again itself, before
 * its deletes rely on an older answer than READING_LIFE_MS.
 */
export interface WatchedStep extends WatchQuestion {
  readonly watchId: string;
  /** What each router's process was marked with. */
  readonly mark: string;
  readonly list: RouterList;
  /** By the clock of the workflow. */
  readonly readAtMs: number;
}

export interface DropDonorInput extends DonorInput {
  readonly settleMs: number;
  readonly isWatchUnbroken: boolean;
  /** Of an unbroken watch. Null where there is none, and absent from an earlier release: then it holds for the whole step. */
  readonly watch?: WatchedStep | null;
  /** INV-5: in these collections a point that its owner lacks may be known to be deleted. */
  readonly provenCollections: readonly string[];
  /** The donor leaves: what it holds of others goes too, and then its collections. */
  readonly isLeaver: boolean;
  /** What the tail tells from now on came when no router wrote to the donor any more. */
  readonly isTailLate: boolean;
}
export interface ReadForDropResult extends MayWriteLate, KeptByWorker {
  readonly scan: ScanReport;
  readonly isTailKept: boolean;
}
export interface DropDonorResult extends MayWriteLate, KeptByWorker {
  /**
   * Nothing is left of what was read, or the routers were not watched to the end. What is not dropped needs readForDrop,
   * and the question about the routers after it.
   */
  readonly needsRead: boolean;
  readonly dropped: number;
  /** Of these, points that the owner is known to have deleted. */
  readonly droppedAsDeleted: number;
  /** Points, and deletes, that came by an old map and went on to the owner. */
  readonly carried: number;
  readonly kept: number;
  readonly collectionsDropped: number;
  readonly isTailKept: boolean;
}

export interface RemoveCopiesInput extends Move {
  readonly receiverId: number;
  readonly absentIsDeleted: boolean;
  readonly settleMs: number;
}
export interface LaggingRouter {
  readonly url: string;
  /** The version it holds, or null when it did not answer. */
  readonly version: number | null;
  readonly reason: string;
}
/** The routers of a cluster. */
export interface RouterList {
  /** Absent: the list is `routerUrls`. Else it is the cluster's, read by the activity, and `routerUrls` where that has none. */
  readonly cluster?: string;
  /** Entries as in domain/router-entries.ts. */
  readonly routerUrls: readonly string[];
}
export interface PreflightInput extends RouterList {
  readonly joiners: readonly ShardAddress[];
  readonly donors: readonly Shard[];
  readonly allowNonempty: boolean;
  /**
   * The version of the cluster's map. A router with a later one follows another coordinator, or a lost cluster
   * (RouterAhead).
   */
  readonly mapVersion: number;
}
export interface PreflightReport {
  readonly collections: readonly CollectionInfo[];
  /** Names of the collections that each joiner had before this operation, by index of `joiners`. */
  readonly collectionsBefore: readonly (readonly string[])[];
  /** Of these, the collections that held points (allowNonempty): an undo leaves them alone. */
  readonly nonemptyBefore: readonly (readonly string[])[];
}
export interface DrainPreflightInput extends Move, RouterList {
  readonly mapVersion: number;
}
