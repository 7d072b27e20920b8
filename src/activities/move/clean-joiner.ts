import { DELETE_IDS_MAX } from '../../domain/limits';
import { PlacementPlan } from '../../domain/placement-plan';
import { PointWalk } from '../../shards/rows/point-walk';
import type { ShardClient } from '../../shards/http/shard-client';
import { isNotFound } from '../collections/presence';
import type { CoordinatorActivities } from '../../contract/activities';
import type { Move } from '../../contract/move';
import { findLeaders } from '../frame/leaders';
import { PacedDelete } from '../rows/paced-delete';
import type { ActivityScope } from '../frame/run-activity';
import { SliceStream } from '../rows/slice-stream';

type CleanInput = Parameters<CoordinatorActivities['cleanJoiner']>[0];
type CleanResult = Awaited<ReturnType<CoordinatorActivities['cleanJoiner']>>;

/**
 * INV-7: the joiner becomes what it was.
 * - Collections that it did not have before are dropped.
 * - Collections that it had, empty, lose the points of the slice and nothing else.
 * - Collections that held points of its own are left alone: nobody can tell which points are whose.
 *
 * Called when the shard is out of the map and no router writes to it. What is gone is not found again, so another call
 * continues one that ran out of time.
 */
export async function cleanJoiner(scope: ActivityScope, input: CleanInput): Promise<CleanResult> {
  const { attempt, shards } = scope;
  await findLeaders(scope, [input.joiner]);
  const joiner = shards.client(input.joiner);
  let collectionsDropped = 0;
  let pointsDeleted = 0;
  // Pause only after something was removed. Else every call would walk to the same place.
  const isTimeToPause = (): boolean => attempt.isTimeToPause && collectionsDropped + pointsDeleted > 0;
  const onDeleted = (points: number): void => {
    pointsDeleted += points;
  };
  const { placement, shards: ofMove } = input;
  const slice = { placement, shards: ofMove, shardId: input.joiner.id, joiner, onDeleted, isTimeToPause };
  const result = (done: boolean): CleanResult => {
    return { done, collectionsDropped, pointsDeleted, lateWritesUntilMs: attempt.lateWritesUntilMs };
  };
  for (const { name } of await joiner.listCollections(attempt.reading)) {
    if (isTimeToPause()) return result(false);
    if (input.nonemptyBefore.includes(name)) continue;
    if (input.collectionsBefore.includes(name)) {
      if (!(await deleteSlice(scope, { ...slice, collection: name }))) return result(false);
    } else if (await attempt.write((ctx) => joiner.dropCollection(name, ctx))) {
      collectionsDropped += 1;
    }
  }
  return result(true);
}

interface SliceToDelete extends Move {
  readonly shardId: number;
  readonly joiner: ShardClient;
  readonly collection: string;
  readonly onDeleted: (points: number) => void;
  readonly isTimeToPause: () => boolean;
}

/**
 * Walks until a walk finds nothing (true), because a late write may lie behind the cursor. False: it is time to stop.
 */
async function deleteSlice(scope: ActivityScope, slice: SliceToDelete): Promise<boolean> {
  for (;;) {
    const found = await deleteSliceOnce(scope, slice);
    if (found === 'paused') return false;
    if (found === 0) return true;
  }
}

async function deleteSliceOnce({ attempt }: ActivityScope, slice: SliceToDelete): Promise<number | 'paused'> {
  const { joiner, collection } = slice;
  const from = null;
  const ctx = attempt.reading;
  const walk = new PointWalk({ source: joiner, collection, withPayload: false, withVector: false, from, ctx });
  const plan = new PlacementPlan(slice.placement);
  const stream = new SliceStream({ shardId: slice.shardId, side: 'receiver', walk, plan });
  const deletes = new PacedDelete(attempt, joiner, collection);
  let found = 0;
  try {
    while (!stream.hasEnded) {
      const ids = await nextIds(stream);
      if (ids.length === 0) continue;
      await deletes.delete(ids, (points) => {
        walk.rowsRemoved(points);
        slice.onDeleted(points);
      });
      found += ids.length;
      if (slice.isTimeToPause()) return 'paused';
    }
    return found;
  } catch (error) {
    // A client dropped it meanwhile: nothing is left of it.
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
