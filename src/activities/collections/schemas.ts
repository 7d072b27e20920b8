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
  const byName = lists.map((list) => new Map(list.map((collection) => [collection.name, collection])));
  for (const name of new Set(lists.flat().map((collection) => collection.name))) {
    const found = byName.map((list) => list.get(name) ?? null);
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

/**
 * The places of two that differ. The first one may leave untold what a later one tells, so each is held against the first one, and
 * against the first that tells: a thousand shards need no more.
 */
function firstDifference(found: readonly FullCollection[]): readonly [number, number] | null {
  const firstThatTells = found.findIndex(({ binary }) => binary !== null);
  for (const [second, each] of found.entries()) {
    for (const first of [0, firstThatTells]) {
      const before = found[first];
      if (first < second && before !== undefined && !isAlike(before, each)) return [first, second];
    }
  }
  return null;
}

/** All collections of these shards, whether the shards agree on them or not. */
export function collectionInfos(lists: readonly (readonly ShardCollection[])[]): CollectionInfo[] {
  const points = new Map<string, number>();
  for (const { name, count } of lists.flat()) points.set(name, (points.get(name) ?? 0) + count);
  return [...points].map(([name, sum]) => ({ name, points: sum }));
}
