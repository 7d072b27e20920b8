import { DomainError } from './errors';
import { IdHasher, shardSalt } from './hrw';
import type { PlacementSpec } from './shard-map';

/** `donor` when an id has none. */
export const NO_DONOR = -1;

const NOBODY = -1;
const SIGN_BIT = 0x80000000 | 0;

/**
 * Owner and donor of every id under one placement, as Quiver's routers see them:
 *
 * - *owner*: the winner among the shards that are not leaving; if all are leaving, among all.
 * - *donor*: the winner among all shards, if it is leaving. Else, if the owner is joining, the winner among the shards
 *   that are neither joining nor leaving. Else none. Where all are leaving, the donor is therefore the owner.
 *
 * The winner has the greatest score; on a tie it is the last one in map order.
 */
export class PlacementPlan {
  /** Results of the last `locate`. */
  owner = NOBODY;
  donor = NO_DONOR;

  readonly #shardIds: readonly number[];
  readonly #isJoining: readonly boolean[];
  readonly #isLeaving: readonly boolean[];
  readonly #saltHighs: Int32Array;
  readonly #saltLows: Int32Array;
  readonly #hasher = new IdHasher();
  readonly #all = new Winner();
  readonly #staying = new Winner();
  readonly #settled = new Winner();

  /**
   * @throws DomainError InvalidRequest on a placement without shards, or with an id that a number does not hold
   * exactly.
   */
  constructor(spec: PlacementSpec) {
    if (spec.shards.length === 0) throw new DomainError('InvalidRequest', 'a placement needs at least one shard');
    const inexact = spec.shards.find((id) => !Number.isSafeInteger(id) || id < 0);
    if (inexact !== undefined) {
      throw new DomainError(
        'InvalidRequest',
        `a shard id must be an integer from 0 to 2^53 - 1, this one is ${inexact}`,
      );
    }
    const salts = spec.shards.map(shardSalt);
    this.#shardIds = [...spec.shards];
    this.#isJoining = spec.shards.map((id) => spec.joining.includes(id));
    this.#isLeaving = spec.shards.map((id) => spec.leaving.includes(id));
    this.#saltHighs = Int32Array.from(salts, (salt) => salt.high);
    this.#saltLows = Int32Array.from(salts, (salt) => salt.low);
  }

  ownerOf(id: Uint8Array): number {
    this.locate(id);
    return this.owner;
  }

  donorOf(id: Uint8Array): number | null {
    this.locate(id);
    return this.donor === NO_DONOR ? null : this.donor;
  }

  /** Sets `owner` and `donor` (NO_DONOR when there is none) for the id's UTF-8 bytes. Allocates nothing. */
  locate(id: Uint8Array): void {
    const [all, staying, settled, hasher] = [
      this.#all.reset(),
      this.#staying.reset(),
      this.#settled.reset(),
      this.#hasher,
    ];
    hasher.hash(id);
    const count = this.#shardIds.length;
    for (let index = 0; index < count; index++) {
      hasher.score(this.#saltHighs[index]!, this.#saltLows[index]!);
      const { scoreHigh, scoreLow } = hasher;
      all.offer(index, scoreHigh, scoreLow);
      if (this.#isLeaving[index]!) continue;
      staying.offer(index, scoreHigh, scoreLow);
      if (!this.#isJoining[index]!) settled.offer(index, scoreHigh, scoreLow);
    }
    const owner = staying.index === NOBODY ? all.index : staying.index;
    this.owner = this.#shardIds[owner]!;
    this.donor = NO_DONOR;
    if (this.#isLeaving[all.index]!) this.donor = this.#shardIds[all.index]!;
    else if (this.#isJoining[owner]! && settled.index !== NOBODY) this.donor = this.#shardIds[settled.index]!;
  }
}

/** The best of the scores offered so far. */
class Winner {
  index = NOBODY;
  #high = 0;
  #low = 0;

  reset(): this {
    this.index = NOBODY;
    return this;
  }

  /** Takes the lead with a score that is at least as great, as u64, as all before: the last one wins a tie. */
  offer(index: number, high: number, low: number): void {
    // With the sign bit flipped, signed integers compare like the unsigned ones that they stand for.
    const [comparableHigh, comparableLow] = [high ^ SIGN_BIT, low ^ SIGN_BIT];
    if (this.index !== NOBODY) {
      if (comparableHigh < this.#high || (comparableHigh === this.#high && comparableLow < this.#low)) return;
    }
    this.index = index;
    this.#high = comparableHigh;
    this.#low = comparableLow;
  }
}

/** Whom a move writes to: a grow to those that join, a drain to all that stay. */
export function receiversOf({ shards, joining, leaving }: PlacementSpec): readonly number[] {
  return joining.length > 0 ? joining : shards.filter((id) => !leaving.includes(id));
}
