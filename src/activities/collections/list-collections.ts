import { collectionInfos } from './schemas';
import type { CoordinatorActivities } from '../../contract/activities';
import type { CollectionInfo } from '../../contract/move';
import { mapInParallel, SHARDS_ASKED_AT_ONCE } from '../frame/in-parallel';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';

type ListInput = Parameters<CoordinatorActivities['listCollections']>[0];

/** A shard that does not answer fails the attempt: unknown is not "has none" (INV-8). */
export async function listCollections(
  scope: ActivityScope,
  { shards: asked }: ListInput,
): Promise<{ collections: readonly CollectionInfo[] }> {
  const { attempt, shards } = scope;
  await findLeaders(scope, asked);
  const list = (shard: (typeof asked)[number]) => shards.client(shard).listCollections(attempt.reading);
  const lists = await mapInParallel(asked, SHARDS_ASKED_AT_ONCE, list);
  return { collections: collectionInfos(lists) };
}
