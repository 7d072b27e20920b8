import { ApplicationFailure } from '@temporalio/activity';
import { ShardError } from '../../shards/errors';
import type { CallContext, ShardClient, ShardCollection } from '../../shards/http/shard-client';
import type { Move } from '../../contract/move';
import { collectionInFlux } from '../frame/failures';
import type { ActivityScope } from '../frame/run-activity';
import { sidesOf } from '../rows/slice-stream';

export function isNotFound(error: unknown): error is ShardError {
  return error instanceof ShardError && error.code === 'NotFound';
}

/** Null also when the shard lacks the whole collection. */
export async function pointIfAny(
  shard: ShardClient,
  collection: string,
  id: Buffer,
  ctx: CallContext,
): Promise<Buffer | null> {
  try {
    return await shard.getPoint(collection, id, ctx);
  } catch (error) {
    if (isNotFound(error)) return null;
    throw error;
  }
}

/**
 * Runs `body`. When a shard says that the collection does not exist, finds out what is true now:
 * - No donor has it: answers `gone`.
 * - All donors have it and a receiver lacks it: creates it there and runs `body` once more.
 * - Anything else: a client is creating or dropping it, so this fails and is tried again.
 * - A receiver of a drain lacks it: the same. That receiver is an owner, and a new collection would outlive a client's
 *   drop.
 */
export async function whileCollectionExists<T>(
  scope: ActivityScope,
  move: Move & { readonly collection: string },
  body: () => Promise<T>,
): Promise<T | 'gone'> {
  try {
    return await body();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const schema = await donorSchema(scope, move);
    if (schema === null) return 'gone';
    await haveOnReceivers(scope, move, schema);
  }
  try {
    return await body();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw collectionInFlux(move.collection, 'a shard lacks it again and again');
  }
}

/** The schema that the donors agree on, or null when no donor has the collection. @throws CollectionInFlux */
async function donorSchema(
  { attempt, shards }: ActivityScope,
  move: Move & { readonly collection: string },
): Promise<string | null> {
  const { collection } = move;
  const donors = sidesOf(move.placement).donors;
  const found = await Promise.all(
    donors.map((id) => shards.ofMove(move, id).getCollection(collection, attempt.reading)),
  );
  const [first] = found;
  if (found.every((each) => each === null) || first === undefined) return null;
  const schemas = new Set(found.map((each) => each?.schema ?? null));
  if (schemas.size === 1 && first !== null) return first.schema;
  const lacking = donors.filter((_, index) => found[index] === null);
  throw collectionInFlux(
    collection,
    lacking.length > 0 ? `shard ${lacking.join(', ')} lacks it` : 'the donors have it with different settings',
  );
}

/**
 * How long a client may take from creating a collection on the donors to creating it on the receivers. If it were
 * created here at once, that client would be told that it exists already.
 */
const CLIENT_CREATES_MS = 500;

/** INV-3: the receivers must have what the donors have. A receiver that has it already is left as it is. */
async function haveOnReceivers(
  { attempt, shards }: ActivityScope,
  move: Move & { readonly collection: string },
  schema: string,
): Promise<void> {
  await attempt.sleep(CLIENT_CREATES_MS);
  for (const id of sidesOf(move.placement).receivers) {
    const receiver = shards.ofMove(move, id);
    const existing = await receiver.getCollection(move.collection, attempt.reading);
    if (existing !== null) {
      refuseOtherSchema(existing, schema, id);
      continue;
    }
    if (move.placement.leaving.length > 0) throw collectionInFlux(move.collection, `shard ${id} lacks it`);
    await attempt.write((ctx) => receiver.createCollection(schema, ctx));
  }
}

export function refuseOtherSchema(existing: ShardCollection, schema: string, shardId: number): void {
  if (existing.schema === schema) return;
  throw ApplicationFailure.nonRetryable(
    `expected collection ${existing.name} on shard ${shardId} to be ${schema}, found ${existing.schema}: drop it there, or create it alike`,
    'SchemaConflict',
  );
}
