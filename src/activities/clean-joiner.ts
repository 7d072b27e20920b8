import { DELETE_IDS_MAX } from '../domain/limits';
import { PlacementPlan } from '../domain/placement-plan';
import { PointWalk } from '../shards/point-walk';
import type { ShardClient } from '../shards/shard-client';
import { isNotFound } from './collection-presence';
import type { CoordinatorActivities } from './contract';
import { PacedDelete } from './paced-delete';
import type { ActivityScope } from './run-activity';
import { SliceStream } from './slice-stream';

type CleanInput = Parameters<CoordinatorActivities['cleanJoiner']>[0];
type CleanResult = Awaited<ReturnType<CoordinatorActivities['cleanJoiner']>>;

/**
 * INV-7: the joiner becomes what it was. Collections that it did not have before go; from the others goes the slice, and nothing
 * else. Called when the shard is out of the map and no router writes to it any more.
 */
export async function cleanJoiner(scope: ActivityScope, input: CleanInput): Promise<CleanResult> {
  const { attempt, shards } = scope;
  const joiner = shards.client(input.joiner);
  let collectionsDropped = 0;
  let pointsDeleted = 0;
  for (const { name } of await joiner.listCollections(attempt.reading)) {
    if (input.collectionsBefore.includes(name)) {
      pointsDeleted += await deleteSlice(scope, input, joiner, name);
      continue;
    }
    const existed = await attempt.write((ctx) => joiner.dropCollection(name, ctx));
    if (existed) collectionsDropped += 1;
  }
  return { collectionsDropped, pointsDeleted, lateWritesUntilMs: attempt.lateWritesUntilMs };
}

/** Walks until a walk finds nothing: a write that arrived late may lie behind the cursor. */
async function deleteSlice(
  scope: ActivityScope,
  input: CleanInput,
  joiner: ShardClient,
  collection: string,
): Promise<number> {
  let deleted = 0;
  for (;;) {
    const found = await deleteSliceOnce(scope, input, joiner, collection);
    deleted += found;
    if (found === 0) return deleted;
  }
}

async function deleteSliceOnce(
  { attempt }: ActivityScope,
  input: CleanInput,
  joiner: ShardClient,
  collection: string,
): Promise<number> {
  const from = null;
  const ctx = attempt.reading;
  const walk = new PointWalk({ source: joiner, collection, withPayload: false, withVector: false, from, ctx });
  const plan = new PlacementPlan(input.placement);
  const stream = new SliceStream({ shardId: input.joiner.id, side: 'receiver', walk, plan });
  const deletes = new PacedDelete(attempt, joiner, collection);
  let found = 0;
  try {
    while (!stream.hasEnded) {
      const ids = await nextIds(stream);
      if (ids.length === 0) continue;
      await deletes.delete(ids, (points) => {
        walk.rowsRemoved(points);
      });
      found += ids.length;
    }
    return found;
  } catch (error) {
    // Dropped by a client meanwhile: nothing is left of it.
    if (isNotFound(error)) return found;
    throw error;
  } finally {
    await walk.suspend();
  }
}

async function nextIds(stream: SliceStream): Promise<Buffer[]> {
  const ids: Buffer[] = [];
  while (ids.length < DELETE_IDS_MAX) {
    if (!stream.advance()) await stream.fill(() => false);
    if (stream.head === null) return ids;
    ids.push(stream.head.id);
  }
  return ids;
}
