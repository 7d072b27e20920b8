/** Holds the request of a check or a repair against the map. */
import { samplesOf } from './bounded-text';
import { DomainError } from './errors';
import { holderOf, type Holder } from './findings';
import { shardAtAddress, type ShardAddress, type ShardMap } from './shard-map';

/** @throws DomainError ShardAlreadyInMap, InvalidRequest */
export function requireParties(
  map: ShardMap,
  { leftovers, prefer }: { leftovers: readonly ShardAddress[]; prefer: readonly Holder[] },
): void {
  const seen = new Set<string>();
  for (const leftover of leftovers) {
    const known = shardAtAddress(map, leftover);
    if (known !== undefined) {
      throw new DomainError(
        'ShardAlreadyInMap',
        `expected leftovers to be shards that are not in the map, ${leftover.primary_url} is in it as shard ${known.id}: leave it out, every shard of the map is read`,
      );
    }
    for (const url of [leftover.primary_url, ...leftover.replica_urls]) {
      if (seen.has(url)) throw new DomainError('InvalidRequest', `${url} is named twice: give each leftover once`);
      seen.add(url);
    }
  }
  const holders = [...map.shards, ...leftovers].map(holderOf);
  const stranger = prefer.find((holder) => !holders.includes(holder));
  if (stranger === undefined) return;
  throw new DomainError(
    'InvalidRequest',
    `expected prefer to name shards of the map by id, or leftovers by primary_url, "${stranger}" is neither: there are ${samplesOf(holders)}`,
  );
}
