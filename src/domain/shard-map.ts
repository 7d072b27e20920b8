import { samplesOf } from './bounded-text';
import { DomainError } from './errors';

/** How one shard is reached. URLs are in normal form (see `normalizeShardUrl`). */
export interface ShardAddress {
  readonly primary_url: string;
  readonly replica_urls: readonly string[];
  /** Where its gRPC answers, when that is not beside its REST port. Never in the map, which has Quiver's shape. */
  readonly grpc_url?: string | undefined;
}

/** One member of the cluster. `id` is a u64 on the wire; this coordinator allocates and accepts only safe integers. */
export interface Shard extends ShardAddress {
  readonly id: number;
}

/**
 * The versioned shard map, exactly as routers read it (`GET /cluster/map`).
 * `joining` shards receive writes and serve no reads; `leaving` ones still hold data and own nothing.
 * The order of `shards` is the order of joining and breaks placement ties.
 */
export interface ShardMap {
  readonly version: number;
  readonly shards: readonly Shard[];
  readonly joining: readonly number[];
  readonly leaving: readonly number[];
}

/**
 * The part of a map that placement depends on: ids only, in map order. Small enough to be an argument of every
 * activity.
 */
export interface PlacementSpec {
  readonly shards: readonly number[];
  readonly joining: readonly number[];
  readonly leaving: readonly number[];
}

/** A shard as the map shows it. */
export function asMember({ id, primary_url, replica_urls }: Shard): Shard {
  return { id, primary_url, replica_urls };
}

export function placementSpec(map: ShardMap): PlacementSpec {
  return { shards: map.shards.map((shard) => shard.id), joining: map.joining, leaving: map.leaving };
}

export function findShard(map: ShardMap, id: number): Shard | undefined {
  return map.shards.find((shard) => shard.id === id);
}

/** Compares version, shards, addresses and roles, whatever the order of their JSON fields. */
export function isSameMap(a: ShardMap, b: ShardMap): boolean {
  const isSameShard = (one: Shard, other: Shard | undefined): boolean =>
    one.id === other?.id && one.primary_url === other.primary_url && isSameList(one.replica_urls, other.replica_urls);
  return (
    a.version === b.version &&
    a.shards.length === b.shards.length &&
    a.shards.every((shard, index) => isSameShard(shard, b.shards[index])) &&
    isSameList(a.joining, b.joining) &&
    isSameList(a.leaving, b.leaving)
  );
}

function isSameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, index) => each === b[index]);
}

/** @throws DomainError UnknownShard */
export function requireShard(map: ShardMap, id: number): Shard {
  const shard = findShard(map, id);
  if (shard === undefined) {
    const known = samplesOf(map.shards.map((each) => each.id));
    throw new DomainError(
      'UnknownShard',
      `shard ${id} is not in the map (version ${map.version} has ${known || 'none'})`,
    );
  }
  return shard;
}

/** The shard that already answers at one of `address`'s URLs, or undefined. Both sides are in normal form. */
export function shardAtAddress(map: Pick<ShardMap, 'shards'>, address: ShardAddress): Shard | undefined {
  const wanted = new Set([address.primary_url, ...address.replica_urls]);
  return map.shards.find((shard) => [shard.primary_url, ...shard.replica_urls].some((url) => wanted.has(url)));
}

/** INV-1: every change of the map adds one to its version. All changes go through here. */
function nextVersion(map: ShardMap, change: Partial<Omit<ShardMap, 'version'>>): ShardMap {
  return { ...map, ...change, version: map.version + 1 };
}

/** @throws DomainError ShardAlreadyInMap */
export function addOwners(map: ShardMap, shards: readonly Shard[]): ShardMap {
  refuseKnownAddresses(map, shards);
  return nextVersion(map, { shards: [...map.shards, ...shards.map(asMember)] });
}

/** @throws DomainError ShardAlreadyInMap */
export function addJoining(map: ShardMap, shards: readonly Shard[]): ShardMap {
  refuseKnownAddresses(map, shards);
  return nextVersion(map, {
    shards: [...map.shards, ...shards.map(asMember)],
    joining: [...map.joining, ...shards.map((shard) => shard.id)],
  });
}

/** All of `ids` become owners in one version. @throws DomainError UnknownShard, NotJoining */
export function promote(map: ShardMap, ids: readonly number[]): ShardMap {
  for (const id of ids) {
    requireShard(map, id);
    if (!map.joining.includes(id)) {
      throw new DomainError('NotJoining', `shard ${id} is not joining: only a joining shard can be promoted`);
    }
  }
  return nextVersion(map, { joining: map.joining.filter((id) => !ids.includes(id)) });
}

/** `ids` stay in the map and hold what they hold, but own nothing. @throws DomainError UnknownShard, LastShard */
export function addLeaving(map: ShardMap, ids: readonly number[]): ShardMap {
  for (const id of ids) requireShard(map, id);
  const leaving = [...map.leaving, ...ids.filter((id) => !map.leaving.includes(id))];
  if (map.shards.every(({ id }) => leaving.includes(id) || map.joining.includes(id))) {
    throw new DomainError(
      'LastShard',
      `shard ${samplesOf(ids)} is the last owner: a cluster keeps at least one, so let another shard join first`,
    );
  }
  return nextVersion(map, { leaving });
}

/** The undo of `addLeaving`: `ids` are owners again. @throws DomainError UnknownShard */
export function removeLeaving(map: ShardMap, ids: readonly number[]): ShardMap {
  for (const id of ids) requireShard(map, id);
  return nextVersion(map, { leaving: map.leaving.filter((id) => !ids.includes(id)) });
}

/**
 * The machine moved, or another one took over for good. What is left out of `address` stays.
 * @throws DomainError UnknownShard, ShardAlreadyInMap, InvalidRequest
 */
export function replaceAddress(map: ShardMap, id: number, address: Partial<ShardAddress>): ShardMap {
  const before = requireShard(map, id);
  const after = asMember({ ...before, ...address });
  const urls = [after.primary_url, ...after.replica_urls];
  if (new Set(urls).size !== urls.length) {
    throw new DomainError(
      'InvalidRequest',
      `the URLs of shard ${id} must all differ, it would have ${samplesOf(urls)}: give both primary_url and replica_urls`,
    );
  }
  refuseKnownAddresses({ ...map, shards: map.shards.filter((shard) => shard.id !== id) }, [after]);
  return nextVersion(map, { shards: map.shards.map((shard) => (shard.id === id ? after : shard)) });
}

/** Takes `ids` out of the map, out of `joining` and `leaving` too. @throws DomainError UnknownShard, LastShard */
export function remove(map: ShardMap, ids: readonly number[]): ShardMap {
  for (const id of ids) requireShard(map, id);
  const stays = (id: number): boolean => !ids.includes(id);
  const shards = map.shards.filter((shard) => stays(shard.id));
  if (shards.length === 0) {
    throw new DomainError('LastShard', `shard ${samplesOf(ids)} is the last one: a cluster keeps at least one shard`);
  }
  return nextVersion(map, { shards, joining: map.joining.filter(stays), leaving: map.leaving.filter(stays) });
}

function refuseKnownAddresses(map: ShardMap, shards: readonly Shard[]): void {
  for (const shard of shards) refuseKnownAddress(map, shard);
}

/** @throws DomainError ShardAlreadyInMap */
export function refuseKnownAddress(map: Pick<ShardMap, 'shards'>, address: ShardAddress): void {
  const known = shardAtAddress(map, address);
  if (known === undefined) return;
  const urls = [known.primary_url, ...known.replica_urls];
  const shared = [address.primary_url, ...address.replica_urls].find((url) => urls.includes(url));
  throw new DomainError(
    'ShardAlreadyInMap',
    `${shared} is already in the map as shard ${known.id}: give the address of a shard that is not in the cluster yet`,
  );
}

/**
 * The normal form in which shard URLs are compared and stored: trimmed, http or https, lower-case scheme and host, no
 * default port, no trailing slash. A path prefix is kept. @throws DomainError InvalidShardUrl
 */
export function normalizeShardUrl(input: string): string {
  const text = input.trim();
  const refuse = (why: string): never => {
    throw new DomainError('InvalidShardUrl', `a shard URL must look like http://host:6333, ${why}`);
  };
  if (text === '') return refuse('got an empty one');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return refuse('this one cannot be parsed');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse(`this one has the scheme ${url.protocol}`);
  if (url.username !== '' || url.password !== '')
    return refuse('this one carries user information; keys are configuration');
  if (url.search !== '' || text.includes('?')) return refuse('this one has a query');
  if (url.hash !== '' || text.includes('#')) return refuse('this one has a fragment');
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
}

/**
 * URLs are compared in normal form everywhere, so they are kept in it from the beginning.
 * @throws DomainError InvalidShardUrl
 */
export function normalizeMap(map: ShardMap): ShardMap {
  const shards = map.shards.map((shard): Shard => ({
    id: shard.id,
    primary_url: normalizeShardUrl(shard.primary_url),
    replica_urls: shard.replica_urls.map(normalizeShardUrl),
  }));
  return { ...map, shards };
}

/** By habit gRPC listens beside REST. `grpc_url` of the shard wins over this. */
export function defaultGrpcUrl(primaryUrl: string, portOffset: number): string {
  const url = new URL(primaryUrl);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return `${url.protocol}//${url.hostname}:${port + portOffset}`;
}
