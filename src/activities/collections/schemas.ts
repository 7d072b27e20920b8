import { samplesOf } from '../../domain/bounded-text';
import type { Shard } from '../../domain/shard-map';
import type { ShardCollection } from '../../shards/http/shard-client';
import type { CollectionInfo } from '../../contract/move';
import { isAlike, shownSchema, type FullCollection } from './full-list';

/**
 * One sentence on the first collection that is not the same on all shards, or null. `lists` has the order of `shards`.
 */
export function schemaDifference(
  shards: readonly Shard[],
  lists: readonly (readonly FullCollection[])[],
): string | null {
  for (const name of new Set(lists.flat().map((collection) => collection.name))) {
    const found = lists.map((list) => list.find((collection) => collection.name === name) ?? null);
    const lacking = shards.filter((_, index) => found[index] === null);
    if (lacking.length > 0) {
      const ids = samplesOf(lacking.map((shard) => shard.id));
      return `expected collection ${name} on every shard, shard ${ids} lacks it: create it there (POST /cluster/repair does), or drop it everywhere`;
    }
    const difference = firstDifference(found.filter((collection) => collection !== null));
    if (difference !== null) {
      const [first, second] = difference;
      return (
        `expected collection ${name} to be the same on every shard, it is ${shownSchema(found[first])} on shard ${shards[first]?.id} ` +
        `and ${shownSchema(found[second])} on shard ${shards[second]?.id}: drop it and create it alike`
      );
    }
  }
  return null;
}

/** The places of two that differ. The first may leave untold what others tell, so each is held against all before it. */
function firstDifference(found: readonly FullCollection[]): readonly [number, number] | null {
  for (const [second, each] of found.entries()) {
    const first = found.slice(0, second).findIndex((before) => !isAlike(before, each));
    if (first >= 0) return [first, second];
  }
  return null;
}

/** All collections of these shards, whether the shards agree on them or not. */
export function collectionInfos(lists: readonly (readonly ShardCollection[])[]): CollectionInfo[] {
  const points = new Map<string, number>();
  for (const { name, count } of lists.flat()) points.set(name, (points.get(name) ?? 0) + count);
  return [...points].map(([name, sum]) => ({ name, points: sum }));
}
