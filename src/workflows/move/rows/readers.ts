/** Which shards an operation reads, how often, and how much of each will move. */
import type { PlanScansInput } from '../../../contract/move';
import type { Shard } from '../../../domain/shard-map';

type Readers = PlanScansInput['readers'];

/** Every donor gives the same share of its points: that of the joiners among all owners. */
export function readersOfGrow(donors: readonly Shard[], joiners: number): Readers {
  const share = joiners / (donors.length + joiners);
  return donors.map(({ id: shardId }) => ({ shardId, scans: 2, share }));
}

/** The others are read once before the copy: what a router has left there alone, no scan of the leaver shows. */
export function readersOfDrain(
  shards: readonly Shard[],
  { shardId, isInOrder }: { shardId: number; isInOrder: boolean },
): Readers {
  return shards.map(({ id }) =>
    id === shardId ? { shardId, scans: 2, share: 1 } : { shardId: id, scans: isInOrder ? 1 : 2, share: 0 },
  );
}

/** Every shard is read once a pass. */
export function readersOfPass(shards: readonly Shard[]): Readers {
  return shards.map(({ id: shardId }) => ({ shardId, scans: 1, share: 0 }));
}
