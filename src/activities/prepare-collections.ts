import { refuseOtherSchema } from './collection-presence';
import { collectionInfos, schemaDifference } from './collection-schemas';
import type { CoordinatorActivities } from './contract';
import { ApplicationFailure } from '@temporalio/activity';
import type { ActivityScope } from './run-activity';

type PrepareInput = Parameters<CoordinatorActivities['prepareCollections']>[0];
type PrepareResult = Awaited<ReturnType<CoordinatorActivities['prepareCollections']>>;

/** Design step 2: before routers may write to the receivers, so that no client's write fails for want of a collection. */
export async function prepareCollections(scope: ActivityScope, input: PrepareInput): Promise<PrepareResult> {
  const { attempt, shards } = scope;
  const ofDonors = await Promise.all(
    input.donors.map((donor) => shards.client(donor).listCollections(attempt.reading)),
  );
  const difference = schemaDifference(input.donors, ofDonors);
  if (difference !== null) throw ApplicationFailure.retryable(difference, 'CollectionInFlux');
  const collections = collectionInfos(input.donors, ofDonors);
  let created = 0;
  for (const receiver of input.receivers) {
    const client = shards.client(receiver);
    const existing = await client.listCollections(attempt.reading);
    for (const { name, schema } of collections) {
      const found = existing.find((collection) => collection.name === name);
      if (found !== undefined) {
        refuseOtherSchema(found, schema, receiver.id);
        continue;
      }
      const outcome = await attempt.write((ctx) => client.createCollection(schema, ctx));
      if (outcome === 'created') created += 1;
    }
  }
  return { collections, created };
}
