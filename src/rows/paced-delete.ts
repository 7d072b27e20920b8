import { restAfterDelete } from './pace';
import type { Job, RowShard } from './ports';

/** Ids in one call. A shard syncs its disk for each, under one lock for all of them. */
export const DELETE_IDS_MAX = 500;
const IDS_FIRST = 25;
const IDS_MIN = 5;
/** A read waits for one call at most. On Quiver 1.1.0, 25 ids a call delete 80 % as fast as 500, for 13 ms and not 200. */
const LONG_MS = 15;
/** As much as is given to calls whose time is not that of their ids. */
const LONG_MAX_MS = 60;
/** Half the ids have to take this share of the time, else the time is not theirs: a slow disk or network, or other callers. */
const HELPED_SHARE = 0.75;
/** So long a call waited for others as well, and they get as much time without one. */
const CROWDED_MS = 120;

/** Says which of these ids may still be deleted, right before they are. */
export type Still = (ids: readonly Buffer[]) => Promise<readonly Buffer[]>;

export const ALL: Still = (ids) => Promise.resolve(ids);

/**
 * Deletes rows of one shard in calls that its clients hardly feel. The time of a call is what a read of the same moment
 * waits, so it needs no probe beside it.
 */
export class PacedDelete {
  readonly #job: Job;
  readonly #shard: RowShard;
  #idsMax = IDS_FIRST;
  #longMs = LONG_MS;
  #deleted = 0;
  /** What the call took because of which the last one was given fewer ids. */
  #beforeFewerMs: number | null = null;

  constructor(job: Job, shard: RowShard) {
    this.#job = job;
    this.#shard = shard;
  }

  /** How many were there, in all calls until now, also of a `delete` that was cut off. */
  get deleted(): number {
    return this.#deleted;
  }

  /** Returns how many were there. */
  async delete(collection: string, ids: readonly Buffer[], still: Still = ALL) {
    const before = this.#deleted;
    for (let start = 0; start < ids.length;) {
      const next = ids.slice(start, start + this.#idsMax);
      start += next.length;
      const some = await still(next);
      if (some.length === 0) continue;
      const beganAtMs = this.#job.nowMs();
      this.#deleted += await this.#shard.delete(collection, some);
      const tookMs = this.#job.nowMs() - beganAtMs;
      if (some.length === this.#idsMax) this.#adapt(tookMs);
      const isCrowded = tookMs > CROWDED_MS;
      const { id: shard } = this.#shard;
      this.#job.slowness?.called('delete_latency', shard, { tookMs, boundMs: CROWDED_MS });
      await restAfterDelete(this.#job, { shard, tookMs, atLeastMs: isCrowded ? Math.ceil(tookMs) : 0 });
    }
    return this.#deleted - before;
  }

  /** After a call with as many ids as were allowed. */
  #adapt(tookMs: number): void {
    const beforeFewerMs = this.#beforeFewerMs;
    this.#beforeFewerMs = null;
    if (tookMs <= LONG_MS) this.#longMs = LONG_MS;
    if (beforeFewerMs !== null && tookMs > beforeFewerMs * HELPED_SHARE) {
      this.#longMs = Math.min(2 * beforeFewerMs, LONG_MAX_MS);
      this.#idsMax = Math.max(IDS_FIRST, Math.min(DELETE_IDS_MAX, this.#idsMax * 2));
    } else if (tookMs > this.#longMs && this.#idsMax > IDS_MIN) {
      this.#beforeFewerMs = tookMs;
      this.#idsMax = Math.max(IDS_MIN, Math.floor(this.#idsMax / 2));
    } else if (tookMs < this.#longMs / 2) {
      this.#idsMax = Math.min(DELETE_IDS_MAX, this.#idsMax * 2);
    }
  }
}
