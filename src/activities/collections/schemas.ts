import type { Shard } from '../../domain/shard-map';
import type { ShardCollection } from '../../shards/http/shard-client';
import type { CollectionInfo } from '../../contract/move';

/**
 * One sentence on the first collection that is not the same on all shards, or null. `lists` has the order of `shards`.
 */
export function schemaDifference(
  shards: readonly Shard[],
  lists: readonly (readonly ShardCollection[])[],
): string | null {
  for (const name of new Set(lists.flat().map((collection) => collection.name))) {
    const found = lists.map((list) => list.find((collection) => collection.name === name) ?? null);
    const lacking = shards.filter((_, index) => found[index] === null);
    if (lacking.length > 0) {
      const ids = lacking.map((shard) => shard.id).join(', ');
      return `expected collection ${name} on every shard, shard ${ids} lacks it: create it there (POST /cluster/repair does), or drop it everywhere`;
    }
    const other = found.findIndex((collection) => collection?.schema !== found[0]?.schema);
    if (other > 0) {
      const [first, second] = [shards[0]?.id, shards[other]?.id];
      return (
        `expected collection ${name} to be the same on every shard, it is ${found[0]?.schema} on shard ${first} ` +
        `and ${found[other]?.schema} on shard ${second}: drop it and create it alike`
      );
    }
  }
  return null;
}

/** All collections of these shards, whether the shards agree on them or not. */
export function collectionInfos(
  shards: readonly Shard[],
  lists: readonly (readonly ShardCollection[])[],
): CollectionInfo[] {
  const counts = new Map<string, Record<string, number>>();
  lists.forEach((list, index) => {
    const shardId = String(shards[index]?.id);
    for (const { name, count } of list) counts.set(name, { ...counts.get(name), [shardId]: count });
  });
  return [...counts].map(([name, countByShard]) => ({ name, countByShard }));
}
