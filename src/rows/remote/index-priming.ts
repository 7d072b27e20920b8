/**
 * Priming makes a shard build its index while the collection is still almost empty.
 *
 * Quiver 1.1.0 builds an index at the first search. Measured on 2 cores, 33,000 points of 64 dimensions, hnsw: in a
 * quiet collection that search takes 22 s. While clients write 20 points a second, neither it nor any other search was
 * answered within 60 s. After 256 points it takes 15-160 ms. Bulk upserts cost the same afterwards, and every search is
 * answered within 5 ms. The index is brought up to date in the background within 24-33 s, also while clients write.
 * Until then searches do not find the new points (see index-probe.ts). That loses nothing while the donors hold them
 * too.
 */
import { canProbe } from '../../shards/http/index-probe';
import type { ShardClient } from '../../shards/http/shard-client';
import type { Priming } from '../owner-writer';
import type { RemoteJob } from './remote-job';

/** Points of the first write to an owner whose index is to be primed. */
const PRIME_POINTS = 256;
/** Above this many points a build takes too long to wait for in the middle of a copy. */
const PRIME_COUNT_MAX = 4_096;
/** Ten times what a search takes on so few points. One that clients' writes have overtaken is not answered at all. */
const PRIME_TIMEOUT_MS = 1_500;
/** Graph indexes only: others learn centroids or codebooks from the points that are there when they are built. */
const PRIMED_INDEXES: readonly string[] = ['hnsw', 'vamana'];

/**
 * Who primes which collection of which shard. Of two jobs of a worker that begin on the same joiner, the other one waits: its
 * rows would come in the middle of the build, and then no search is answered.
 */
export class PrimingTurns {
  readonly #turns = new Map<string, Promise<void>>();

  async take<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (let other = this.#turns.get(what); other !== undefined; other = this.#turns.get(what)) await other;
    const working = work();
    const ended = working.then(
      () => undefined,
      () => undefined,
    );
    const turn = ended.then(() => {
      this.#turns.delete(what);
    });
    this.#turns.set(what, turn);
    return working;
  }
}

export class IndexPriming implements Priming {
  readonly #job: RemoteJob;
  readonly #clientOf: (shardId: number) => ShardClient;
  readonly #turns: PrimingTurns;

  constructor(job: RemoteJob, clientOf: (shardId: number) => ShardClient, turns: PrimingTurns) {
    this.#job = job;
    this.#clientOf = clientOf;
    this.#turns = turns;
  }

  prime(ownerId: number, collection: string, write: (rows: number) => Promise<void>): Promise<number> {
    const what = JSON.stringify([this.#clientOf(ownerId).leaderUrl, collection]);
    return this.#turns.take(what, async () => {
      this.#job.signal.throwIfAborted();
      if (!(await this.#needsPriming(ownerId, collection))) return 0;
      await write(PRIME_POINTS);
      await this.#search(ownerId, collection);
      return PRIME_POINTS;
    });
  }

  /** Not when the index is built, would be built from too many points, or would get worse by it. */
  async #needsPriming(ownerId: number, collection: string): Promise<boolean> {
    const info = await this.#clientOf(ownerId).getCollection(collection, this.#job.reading);
    if (info === null || info.count > PRIME_COUNT_MAX || !PRIMED_INDEXES.includes(info.index)) return false;
    if (info.multivector === true || (info.count > 0 && info.index_ready)) return false;
    // Without the probe nobody could tell when the index is up to date.
    return canProbe(info) && !info.schema.includes('"pq_subspaces"');
  }

  /** Whatever comes of it, the copy goes on: an index that is not ready costs warm-up time, never data. */
  async #search(ownerId: number, collection: string): Promise<void> {
    const client = this.#clientOf(ownerId);
    const deadlineMs = Math.min(this.#job.reading.deadlineMs, this.#job.nowMs() + PRIME_TIMEOUT_MS);
    const ctx = { ...this.#job.reading, deadlineMs };
    try {
      const info = await client.getCollection(collection, ctx);
      if (info !== null && !info.index_ready) await client.search(collection, info.dim, ctx);
    } catch {
      this.#job.signal.throwIfAborted();
    }
  }
}
