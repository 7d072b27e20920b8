/** The identity of one shard, read and written over REST (see domain/shard-identity.ts). */
import { DomainError } from '../../domain/errors';
import {
  CHECK_EPOCH_POINT_ID,
  EPOCH_POINT_ID,
  IDENTITY_COLLECTION,
  describeIdentity,
  identityPath,
  identityRefusal,
  joinerRefusal,
  judgeIdentity,
  parseIdentity,
  type ExpectedIdentity,
  type SeenIdentity,
  type ShardIdentity,
} from '../../domain/shard-identity';
import { ShardError } from '../errors';
import type { CallContext, ShardClient } from './shard-client';

export { isInternalCollection } from '../../domain/shard-identity';

const EPOCH_POINTS: readonly string[] = [EPOCH_POINT_ID, CHECK_EPOCH_POINT_ID];
const ALL_POINTS = { offset: 0, limit: 10, withPayload: true, withVector: false };
/** A claim that meets one that is just going away tries again. */
const CLAIMS_MAX = 3;

/** Null: the shard itself says that it has none. @throws ShardError, DomainError ShardClaimed when it cannot be understood */
export async function readIdentity(client: ShardClient, ctx: CallContext): Promise<SeenIdentity | null> {
  const found = await client.getCollection(IDENTITY_COLLECTION, ctx);
  if (found === null) return null;
  const identity = parseIdentity(firstPath(found.schema));
  if (identity === null) {
    // INV-8: what cannot be read is not "none".
    throw new DomainError(
      'ShardClaimed',
      `expected the collection ${IDENTITY_COLLECTION} of a shard to name its cluster, found another content: ` +
        `a later release or a client made it; remove it (DELETE /v1/collections/${IDENTITY_COLLECTION}) if the shard is free`,
    );
  }
  try {
    return { identity, epoch: found.count === 0 ? null : await readEpoch(client, ctx) };
  } catch (error) {
    // It went in between.
    if (error instanceof ShardError && error.code === 'NotFound') return null;
    throw error;
  }
}

/**
 * Takes the shard, all or nothing. A repeat by the same operation finds its own claim. Returns what the shard shows now.
 * @throws ShardError; DomainError ShardClaimed, ShardOfAnotherCluster, IdentityRefused
 */
export async function claim(client: ShardClient, identity: ShardIdentity, ctx: CallContext): Promise<SeenIdentity> {
  for (let turn = 1; ; turn++) {
    const seen = await createOrRead(client, identity, ctx);
    if (seen !== null) {
      const refusal = joinerRefusal(identity, seen, 'the shard');
      if (refusal !== null) throw refusal;
      return seen;
    }
    if (turn < CLAIMS_MAX) continue;
    throw new DomainError(
      'ShardClaimed',
      `expected to take the shard as ${describeIdentity({ identity, epoch: null })}, others took it and gave it back ${turn} times: try again`,
    );
  }
}

/** Null: another one's identity stood in the way, and is gone. */
async function createOrRead(
  client: ShardClient,
  identity: ShardIdentity,
  ctx: CallContext,
): Promise<SeenIdentity | null> {
  try {
    const created = await client.createCollection(schemaOf(identity), ctx);
    if (created === 'created') return { identity, epoch: null };
  } catch (error) {
    if (!(error instanceof ShardError) || error.code !== 'Forbidden') throw error;
    throw new DomainError(
      'IdentityRefused',
      `expected the shard to take the collection ${IDENTITY_COLLECTION}, which says whose shard it is, it refused: ` +
        `give the key of QUIVER_CLUSTER_SHARD_KEY the admin role there, and the primary's own address (${error.message})`,
    );
  }
  return readIdentity(client, ctx);
}

/** The highest of its points. */
async function readEpoch(client: ShardClient, ctx: CallContext): Promise<number | null> {
  const epochs: number[] = [];
  for await (const batch of client.fetchPage(IDENTITY_COLLECTION, ALL_POINTS, ctx)) {
    for (const { id, raw } of batch) if (EPOCH_POINTS.includes(id.toString())) epochs.push(epochOf(raw) ?? 0);
  }
  return epochs.length === 0 ? null : Math.max(...epochs);
}

/**
 * Never lowers it. The write is a point like any other, so a follower shows it after everything before it.
 *
 * Only the holder of the lock writes the point `epoch`, so nothing can come between its look and its write. A check has
 * no lock, and so a point of its own.
 */
export async function writeEpoch(
  client: ShardClient,
  epoch: number,
  ctx: CallContext,
  { isCheck } = { isCheck: false },
): Promise<void> {
  const seen = await readIdentity(client, ctx);
  if (seen?.epoch != null && seen.epoch >= epoch) return;
  const id = isCheck ? CHECK_EPOCH_POINT_ID : EPOCH_POINT_ID;
  const point = JSON.stringify({ id, vector: [0], payload: { epoch } });
  await client.upsert(IDENTITY_COLLECTION, [Buffer.from(point)], ctx);
}

/** What must fit for an identity to be dropped. Absent fields may be anything. */
export interface IdentityToDrop {
  readonly clusterUid: string;
  readonly shardId?: number;
  readonly operationId?: string;
}

/** Only ours goes. `foreign`: another one is left alone. A repeat is harmless. */
export async function dropIdentity(
  client: ShardClient,
  expected: IdentityToDrop,
  ctx: CallContext,
): Promise<'dropped' | 'absent' | 'foreign'> {
  const seen = await readIdentity(client, ctx);
  if (seen === null) return 'absent';
  const { clusterUid, shardId, operationId } = seen.identity;
  const isOurs =
    clusterUid === expected.clusterUid &&
    shardId === (expected.shardId ?? shardId) &&
    operationId === (expected.operationId ?? operationId);
  if (!isOurs) return 'foreign';
  return (await client.dropCollection(IDENTITY_COLLECTION, ctx)) ? 'dropped' : 'absent';
}

/**
 * INV-8: before anything on a shard is believed or deleted, it must still be the member that it was.
 * @throws ShardError; DomainError ShardLostData, WrongShard, ShardOfAnotherCluster
 */
export async function confirmIdentity(
  client: ShardClient,
  expected: Omit<ExpectedIdentity, 'epoch'> & { readonly epoch: number },
  ctx: CallContext,
): Promise<void> {
  const seen = await readIdentity(client, ctx);
  const judged = judgeIdentity(expected, seen);
  if (judged === 'same') return;
  const where = `shard ${expected.shardId}`;
  // With an expected epoch, an absent identity is a lost one.
  throw identityRefusal(judged === 'absent' ? 'ShardLostData' : judged, { where, expected, seen });
}

function schemaOf(identity: ShardIdentity): string {
  const filterable = [{ path: identityPath(identity), field_type: 'keyword' }];
  return JSON.stringify({ name: IDENTITY_COLLECTION, dim: 1, metric: 'l2', filterable });
}

function firstPath(schema: string): string {
  const { filterable } = JSON.parse(schema) as { filterable?: unknown };
  const first: unknown = Array.isArray(filterable) ? filterable[0] : null;
  if (typeof first !== 'object' || first === null || !('path' in first)) return '';
  return typeof first.path === 'string' ? first.path : '';
}

function epochOf(point: Buffer): number | null {
  const { payload } = JSON.parse(point.toString('utf8')) as { payload?: { epoch?: unknown } | null };
  const epoch = payload?.epoch;
  return typeof epoch === 'number' && Number.isSafeInteger(epoch) ? epoch : null;
}
