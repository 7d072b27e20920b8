/** How the identities of the shards, and what is kept of each member, change with the cluster's state. */
import type { ClusterState } from './cluster-state';
import { DomainError } from './errors';
import type { MemberRecord } from './members';
import type { ShardAddress } from './shard-map';

/** The first uid that is brought stays. */
export function bringUid(state: ClusterState, uid: string | null): ClusterState {
  return state.identity.uid === null && uid !== null ? { ...state, identity: { ...state.identity, uid } } : state;
}

/** @throws DomainError IdentitiesRemoved */
export function refuseWithoutIdentities({ identity }: ClusterState): void {
  if (!identity.removed) return;
  throw new DomainError(
    'IdentitiesRemoved',
    'expected the shards to bear the identity of this cluster, it was taken off them (DELETE /cluster/identities): ' +
      'POST /cluster/identities adopts them again; do that only when no other coordinator has them',
  );
}

/** An epoch only rises, so a repeat or a late record changes nothing. A shard that is no member any more is passed over. */
export function recordEpochs(state: ClusterState, epochs: Readonly<Record<string, number>>): ClusterState {
  const members = { ...state.members };
  for (const [id, epoch] of Object.entries(epochs)) {
    const before = members[id];
    members[id] = { ...before, epoch: Math.max(epoch, before?.epoch ?? 0) };
  }
  return pruneMembers({ ...state, members });
}

/** Shards that lose their marks are adopted as new when they get them again. */
export function removeIdentities(state: ClusterState): ClusterState {
  const entries = Object.entries(state.members).map(([id, member]) => [id, { ...member, epoch: null }] as const);
  return { ...state, identity: { ...state.identity, removed: true }, members: Object.fromEntries(entries) };
}

export function adoptIdentities(state: ClusterState): ClusterState {
  return { ...state, identity: { ...state.identity, removed: false } };
}

/** The machine moved, and its gRPC address with it, unless the new one is given. */
export function moveGrpc(state: ClusterState, id: number, address: Partial<ShardAddress>): ClusterState {
  if (address.grpc_url === undefined && address.primary_url === undefined) return state;
  const { epoch = null } = state.members[id] ?? {};
  const moved: MemberRecord = address.grpc_url === undefined ? { epoch } : { epoch, grpcUrl: address.grpc_url };
  return { ...state, members: { ...state.members, [id]: moved } };
}

/** Only shards of the map and of the operation that holds the lock are members. */
export function pruneMembers(state: ClusterState): ClusterState {
  const ids = new Set([...state.map.shards, ...(state.lock?.shards ?? [])].map(({ id }) => String(id)));
  const kept = Object.entries(state.members).filter(([id]) => ids.has(id));
  return kept.length === Object.keys(state.members).length ? state : { ...state, members: Object.fromEntries(kept) };
}
