import { ApplicationFailure } from '@temporalio/activity';
import type { Shard } from '../../domain/shard-map';
import { bodyToCreate, isAlike, listFully, type FullCollection } from './full-list';
import { refuseOtherSchema } from './schema-conflict';
import { collectionInfos, schemaDifference } from './schemas';
import type { CoordinatorActivities } from '../../contract/activities';
import { collectionInFlux } from '../frame/failures';
import { ShardError, WAITING_HELPS } from '../../shards/errors';
import { findLeaders } from '../frame/leaders';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import type { ActivityScope } from '../frame/run-activity';

type PrepareInput = Parameters<CoordinatorActivities['prepareCollections']>[0];
type PrepareResult = Awaited<ReturnType<CoordinatorActivities['prepareCollections']>>;

/**
 * The first call comes before routers may write to the receivers, so that no write of a client fails for want of a
 * collection. In later calls the receivers are in the map, and a client may be creating there what they lack. If it
 * were created here at once, that client would be told that it exists already. So it is left alone for `settleMs`
 * first. So is a copy of a collection that a client has created anew with other settings, before it is replaced (`had`).
 * Nothing is ever created on receivers that are owners already (`mayCreate: false`). A client may be dropping
 * the collection, and a new one would outlive that drop.
 */
export async function prepareCollections(scope: ActivityScope, input: PrepareInput): Promise<PrepareResult> {
  const { attempt, shards } = scope;
  await findLeaders(scope, input.receivers);
  const ask = (donor: Shard) => askDonor(scope, donor, input);
  const answers = (await mapInParallel(input.donors, SHARDS_ASKED_AT_ONCE, ask)).flat();
  const donors = answers.map(({ donor }) => donor);
  const ofDonors = answers.map(({ collections }) => collections);
  const difference = schemaDifference(donors, ofDonors);
  if (difference !== null) throw ApplicationFailure.retryable(difference, 'CollectionInFlux');
  const wanted = byName(ofDonors);
  const settleMs = input.settleMs ?? 0;
  // An attempt before this one may have dropped what this one finds missing.
  const mayHaveDropped = attempt.hasUncountedWrites;
  let missing = await findMissing(scope, input, wanted);
  if (missing.length > 0 && settleMs > 0) {
    await attempt.sleep(settleMs);
    missing = await findMissing(scope, input, wanted);
  }
  const [first] = missing;
  if (input.mayCreate === false && first !== undefined) {
    throw collectionInFlux(first.name, `shard ${first.receiver.id} lacks it`);
  }
  let [created, replaced] = [0, 0];
  for (const { receiver, name, schema, isReplaced } of missing) {
    const client = shards.client(receiver);
    if (isReplaced && (await attempt.write((ctx) => client.dropCollection(name, ctx)))) replaced += 1;
    const outcome = await attempt.write((ctx) => client.createCollection(schema, ctx));
    if (outcome === 'created') created += 1;
  }
  if (mayHaveDropped) replaced = Math.max(replaced, created);
  const { lateWritesUntilMs } = attempt;
  return {
    collections: collectionInfos(ofDonors),
    created,
    ...(replaced === 0 ? {} : { replaced }),
    lateWritesUntilMs,
  };
}

interface DonorAnswer {
  readonly donor: Shard;
  readonly collections: readonly FullCollection[];
}

/** Nothing where it does not answer now, and need not. INV-8: that is not "has none", so nothing is concluded from it. */
async function askDonor(scope: ActivityScope, donor: Shard, { mayBeAway = [] }: PrepareInput): Promise<DonorAnswer[]> {
  try {
    await findLeaders(scope, [donor]);
    return [{ donor, collections: await listFully(scope, donor) }];
  } catch (error) {
    scope.attempt.signal.throwIfAborted();
    const isAway = error instanceof ShardError && WAITING_HELPS[error.code];
    if (isAway && mayBeAway.includes(donor.id)) return [];
    throw error;
  }
}

/** Every donor's word on each collection: one may tell what another cannot. */
function byName(ofDonors: readonly (readonly FullCollection[])[]): Map<string, FullCollection[]> {
  const found = new Map<string, FullCollection[]>();
  for (const each of ofDonors.flat()) {
    const known = found.get(each.name);
    if (known === undefined) found.set(each.name, [each]);
    else known.push(each);
  }
  return found;
}

interface Missing {
  readonly receiver: Shard;
  readonly name: string;
  readonly schema: string;
  /** It is there, as the copy of a collection that the donors no longer have. */
  readonly isReplaced: boolean;
}

/** @throws SchemaConflict when a receiver had one of them on its own, with other settings */
async function findMissing(
  scope: ActivityScope,
  { receivers, had }: PrepareInput,
  wanted: ReadonlyMap<string, readonly FullCollection[]>,
): Promise<Missing[]> {
  const missing: Missing[] = [];
  for (const [index, receiver] of receivers.entries()) {
    const existing = await listFully(scope, receiver);
    const ofItsOwn = had?.[index];
    for (const [name, ofDonors] of wanted) {
      const found = existing.find((collection) => collection.name === name);
      const lacking = { receiver, name, schema: bodyToCreate(ofDonors) };
      if (found === undefined) missing.push({ ...lacking, isReplaced: false });
      else if (ofDonors.every((each) => isAlike(each, found))) continue;
      else if (ofItsOwn?.includes(name) === false) missing.push({ ...lacking, isReplaced: true });
      else refuseOtherSchema(found, ofDonors, receiver.id);
    }
  }
  return missing;
}
