import { DELETE_IDS_MAX } from '../../domain/limits';
import type { ShardClient } from '../../shards/http/shard-client';
import type { Attempt } from '../frame/attempt';

const FIRST_IDS = 1_000;
const LEAST_IDS = 50;
/** Between these two a request is neither too small nor too large. */
const SHORT_MS = 500;
const LONG_MS = 2_000;

/**
 * Deletes points in requests that take a second or two. The time depends on the index, the dimension and the load of
 * the shard (measured on Quiver 1.1.0: 10,000 ids in 1 to 9 s). A request that outlives its time-out would be repeated
 * for ever.
 */
export class PacedDelete {
  readonly #attempt: Attempt;
  readonly #client: ShardClient;
  readonly #collection: string;
  #idsMax = FIRST_IDS;

  constructor(attempt: Attempt, client: ShardClient, collection: string) {
    this.#attempt = attempt;
    this.#client = client;
    this.#collection = collection;
  }

  /** After each request, `onDeleted` gets the number of points that were there to be deleted. */
  async delete(ids: readonly Buffer[], onDeleted: (points: number) => void): Promise<void> {
    let start = 0;
    while (start < ids.length) {
      const some = ids.slice(start, start + this.#idsMax);
      const beganAtMs = this.#attempt.nowMs();
      onDeleted(await this.#attempt.write((ctx) => this.#client.deletePoints(this.#collection, some, ctx)));
      start += some.length;
      this.#adjust(this.#attempt.nowMs() - beganAtMs);
    }
  }

  #adjust(tookMs: number): void {
    if (tookMs < SHORT_MS) this.#idsMax = Math.min(DELETE_IDS_MAX, this.#idsMax * 2);
    if (tookMs > LONG_MS) this.#idsMax = Math.max(LEAST_IDS, Math.floor(this.#idsMax / 2));
  }
}
