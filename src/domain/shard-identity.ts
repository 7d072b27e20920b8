/**
 * What a shard is, kept on the shard itself. URLs change and lie: one process may have two addresses, a volume may come
 * back empty or old, and two clusters may want one shard. So every member holds a collection that says which shard of
 * which cluster it is. It is created with its content, so a claim is atomic.
 *
 * - The *identity* never changes. It is in the path of the collection's first filterable field.
 * - The *epoch* is one point in it. Every operation raises it on its participants. So an older one is old data.
 */
import { DomainError, type DomainErrorCode } from './errors';

/** Never copied, compared, counted or shown as data. */
export const IDENTITY_COLLECTION = 'coordinator.identity';
/** The id of the point that holds the epoch, and of the one that checks write. The higher of the two counts. */
export const EPOCH_POINT_ID = 'epoch';
export const CHECK_EPOCH_POINT_ID = 'epoch-check';
/** In the place of an operation: the shard was a member before it had an identity, or was added by hand. */
export const ADOPTED = 'adopt';

const PROBE_NAME = /^coordinator-probe-[0-9a-f]{16}$/;

/** Collections of the coordinator: the identity, and the probes that releases up to 0.2 may have left behind. */
export function isInternalCollection(name: string): boolean {
  return name === IDENTITY_COLLECTION || PROBE_NAME.test(name);
}

export interface ShardIdentity {
  readonly clusterUid: string;
  /** For people. The uid decides. */
  readonly cluster: string;
  readonly shardId: number;
  /** The operation that claimed the shard, or ADOPTED. */
  readonly operationId: string;
}

/** An identity as a shard shows it. `epoch`: null until the first one is written. */
export interface SeenIdentity {
  readonly identity: ShardIdentity;
  readonly epoch: number | null;
}

/** Escaped, so that no name can add a field or end one. */
export function identityPath({ cluster, clusterUid, shardId, operationId }: ShardIdentity): string {
  const fields = { cluster, uid: clusterUid, shard: String(shardId), operation: operationId };
  return Object.entries(fields)
    .map(([field, value]) => `${field}=${encodeURIComponent(value)}`)
    .join(';');
}

/** Null: this is not an identity. Fields that a later release may add are ignored. */
export function parseIdentity(path: string): ShardIdentity | null {
  const fields = new Map<string, string>();
  for (const part of path.split(';')) {
    const [field, value, more] = part.split('=');
    if (field === undefined || value === undefined || more !== undefined || fields.has(field)) return null;
    try {
      fields.set(field, decodeURIComponent(value));
    } catch {
      return null;
    }
  }
  const [cluster, clusterUid, shard, operationId] = ['cluster', 'uid', 'shard', 'operation'].map((f) => fields.get(f));
  if (cluster === undefined || operationId === undefined || clusterUid === undefined || clusterUid === '') return null;
  if (shard === undefined || !/^\d+$/.test(shard) || !Number.isSafeInteger(Number(shard))) return null;
  return { clusterUid, cluster, shardId: Number(shard), operationId };
}

/** What the cluster knows of a member. `epoch`: the last one that was recorded for it; null when none ever was. */
export interface ExpectedIdentity {
  readonly clusterUid: string;
  readonly shardId: number;
  readonly epoch: number | null;
}

export type IdentityRefusal = Extract<DomainErrorCode, 'ShardOfAnotherCluster' | 'ShardLostData' | 'WrongShard'>;

/**
 * `absent`: it shows no identity and never had one, so it may be adopted. INV-8: a member without the identity or the
 * epoch that it had is unknown, never empty.
 */
export function judgeIdentity(
  expected: ExpectedIdentity,
  seen: SeenIdentity | null,
): 'same' | 'absent' | IdentityRefusal {
  if (seen === null) return expected.epoch === null ? 'absent' : 'ShardLostData';
  if (seen.identity.clusterUid !== expected.clusterUid) return 'ShardOfAnotherCluster';
  if (seen.identity.shardId !== expected.shardId) return 'WrongShard';
  return (seen.epoch ?? 0) < (expected.epoch ?? 0) ? 'ShardLostData' : 'same';
}

/** As a sentence names it: shard, cluster, operation and epoch. */
export function describeIdentity(seen: SeenIdentity | null): string {
  if (seen === null) return 'no identity';
  const { cluster, clusterUid, shardId, operationId } = seen.identity;
  const by = operationId === ADOPTED ? '' : `, claimed by operation ${operationId}`;
  const epoch = seen.epoch === null ? 'without an epoch' : `epoch ${seen.epoch}`;
  return `shard ${shardId} of cluster ${cluster} (${clusterUid}), ${epoch}${by}`;
}

/** `where`: the shard as the sentence names it, with its address. */
export function identityRefusal(
  code: IdentityRefusal,
  { where, expected, seen }: { where: string; expected: ExpectedIdentity; seen: SeenIdentity | null },
): DomainError {
  const { shardId, clusterUid, epoch } = expected;
  const wanted = `expected ${where} to be shard ${shardId} of this cluster (${clusterUid})`;
  const shown = `it shows ${describeIdentity(seen)}`;
  switch (code) {
    case 'ShardLostData':
      return new DomainError(
        code,
        `${wanted} with epoch ${epoch ?? 'none'} or a later one, ${shown}: an empty or an older volume came back, ` +
          'so what it should hold is unknown, and nothing is deleted because of it. Give it its own volume back, ' +
          `or take it out of the map (DELETE /cluster/shards/${shardId}) and let an empty shard join`,
      );
    case 'ShardOfAnotherCluster':
      return new DomainError(
        code,
        `${wanted}, ${shown}: correct its address (PATCH /cluster/shards/${shardId}). ${handedOver}`,
      );
    case 'WrongShard':
      return new DomainError(
        code,
        `${wanted}, ${shown}: two addresses are swapped, or two lead to one process; ` +
          `correct them (PATCH /cluster/shards/${shardId})`,
      );
  }
}

const handedOver = `If that cluster is gone for good, remove its mark: DELETE /v1/collections/${IDENTITY_COLLECTION} on the shard`;

/** A shard that is to join, and shows an identity. Null: it is the claim of this very operation. */
export function joinerRefusal(wanted: ShardIdentity, seen: SeenIdentity, where: string): DomainError | null {
  const { identity, epoch } = seen;
  const isOurs = identity.clusterUid === wanted.clusterUid;
  if (isOurs && identity.operationId === wanted.operationId && identity.shardId === wanted.shardId) return null;
  const expected = `expected ${where} to belong to no cluster, it shows ${describeIdentity(seen)}`;
  // An epoch is written after a claim: with one, it is a member.
  if (!isOurs && epoch !== null) {
    return new DomainError('ShardOfAnotherCluster', `${expected}: give a shard of its own. ${handedOver}`);
  }
  const next = isOurs
    ? 'it was a shard of this cluster before; when its data is no longer needed, empty it'
    : 'another cluster lets it join; give another shard';
  return new DomainError('ShardClaimed', `${expected}: ${next}. ${handedOver}`);
}
