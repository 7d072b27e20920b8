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
import type { CopyPageInput } from '../../contract/move';
import type { ActivityScope } from '../frame/run-activity';

/** Points of the first body for an owner whose index is to be primed. */
export const PRIME_POINTS = 256;
/** Above this many points a build takes too long to wait for in the middle of a copy. */
const PRIME_COUNT_MAX = 4_096;
const PRIME_TIMEOUT_MS = 5_000;

/** Graph indexes only: others learn centroids or codebooks from the points that are there when they are built. */
const PRIMED_INDEXES: readonly string[] = ['hnsw', 'vamana'];

/** True when the owner's index is not built yet, would be built from few points, and does not get worse by that. */
export async function isPrimingUseful(scope: ActivityScope, input: CopyPageInput, ownerId: number): Promise<boolean> {
  const owner = scope.shards.ofMove(input, ownerId);
  const info = await owner.getCollection(input.collection, scope.attempt.reading);
  if (info === null || info.count > PRIME_COUNT_MAX || !PRIMED_INDEXES.includes(info.index)) return false;
  if (info.count > 0 && info.index_ready) return false;
  // Without the probe nobody could tell when the index is up to date.
  return canProbe(info) && !info.schema.includes('"pq_subspaces"');
}

/** One search. Whatever comes of it, the copy goes on: an index that is not ready costs warm-up time, never data. */
export async function primeIndex(scope: ActivityScope, input: CopyPageInput, ownerId: number): Promise<void> {
  const owner = scope.shards.ofMove(input, ownerId);
  const ctx = scope.attempt.readingFor(PRIME_TIMEOUT_MS);
  try {
    const info = await owner.getCollection(input.collection, ctx);
    if (info !== null && !info.index_ready) await owner.search(input.collection, info.dim, ctx);
  } catch {
    scope.attempt.signal.throwIfAborted();
  }
}
