/** Inputs and results of the activities of a move. Plain JSON and small: they stay in a history. */
import type { PlacementSpec, Shard, ShardAddress } from '../domain/shard-map';

/**
 * A collection, and how many points each shard says it holds. The schema stays in the activities: a history must not
 * grow with it.
 */
export interface CollectionInfo {
  readonly name: string;
  readonly countByShard: Readonly<Record<string, number>>;
}

/**
 * The move that an operation makes. Placement alone defines it: a point moves when its donor under `placement` is one
 * of the shards and its owner another one. `placement` is that of the map *before* the flip, with the joining or
 * leaving shards in it, in every step of the operation. `shards` are all donors and receivers with their addresses.
 */
export interface Move {
  readonly placement: PlacementSpec;
  readonly shards: readonly Shard[];
}

/**
 * Where a walk over a collection on several shards stands. Per shard: the offset behind the last row taken, and a
 * digest of that row's id (null when none was taken). A new walk looks the row up near its offset and goes on behind
 * it. When the row is gone, the walk says `restarted` and begins again.
 */
export interface WalkCursor {
  readonly streams: readonly {
    readonly shardId: number;
    readonly offset: number;
    readonly lastIdDigest: string | null;
  }[];
}

/**
 * Part of every result of an activity that writes points to shards. Until then (ms since the epoch) a write of an
 * *earlier* attempt, or one that lost its reply, may still reach a shard. 0 when none can.
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
  /** The collection no longer exists on the donor. */
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
  /**
   * Differences at the first look, and what became of them. INV-4: a pass is clean when the last two are 0 in all
   * segments.
   */
  readonly differences: number;
  readonly settledByThemselves: number;
  readonly upserted: number;
  readonly deleted: number;
  /** An earlier attempt may have written something that nobody counted: then the pass is not clean (INV-4). */
  readonly mayHaveWritten: boolean;
}
export interface DropInput extends Move {
  readonly collection: string;
  readonly cursor: WalkCursor | null;
  /**
   * INV-5: the pass that allowed the flip compared this collection. So a point that its owner lacks now was deleted
   * there since. False: such a point is kept and counted.
   */
  readonly absentIsDeleted: boolean;
  /**
   * Which side drops what the other side holds. Default: the donors. In the undo of a drain the receivers do, because
   * its donor is the owner again.
   */
  readonly from?: 'donors' | 'receivers';
  readonly settleMs: number;
}
export interface DropResult extends MayWriteLate {
  readonly cursor: WalkCursor | null;
  readonly restarted: boolean;
  readonly collectionGone: boolean;
  /** By the shard that dropped: a donor, or with `from: 'receivers'` a receiver. */
  readonly droppedByDonor: Readonly<Record<string, number>>;
  /** Of these, points that the owner lacked. */
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
export interface DrainPreflightInput extends Move {
  readonly routerUrls: readonly string[];
  readonly mapVersion: number;
}
