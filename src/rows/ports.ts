/**
 * What the engine of a move sees of the world: shards, time, and whom to tell. Everything in this room is written over
 * these, so the same decisions run in a worker, in its thread, and in the simulator.
 */

import type { WorkLimits } from '../domain/work-limits';
import type { Slowness } from './slowness';

/** A point, or a token of a multivector document, as bytes that nobody decodes. */
export interface Row {
  readonly id: Buffer;
  /** 32-bit floats, little-endian. */
  readonly vector: Buffer;
  /** JSON; empty where the point has none. */
  readonly payload: Buffer;
}

/**
 * One scan of a shard: an atomic cut of all its rows, then what changes after it.
 * - `started`: the cut is taken; the shard stood still for `stopMs`.
 * - `rows`: in byte order of the id within a collection.
 * - `cut-ended`: every row of the cut has come.
 * - `changed`, `collection-created`, `collection-dropped`: what was written after the cut, in its order.
 *   A part of a document that goes is no `isDelete`: more may be left of it.
 * - `barrier`: what RowShard.setBarrier wrote, among the changes.
 * - `tail-lost`: changes after the cut were missed. The cut itself is whole.
 */
export type ScanEvent =
  | { readonly kind: 'started'; readonly stopMs: number }
  | { readonly kind: 'rows'; readonly collection: string; readonly rows: readonly Row[] }
  | { readonly kind: 'cut-ended' }
  | { readonly kind: 'changed'; readonly collection: string; readonly id: Buffer; readonly isDelete: boolean }
  | { readonly kind: 'barrier'; readonly barrier: string }
  | { readonly kind: 'collection-created' | 'collection-dropped'; readonly collection: string }
  | { readonly kind: 'tail-lost' };

export type SourceKind = 'follower' | 'primary' | 'pages';

export interface RowSource {
  readonly kind: SourceKind;
  readonly url: string;
  /** Why no better one was taken. */
  readonly reason: string;
  /**
   * Ends only with an error, when the signal aborts, or behind `tail-lost`. An end before `cut-ended` is an error: the
   * cut is not whole.
   */
  scan(signal: AbortSignal): AsyncIterable<ScanEvent>;
}

/** The collection is not there. The shard itself said so. */
export class CollectionMissing extends Error {
  readonly collection: string;
  readonly shardId: number | string;

  constructor(collection: string, shardId: number | string) {
    super(`the collection ${collection} is missing on shard ${shardId}`);
    this.name = 'CollectionMissing';
    this.collection = collection;
    this.shardId = shardId;
  }
}

/** A client has created the collection anew, with vectors of another length than those that were read. */
export class CollectionOfOtherKind extends Error {
  readonly collection: string;
  readonly shardId: number | string;

  constructor(collection: string, shardId: number | string) {
    super(`the collection ${collection} has vectors of another length on shard ${shardId}`);
    this.name = 'CollectionOfOtherKind';
    this.collection = collection;
    this.shardId = shardId;
  }
}

/** One shard, its primary unless said otherwise. Every call is bounded, and a write begins only while it may. */
export interface RowShard {
  readonly id: number | string;
  /**
   * Where its rows are read from. A follower is taken only when it is proven to be up to date. `isPlan`: nothing may be
   * written for that proof, so it is assumed, and nobody scans what is returned.
   */
  source(options?: { readonly isPlan: boolean }): Promise<RowSource>;
  /** In the order of `ids`; null for an absent one. @throws CollectionMissing */
  getRows(collection: string, ids: readonly Buffer[]): Promise<(Row | null)[]>;
  /** @throws CollectionMissing, CollectionOfOtherKind */
  upsert(collection: string, rows: readonly Row[]): Promise<void>;
  /** At most DELETE_IDS_MAX ids. Returns how many were there. @throws CollectionMissing */
  delete(collection: string, ids: readonly Buffer[]): Promise<number>;
  /** Whether it existed. */
  dropCollection(collection: string): Promise<boolean>;
  /** Points by collection, without the coordinator's own. */
  counts(): Promise<ReadonlyMap<string, number>>;
  /** What it holds, without the coordinator's own. */
  size(): Promise<{ readonly rows: number; readonly bytes: number }>;
  /** The slowest scan of it that this process has seen; null when it has seen none. */
  scanMicrosPerRow(): number | null;
  /** Writes what its scans tell of as `barrier`, behind everything before it. False: the shard has no place for it. */
  setBarrier(barrier: string): Promise<boolean>;
  /** Throws when the shard is not the one that it was, or has lost data. */
  confirmIdentity(): Promise<void>;
  /** False: it bears none, so nothing is confirmed. */
  readonly isIdentified: boolean;
}

/** What a job has done so far. Small and plain: it is shown while the job runs. */
export interface JobProgress {
  readonly rowsRead: number;
  readonly points: number;
  readonly bytes: number;
  readonly expected: number;
}

/** One run of a job: its time, its end, and whom it tells. */
export interface Job {
  readonly signal: AbortSignal;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  report(progress: JobProgress): void;
  /** What it may take by now. Absent: everything. */
  limits?(): WorkLimits;
  /** Where it notes what slows it down. Absent: nobody asks. */
  readonly slowness?: Slowness;
  /**
   * Asks whether every router was watched until now. Until when that answer may be relied on; null: one was not, or nobody
   * can say.
   */
  renewWatch?(): Promise<number | null>;
}

/** A shard of the operation by its id, or a leftover by its primary URL. */
export type Shards = (shard: number | string) => RowShard;
