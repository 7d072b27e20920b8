import type { Job, RowShard } from './ports';

/** Ids in one call. A shard syncs its disk for each, under one lock for all of them. */
export const DELETE_IDS_MAX = 500;
const IDS_FIRST = 100;
const IDS_MIN = 10;
const LONG_MS = 120;
const SHORT_MS = 60;
/** Clients get this share of the time that a delete took, without one. */
const REST_SHARE = 0.5;

/** Deletes rows of one shard in calls that its clients hardly feel. */
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
      else if (tookMs < SHORT_MS) this.#idsMax = Math.min(DELETE_IDS_MAX, this.#idsMax * 2);
      if (tookMs > 1) await this.#job.sleep(Math.ceil(tookMs * REST_SHARE));
    }
    return deleted;
  }
}
