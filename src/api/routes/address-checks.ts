/**
 * Is an address that a person gives that of the shard that it is given for? Routers and operations believe it at once.
 *
 * - An address must be one that the coordinator may call (COORDINATOR_ALLOWED_HOSTS).
 * - A further address of a shard (`replica_urls`) must show the identity of its primary.
 * - A new primary of a member must show the identity of that member, with its last epoch or a later one.
 * - A shard that is added by hand, or as a standby, must show none.
 * - What does not answer is refused: nobody could tell what is behind it. Two exceptions, as in Quiver: the primary of a
 *   shard that is added without replicas, and a standby. Nothing is believed of them before an operation has asked them.
 * - After `DELETE /cluster/identities` nothing is checked.
 */
import { randomUUID } from 'node:crypto';
import type { ClusterState } from '../../domain/cluster-state';
import { DomainError } from '../../domain/errors';
import { ADOPTED, describeIdentity, identityRefusal, joinerRefusal, judgeIdentity } from '../../domain/shard-identity';
import { findShard, type Shard, type ShardAddress, type ShardMap } from '../../domain/shard-map';
import type { OperationRequest } from '../../contract/requests';
import type { ApiDeps } from '../deps';

/**
 * Before anything is asked of an address that a person gives: may it be called at all? Also when identities are removed,
 * and for a repeated call. @throws DomainError AddressNotAllowed
 */
export async function requireAllowed(deps: ApiDeps, addresses: readonly Partial<ShardAddress>[]): Promise<void> {
  const urls = addresses.flatMap(({ primary_url, replica_urls = [], grpc_url }) => [
    primary_url,
    ...replica_urls,
    grpc_url,
  ]);
  await deps.requireAllowed(urls.filter((url) => url !== undefined));
}

/** All addresses that the request of an operation names. @throws DomainError AddressNotAllowed */
export async function requireAllowedRequest(deps: ApiDeps, request: OperationRequest): Promise<void> {
  const shards = 'shards' in request ? request.shards : 'leftovers' in request ? request.leftovers : [];
  const sources = 'sources' in request ? Object.values(request.sources ?? {}) : [];
  await requireAllowed(deps, [...shards, { replica_urls: sources }]);
}

interface ByHand {
  readonly key: string | null;
  /** Makes the change, and returns the map after it. */
  readonly change: () => Promise<ShardMap>;
}

/** For `POST /cluster/shards` and `…/joining`. @throws DomainError */
export async function addChecked(deps: ApiDeps, address: ShardAddress, { key, change }: ByHand): Promise<ShardMap> {
  await requireAllowed(deps, [address]);
  const state = await deps.client.queryState();
  if (isUnchecked(state, key)) return change();
  const look = await requireFree(deps, state, address);
  if (address.replica_urls.length === 0) return change();
  if (look.kind === 'unknown') throw unanswered(address.primary_url, look.reason);
  const clusterUid = await bringUid(deps, state);
  const claimed: Shard = { id: state.nextId, ...address };
  const primary = { primary_url: address.primary_url, replica_urls: [] };
  await deps.marks.claim(primary, { clusterUid, cluster: deps.cluster, shardId: claimed.id, operationId: ADOPTED });
  let map: ShardMap | null = null;
  try {
    await requireReplicas(deps, address.replica_urls, { clusterUid, shardId: claimed.id });
    map = await change();
    return map;
  } finally {
    // The change may have been refused, or another one may have taken the id: then the next operation adopts the shard.
    const isIn = map !== null && findShard(map, claimed.id)?.primary_url === address.primary_url;
    if (!isIn) await deps.marks.remove(claimed, clusterUid);
  }
}

/** For `PATCH /cluster/shards/{id}`. @throws DomainError */
export async function requireSameShard(
  deps: ApiDeps,
  { id, address, key }: { id: number; address: Partial<ShardAddress>; key: string | null },
): Promise<void> {
  await requireAllowed(deps, [address]);
  const state = await deps.client.queryState();
  const before = findShard(state.map, id) ?? state.lock?.shards.find((shard) => shard.id === id);
  // An unknown shard is refused by the change itself.
  if (before === undefined || isUnchecked(state, key)) return;
  const known = [before.primary_url, ...before.replica_urls];
  const primary = address.primary_url ?? before.primary_url;
  const replicas = (address.replica_urls ?? before.replica_urls).filter((url) => !known.includes(url));
  if (known.includes(primary) && replicas.length === 0) return;
  const clusterUid = await bringUid(deps, state);
  const expected = { clusterUid, shardId: id, epoch: state.members[id]?.epoch ?? null };
  const at = { primary_url: primary, replica_urls: [] };
  const look = await deps.marks.look(at);
  if (look.kind === 'unknown') throw unanswered(primary, look.reason);
  const judged = judgeIdentity(expected, look.seen);
  if (judged === 'absent') {
    await deps.marks.claim(at, { clusterUid, cluster: deps.cluster, shardId: id, operationId: ADOPTED });
  } else if (judged !== 'same') {
    throw identityRefusal(judged, { where: primary, expected, seen: look.seen });
  }
  await requireReplicas(deps, replicas, { clusterUid, shardId: id });
}

/** For standbys. @throws DomainError ShardAlreadyInMap, ShardClaimed, ShardOfAnotherCluster */
export async function requireFreeStandby(deps: ApiDeps, address: ShardAddress): Promise<void> {
  await requireAllowed(deps, [address]);
  const state = await deps.client.queryState();
  if (!isUnchecked(state, null)) await requireFree(deps, state, address);
}

async function requireFree(deps: ApiDeps, state: ClusterState, address: ShardAddress) {
  const look = await deps.marks.look({ primary_url: address.primary_url, replica_urls: [] });
  if (look.kind === 'unknown' || look.seen === null) return look;
  const { seen } = look;
  const uid = state.identity.uid ?? '';
  const member = seen.identity.clusterUid === uid ? findShard(state.map, seen.identity.shardId) : undefined;
  if (member !== undefined) {
    throw new DomainError(
      'ShardAlreadyInMap',
      `expected ${address.primary_url} to be a shard that is not in the cluster yet, it shows ${describeIdentity(seen)}, ` +
        `which is at ${member.primary_url}: they are one process under two addresses`,
    );
  }
  const wanted = { clusterUid: uid, cluster: deps.cluster, shardId: state.nextId, operationId: '' };
  const refusal = joinerRefusal(wanted, seen, address.primary_url);
  if (refusal !== null) throw refusal;
  return look;
}

async function requireReplicas(
  deps: ApiDeps,
  urls: readonly string[],
  expected: { clusterUid: string; shardId: number },
): Promise<void> {
  await Promise.all(urls.map((url) => deps.marks.requireReplica(url, expected)));
}

/** A repeated call gets its first answer, whatever the shard shows by now. */
function isUnchecked({ identity, answered }: ClusterState, key: string | null): boolean {
  return identity.removed || answered.some((each) => key !== null && each.key === key);
}

async function bringUid({ client }: ApiDeps, { identity }: ClusterState): Promise<string> {
  if (identity.uid !== null) return identity.uid;
  const uid = randomUUID();
  const answer = await client.applyTransition({ type: 'bringUid', uid });
  return answer.identity.uid ?? uid;
}

function unanswered(url: string, reason: string): DomainError {
  return new DomainError(
    'DonorUnreachable',
    `expected ${url} to show whose shard it is, it did not (${reason}): start it before it is given, ` +
      'because an address that does not answer cannot be told from a wrong one',
  );
}
