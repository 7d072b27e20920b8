import { ApplicationFailure } from '@temporalio/activity';
import type { Shard } from '../../domain/shard-map';
import { bodyToCreate, listFully, type FullCollection } from './full-list';
import { refuseOtherSchema } from './schema-conflict';
import { collectionInfos, schemaDifference } from './schemas';
import type { CoordinatorActivities } from '../../contract/activities';
import { collectionInFlux } from '../frame/failures';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';

type PrepareInput = Parameters<CoordinatorActivities['prepareCollections']>[0];
type PrepareResult = Awaited<ReturnType<CoordinatorActivities['prepareCollections']>>;

/**
 * The first call comes before routers may write to the receivers, so that no write of a client fails for want of a
 * collection. In later calls the receivers are in the map, and a client may be creating there what they lack. If it
 * were created here at once, that client would be told that it exists already. So it is left alone for `settleMs`
 * first. Nothing is ever created on receivers that are owners already (`mayCreate: false`). A client may be dropping
 * the collection, and a new one would outlive that drop.
 */
export async function prepareCollections(scope: ActivityScope, input: PrepareInput): Promise<PrepareResult> {
  const { attempt, shards } = scope;
  await findLeaders(scope, [...input.donors, ...input.receivers]);
  const ofDonors = await Promise.all(input.donors.map((donor) => listFully(scope, donor)));
  const difference = schemaDifference(input.donors, ofDonors);
  if (difference !== null) throw ApplicationFailure.retryable(difference, 'CollectionInFlux');
  const wanted = byName(ofDonors);
  const settleMs = input.settleMs ?? 0;
  let missing = await findMissing(scope, input.receivers, wanted);
  if (missing.length > 0 && settleMs > 0) {
    await attempt.sleep(settleMs);
    missing = await findMissing(scope, input.receivers, wanted);
  }
  const [first] = missing;
  if (input.mayCreate === false && first !== undefined) {
    throw collectionInFlux(first.name, `shard ${first.receiver.id} lacks it`);
  }
  let created = 0;
  for (const { receiver, schema } of missing) {
    const outcome = await attempt.write((ctx) => shards.client(receiver).createCollection(schema, ctx));
    if (outcome === 'created') created += 1;
  }
  const { lateWritesUntilMs } = attempt;
  return { collections: collectionInfos(ofDonors), created, lateWritesUntilMs };
}

/** Every donor's word on each collection: one may tell what another cannot. */
function byName(ofDonors: readonly (readonly FullCollection[])[]): Map<string, FullCollection[]> {
  const found = new Map<string, FullCollection[]>();
  for (const each of ofDonors.flat()) found.set(each.name, [...(found.get(each.name) ?? []), each]);
  return found;
}

interface Missing {
  readonly receiver: Shard;
  readonly name: string;
  readonly schema: string;
}

/** @throws SchemaConflict when a receiver has one of them with other settings */
async function findMissing(
  scope: ActivityScope,
  receivers: readonly Shard[],
  wanted: ReadonlyMap<string, readonly FullCollection[]>,
): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const receiver of receivers) {
    const existing = await listFully(scope, receiver);
    for (const [name, ofDonors] of wanted) {
      const found = existing.find((collection) => collection.name === name);
      if (found === undefined) missing.push({ receiver, name, schema: bodyToCreate(ofDonors) });
      else refuseOtherSchema(found, ofDonors, receiver.id);
    }
  }
  return missing;
}
