/** What the witness remembers of the cluster, and what to do when the state falls behind it. */
import { returnStandby, sharesUrl } from './autoscale-state';
import type { ClusterState, OperationLock } from './cluster-state';
import { isSameMap, shardAtAddress, type ShardMap } from './shard-map';

/** The part of the state that routers and operations act on, as it was last published (see temporal/published.ts). */
export interface PublishedState {
  readonly map: ShardMap;
  readonly nextId: number;
  readonly lock: OperationLock | null;
}

export function publishedPart({ map, nextId, lock }: PublishedState): PublishedState {
  return { map, nextId, lock };
}

/**
 * Has this state been rewound (a workflow reset, an old backup)? It has when what was published is of a later version, is another map under the
 * same version, or has given out more ids. `state` must have been read *after* `published` was: an earlier reading may simply be older.
 */
export function isBehind(state: Pick<PublishedState, 'map' | 'nextId'>, published: PublishedState): boolean {
  if (state.nextId < published.nextId || state.map.version < published.map.version) return true;
  return state.map.version === published.map.version && !isSameMap(state.map, published.map);
}

/** Of two records the one that is kept: a publish that arrives late never lowers it. */
export function laterPublished(kept: PublishedState | null, offered: PublishedState): PublishedState {
  return kept === null || !isBehind(offered, kept) ? offered : kept;
}

/**
 * INV-1: routers ignore a version that is not higher, so what was rewound is put back as it was published, one version above both. The lock comes
 * with it: when its holder has ended meanwhile, it is found as every dead lock is. A state that is not behind stays as it is.
 */
export function catchUp(state: ClusterState, published: PublishedState): ClusterState {
  if (!isBehind(state, published)) return state;
  const version = Math.max(state.map.version, published.map.version) + 1;
  const nextId = Math.max(state.nextId, published.nextId);
  return replacePublishedPart(state, { map: { ...published.map, version }, nextId, lock: published.lock });
}

/**
 * Another map and another lock under the same records and policy. A standby is in the pool, with the lock of the grow that took it, or in the map:
 * a lock that comes has its own with it, and one that goes leaves it to the pool (INV-7).
 */
export function replacePublishedPart(state: ClusterState, { map, nextId, lock }: PublishedState): ClusterState {
  const before = state.lock?.standby?.standby ?? null;
  const now = lock?.standby?.standby ?? null;
  const standbys = state.autoscale.standbys.filter((each) => now === null || !sharesUrl(each, now));
  const autoscale = { ...state.autoscale, standbys };
  const isLeft =
    before !== null && shardAtAddress(map, before) === undefined && (now === null || !sharesUrl(before, now));
  return { ...state, map, nextId, lock, autoscale: isLeft ? returnStandby(autoscale, before, null, 0) : autoscale };
}
