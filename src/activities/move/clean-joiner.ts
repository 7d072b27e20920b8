import type { CoordinatorActivities } from '../../contract/activities';
import type { Engine } from '../../rows/thread/engine';
import { findLeaders } from '../frame/leaders';
import type { ActivityScope } from '../frame/run-activity';
import { runRowJob } from '../rows/row-scope';

type CleanInput = Parameters<CoordinatorActivities['cleanJoiner']>[0];
type CleanResult = Awaited<ReturnType<CoordinatorActivities['cleanJoiner']>>;

/**
 * INV-7: the joiner becomes what it was.
 * - Collections that it did not have before are dropped.
 * - Collections that it had, empty, lose the points of the slice and nothing else.
 * - Collections that held points of its own are left alone: nobody can tell which points are whose.
 *
 * Called when the shard is out of the map and no router writes to it. What is gone is not found again.
 */
export function cleanJoiner(engine: Engine) {
  return async (scope: ActivityScope, input: CleanInput): Promise<CleanResult> => {
    const { attempt, shards } = scope;
    await findLeaders(scope, [input.joiner]);
    const joiner = shards.client(input.joiner);
    const collections: string[] = [];
    let collectionsDropped = 0;
    for (const { name, count } of await joiner.listCollections(attempt.reading)) {
      if (input.nonemptyBefore.includes(name)) continue;
      if (!input.collectionsBefore.includes(name)) {
        if (await attempt.write((ctx) => joiner.dropCollection(name, ctx))) collectionsDropped += 1;
      } else if (count > 0) collections.push(name);
    }
    const { lateWritesUntilMs } = attempt;
    if (collections.length === 0) return { collectionsDropped, pointsDeleted: 0, lateWritesUntilMs };
    const { placement, joiner: receiver } = input;
    const { removed } = await runRowJob(scope, engine, {
      name: 'remove',
      input: {
        receiverId: receiver.id,
        placement,
        collections,
        which: 'all',
        absentIsDeleted: true,
        settleMs: 0,
      },
      // A joiner is cleaned also when it was never claimed.
      move: { ...input, identity: null },
    });
    return { collectionsDropped, pointsDeleted: removed, lateWritesUntilMs: attempt.lateWritesUntilMs };
  };
}
