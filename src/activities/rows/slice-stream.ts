import type { PlacementPlan } from '../../domain/placement-plan';
import type { PlacementSpec } from '../../domain/shard-map';
import type { PointElement } from '../../shards/rows/point-stream';
import { idDigest, START, type PointWalk, type WalkBatch, type WalkPosition } from '../../shards/rows/point-walk';

/** The side of the move for which a shard is read: for the points that it gives, or for those that it takes. */
export type Side = 'donor' | 'receiver';

/** The slice of one side of one shard: rows that it should give, or take, under a placement. */
export function isInSlice(plan: PlacementPlan, side: Side, shardId: number): boolean {
  if (plan.donor < 0 || plan.donor === plan.owner) return false;
  return (side === 'donor' ? plan.donor : plan.owner) === shardId;
}

/** The shards that a placement can make donors and receivers. Others need not be read. */
export function sidesOf(placement: PlacementSpec): { donors: readonly number[]; receivers: readonly number[] } {
  const { shards, joining, leaving } = placement;
  const stays = shards.filter((id) => !joining.includes(id) && !leaving.includes(id));
  return {
    donors: joining.length > 0 ? [...stays, ...leaving] : [...leaving],
    receivers: leaving.length > 0 ? [...stays, ...joining] : [...joining],
  };
}

/**
 * The rows of one shard that belong to the move, one at a time, in byte order of their ids. `head` is looked at;
 * `advance` takes it, synchronously while rows are at hand.
 */
export class SliceStream {
  readonly shardId: number;
  readonly side: Side;
  head: PointElement | null = null;
  headOwner = -1;
  headDonor = -1;
  /** Rows read so far, of the slice or not. */
  rowsRead = 0;
  hasEnded = false;
  readonly #walk: PointWalk;
  readonly #plan: PlacementPlan;
  #batch: WalkBatch | null = null;
  #index = 0;
  /** The last row before the present batch, null when there is none. */
  #before: { readonly id: Buffer; readonly offset: number } | null = null;
  /** The last row passed that is not in the slice, or that was said to stay. */
  #staying: Buffer | null = null;

  constructor(options: { shardId: number; side: Side; walk: PointWalk; plan: PlacementPlan }) {
    this.shardId = options.shardId;
    this.side = options.side;
    this.#walk = options.walk;
    this.#plan = options.plan;
  }

  /** The shard lacks the collection, and the walk treats it as empty. */
  get isAbsent(): boolean {
    return this.#walk.isAbsent;
  }

  /** Goes on to the next row of the slice. False: `fill` has to read first. */
  advance(): boolean {
    const batch = this.#batch;
    if (batch === null) return false;
    const { elements } = batch;
    const plan = this.#plan;
    for (let index = this.#index + 1; index < elements.length; index++) {
      const element = elements[index] as PointElement;
      plan.locate(element.id);
      if (!isInSlice(plan, this.side, this.shardId)) {
        this.#staying = element.id;
        continue;
      }
      this.head = element;
      this.headOwner = plan.owner;
      this.headDonor = plan.donor;
      this.#index = index;
      return true;
    }
    this.#leaveBatch(batch);
    return false;
  }

  /** Reads until `head` is the next row of the slice, or the walk ends, or `enough` says to stop for now. */
  async fill(enough: () => boolean): Promise<void> {
    this.head = null;
    while (!this.hasEnded && !enough()) {
      const batch = await this.#walk.next();
      if (batch === null) {
        this.hasEnded = true;
        return;
      }
      this.rowsRead += batch.elements.length - batch.start;
      this.#batch = batch;
      this.#index = batch.start - 1;
      if (this.advance()) return;
    }
  }

  /** Where to go on behind the last row passed: all that were taken are before it, `head` is not. */
  position(): WalkPosition {
    const last = this.#lastPassed();
    return last === null ? START : { offset: last.offset + 1, lastIdDigest: idDigest(last.id) };
  }

  /**
   * The same for a shard from which all taken rows of the slice were deleted, except those that stay: behind the last
   * row that is still there. When there is no such row, the walk goes on from the beginning.
   */
  positionAmongStaying(): WalkPosition {
    const last = this.#lastPassed();
    if (last === null || this.#staying === null) return START;
    const offset = Math.max(0, last.offset + 1 - this.#walk.removedSincePage);
    return { offset, lastIdDigest: idDigest(this.#staying) };
  }

  /** A row of the slice that was taken is left in place. */
  stays(id: Buffer): void {
    if (this.#staying === null || Buffer.compare(id, this.#staying) > 0) this.#staying = id;
  }

  rowsRemoved(rows: number): void {
    this.#walk.rowsRemoved(rows);
  }

  suspend(): Promise<void> {
    return this.#walk.suspend();
  }

  #leaveBatch(batch: WalkBatch): void {
    const id = batch.elements[batch.elements.length - 1]?.id;
    if (id !== undefined) this.#before = { id, offset: batch.offset + batch.elements.length - 1 };
    this.#batch = null;
    this.head = null;
  }

  #lastPassed(): { readonly id: Buffer; readonly offset: number } | null {
    const batch = this.#batch;
    if (batch === null || this.#index <= batch.start) return this.#before;
    const id = (batch.elements[this.#index - 1] as PointElement).id;
    return { id, offset: batch.offset + this.#index - 1 };
  }
}
