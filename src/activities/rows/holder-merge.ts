/**
 * All rows of one collection on all shards of the map and on the leftovers, merged in byte order of the ids. Every id
 * comes by once, with all shards that hold it. Memory: one batch per shard.
 *
 * A cursor is taken between two ids. Each stream then stands behind its anchor: the last row before that place that is
 * still there. So no stream of a resumed merge brings a row that came by before.
 */
import { holderOf, type Holder } from '../../domain/findings';
import type { Shard, ShardAddress } from '../../domain/shard-map';
import type { PointElement } from '../../shards/rows/point-stream';
import { idDigest, PointWalk, START, type WalkBatch, type WalkPosition } from '../../shards/rows/point-walk';
import type { HolderCursor, RepairParties } from '../../contract/repair';
import type { ActivityScope } from '../frame/run-activity';

/** Ids that come by between two looks at the clock. */
const IDS_PER_LOOK = 1_024;

export interface HolderMergeOptions extends RepairParties {
  readonly collection: string;
  readonly cursor: HolderCursor | null;
  /** False: ids only. */
  readonly withPoints: boolean;
}

/** The rows of one shard, one at a time. `head` is looked at; `take` goes on, synchronously while rows are at hand. */
export class HolderStream {
  readonly holder: Holder;
  readonly address: Shard | ShardAddress;
  head: PointElement | null = null;
  rowsRead = 0;
  hasEnded = false;
  readonly #walk: PointWalk;
  readonly #from: WalkPosition;
  #batch: WalkBatch | null = null;
  #index = 0;
  /** The last row passed that is still there; null when there is none behind `#from`. */
  #anchor: Buffer | null = null;
  /** Offset behind the last row passed, as of when its page was read; null when none was passed. */
  #passedTo: number | null = null;

  constructor(address: Shard | ShardAddress, walk: PointWalk, from: WalkPosition) {
    this.holder = holderOf(address);
    this.address = address;
    this.#walk = walk;
    this.#from = from;
  }

  /** The offset of `head` now, corrected by the rows that this merge removed. */
  get headOffset(): number {
    return Math.max(0, (this.#batch?.offset ?? 0) + this.#index - this.#walk.removedSincePage);
  }

  /**
   * Passes `head`. `mayGo`: it may still be removed, so it is no anchor until `stays` says so. False: `fill` has to
   * read.
   */
  take(mayGo: boolean): boolean {
    const { head } = this;
    const batch = this.#batch;
    if (head === null || batch === null) return false;
    if (!mayGo) this.#anchor = head.id;
    this.#passedTo = batch.offset + this.#index + 1;
    this.#index += 1;
    this.head = batch.elements[this.#index] ?? null;
    if (this.head === null) this.#batch = null;
    return this.head !== null;
  }

  /** Reads until `head` is the next row, or the walk ends, or `enough` says to stop for now. */
  async fill(enough: () => boolean): Promise<void> {
    while (this.head === null && !this.hasEnded && !enough()) {
      const batch = await this.#walk.next();
      if (batch === null) {
        this.hasEnded = true;
        return;
      }
      this.rowsRead += batch.elements.length - batch.start;
      this.#batch = batch;
      this.#index = batch.start;
      this.head = batch.elements[batch.start] ?? null;
    }
  }

  /** A row before the present place stays: it was kept, or was put there just now. */
  stays(id: Buffer): void {
    if (this.#anchor === null || Buffer.compare(id, this.#anchor) > 0) this.#anchor = id;
  }

  /** Rows before the present place were removed, or put there (negative). */
  rowsRemoved(rows: number): void {
    this.#walk.rowsRemoved(rows);
  }

  position(): WalkPosition {
    const passedTo = this.#passedTo ?? this.#from.offset;
    const offset = Math.max(0, passedTo - this.#walk.removedSincePage);
    return { offset, lastIdDigest: this.#anchor === null ? this.#from.lastIdDigest : idDigest(this.#anchor) };
  }

  suspend(): Promise<void> {
    return this.#walk.suspend();
  }
}

/**
 * Called with the streams whose heads are the next id. Says whether rows of streams other than the owner's may be
 * removed, and whether to stop.
 */
export interface Visit {
  readonly owner: HolderStream | null;
  readonly othersMayGo: boolean;
  readonly goesOn: boolean;
}
export type HolderVisitor = (id: Buffer, holders: readonly HolderStream[]) => Visit;

export class HolderMerge {
  readonly streams: readonly HolderStream[];

  private constructor(streams: readonly HolderStream[]) {
    this.streams = streams;
  }

  /** `restarted`: a row at which the cursor stood is gone, so all streams begin again. */
  static async open(
    { attempt, shards }: ActivityScope,
    options: HolderMergeOptions,
  ): Promise<{ merge: HolderMerge; restarted: boolean }> {
    const { collection, withPoints } = options;
    const build = async (cursor: HolderCursor | null): Promise<HolderMerge | null> => {
      const open = async (address: Shard | ShardAddress): Promise<HolderStream | null> => {
        const holder = holderOf(address);
        const from = cursor?.streams.find((each) => each.holder === holder) ?? START;
        const walk = new PointWalk({
          source: shards.client(address),
          collection,
          withPayload: withPoints,
          withVector: withPoints,
          from,
          ctx: attempt.reading,
          absentIsEmpty: true,
        });
        return (await walk.open()) ? new HolderStream(address, walk, from) : null;
      };
      const streams = await Promise.all([...options.shards, ...options.leftovers].map(open));
      const opened = streams.filter((each) => each !== null);
      return opened.length === streams.length ? new HolderMerge(opened) : null;
    };
    const resumed = await build(options.cursor);
    if (resumed !== null) return { merge: resumed, restarted: false };
    const fromStart = await build(null);
    if (fromStart === null) throw new Error('a walk from the beginning did not open');
    return { merge: fromStart, restarted: true };
  }

  /** Walks on until all streams end (true), or until the visitor or `isTimeToStop` says so (false). */
  async walk(visit: HolderVisitor, isTimeToStop: () => boolean): Promise<boolean> {
    await Promise.all(this.streams.map((stream) => stream.fill(isTimeToStop)));
    const next: HolderStream[] = [];
    for (let ids = 1; !this.#starved(); ids++) {
      this.#collectNext(next);
      const id = next[0]?.head?.id;
      if (id === undefined) return true;
      const { owner, othersMayGo, goesOn } = visit(id, next);
      for (const stream of next) {
        if (!stream.take(othersMayGo && stream !== owner)) await stream.fill(isTimeToStop);
      }
      if (!goesOn || (ids % IDS_PER_LOOK === 0 && isTimeToStop())) return false;
    }
    return false;
  }

  /** Where each stream stands. Taken between two ids, when it is known of every row whether it stays. */
  cursor(): HolderCursor {
    return { streams: this.streams.map((stream) => ({ holder: stream.holder, ...stream.position() })) };
  }

  get rowsRead(): number {
    return this.streams.reduce((sum, stream) => sum + stream.rowsRead, 0);
  }

  /** Closes all connections before something that takes long. The next `walk` goes on where this one stopped. */
  async suspend(): Promise<void> {
    await Promise.all(this.streams.map((stream) => stream.suspend()));
  }

  /** A stream was told to stop before it found its next row, so the order of what comes is unknown. */
  #starved(): boolean {
    for (const stream of this.streams) if (stream.head === null && !stream.hasEnded) return true;
    return false;
  }

  /** Puts the streams whose heads are the least id into `next`, which is reused for every id. */
  #collectNext(next: HolderStream[]): void {
    next.length = 0;
    let least: Buffer | null = null;
    for (const stream of this.streams) {
      if (stream.head === null) continue;
      const order = least === null ? -1 : Buffer.compare(stream.head.id, least);
      if (order > 0) continue;
      if (order < 0) next.length = 0;
      least = stream.head.id;
      next.push(stream);
    }
  }
}
