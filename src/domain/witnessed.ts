/** What the witness remembers of the cluster, and what to do when the state falls behind it. */
import { returnStandby, sharesUrl } from './autoscale-state';
import type { ClusterState, OperationLock } from './cluster-state';
import { pruneMembers } from './identity-transitions';
import { EPOCHS_LEFT_OUT, type ClusterIdentity } from './members';
import type { ClusterRouters } from './router-entries';
import { isSameMap, shardAtAddress, type ShardMap } from './shard-map';

/** The part of the state that routers and operations act on, as the witness remembers it (see client/cluster/witness.ts). */
export interface WitnessedState {
  readonly map: ShardMap;
  readonly nextId: number;
  readonly lock: OperationLock | null;
  /** Whose the shards are. A witness of release 0.2 does not know. */
  readonly identity?: ClusterIdentity | undefined;
  readonly epoch?: number | undefined;
  /** Only a list of routers that was made by hand: any other one comes from the settings again. */
  readonly routers?: ClusterRouters | undefined;
}

export function witnessedPart({ map, nextId, lock, identity, epoch, routers }: WitnessedState): WitnessedState {
  return {
    ...{ map, nextId, lock },
    ...(identity && { identity }),
    ...(epoch !== undefined && { epoch }),
    ...(routers?.isByHand === true && { routers }),
  };
}

/**
 * Has this state been rewound (a workflow reset, an old backup)? It has when the witnessed state is of a later version, is another map under
 * the same version, or has given out more ids. `state` must have been read *after* `witnessed` was: an earlier reading may simply be older.
 */
export function isBehind(state: Pick<WitnessedState, 'map' | 'nextId'>, witnessed: WitnessedState): boolean {
  if (state.nextId < witnessed.nextId || state.map.version < witnessed.map.version) return true;
  return state.map.version === witnessed.map.version && !isSameMap(state.map, witnessed.map);
}

/** The state that the witness keeps of two: an offer that arrives late never lowers it. */
export function laterWitnessed(kept: WitnessedState | null, offered: WitnessedState): WitnessedState {
  if (kept === null) return offered;
  if (isBehind(offered, kept)) return kept;
  // What was made by hand stays so: whoever offers none is of an earlier release.
  if (kept.routers === undefined || offered.routers !== undefined) return offered;
  return { ...offered, routers: kept.routers };
}

/**
 * INV-1: routers ignore a version that is not higher, so a rewound state is put back as it was witnessed, one version above both. The lock
 * comes with it: when its holder has ended meanwhile, it is found as every abandoned lock is. A state that is not behind stays as it is.
 */
export function catchUp(state: ClusterState, witnessed: WitnessedState): ClusterState {
  if (!isBehind(state, witnessed)) return state;
  const version = Math.max(state.map.version, witnessed.map.version) + 1;
  const nextId = Math.max(state.nextId, witnessed.nextId);
  return replaceWitnessedPart(state, { ...witnessed, map: { ...witnessed.map, version }, nextId });
}

/**
 * Another map and another lock under the same records and policy. A standby is in the pool, with the lock of the grow that took it, or in
 * the map: a new lock brings its own standby, and a lock that goes gives its standby back to the pool (INV-7).
 */
export function replaceWitnessedPart(state: ClusterState, witnessed: WitnessedState): ClusterState {
  const { map, nextId, lock } = witnessed;
  const before = state.lock?.standby?.standby ?? null;
  const now = lock?.standby?.standby ?? null;
  const standbys = state.autoscale.standbys.filter((each) => now === null || !sharesUrl(each, now));
  const autoscale = { ...state.autoscale, standbys };
  const isLeft =
    before !== null && shardAtAddress(map, before) === undefined && (now === null || !sharesUrl(before, now));
  const identity = state.identity.uid === null ? (witnessed.identity ?? state.identity) : state.identity;
  const epoch = Math.max(state.epoch, witnessed.epoch ?? 0, lock?.epoch ?? 0) + EPOCHS_LEFT_OUT;
  const routers = witnessed.routers ?? state.routers;
  const replaced = { ...state, map, nextId, lock, identity, epoch, ...(routers && { routers }) };
  return pruneMembers({
    ...replaced,
    autoscale: isLeft ? returnStandby(autoscale, before, null, 0) : autoscale,
  });
}
