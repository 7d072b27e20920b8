import type { Job, RowShard } from './ports';

/** Ids in one call. A shard syncs its disk for each, under one lock for all of them. */
export const DELETE_IDS_MAX = 500;
const IDS_FIRST = 25;
const IDS_MIN = 5;
/** A read waits for one call at most. On Quiver 1.1.0, 25 ids a call delete 80 % as fast as 500, for 13 ms and not 200. */
const LONG_MS = 30;
const SHORT_MS = 15;
/** So long a call waited for others as well, and they get as much time without one. */
const CROWDED_MS = 120;

/**
 * Deletes rows of one shard in calls that its clients hardly feel. The time of a call is what a read of the same moment
 * waits, so it needs no probe beside it.
 */
export class PacedDelete {
  readonly #job: Job;
  readonly #shard: RowShard;
  #idsMax = IDS_FIRST;

  constructor(job: Job, shard: RowShard) {
    this.#job = job;
    this.#shard = shard;
  }

  /** Returns how many were there. */
  async delete(collection: string, ids: readonly Buffer[]): Promise<number> {
    let deleted = 0;
    for (let start = 0; start < ids.length;) {
      const some = ids.slice(start, start + this.#idsMax);
      start += some.length;
      const beganAtMs = this.#job.nowMs();
      deleted += await this.#shard.delete(collection, some);
      const tookMs = this.#job.nowMs() - beganAtMs;
      if (tookMs > LONG_MS) this.#idsMax = Math.max(IDS_MIN, Math.floor(this.#idsMax / 2));
      else if (tookMs < SHORT_MS && some.length === this.#idsMax) {
        this.#idsMax = Math.min(DELETE_IDS_MAX, this.#idsMax * 2);
      }
      if (tookMs > CROWDED_MS) await this.#job.sleep(Math.ceil(tookMs));
    }
    return deleted;
  }
}
