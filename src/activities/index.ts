import { SYSTEM_CLOCK } from './attempt';
import { awaitRouters } from './await-routers';
import { createChangeCluster } from './change-cluster';
import { cleanJoiner } from './clean-joiner';
import { compareSegment } from './compare-segment';
import { confirmSegment } from './confirm-segment';
import type { CoordinatorActivities } from './contract';
import { copyPage } from './copy-page';
import type { ActivityDeps } from './deps';
import { dropSegment } from './drop-segment';
import { inspectCollections } from './inspect-collections';
import { listCollections } from './list-collections';
import { preflightDrain } from './preflight-drain';
import { preflightGrow } from './preflight-grow';
import { prepareCollections } from './prepare-collections';
import { probeLeftovers } from './probe-leftovers';
import { createRecallOperation } from './recall-operation';
import { reconcileSegment } from './reconcile-segment';
import { removeOrphanCollections } from './remove-orphan-collections';
import { activity, type ActivityRuntime } from './run-activity';
import { ShardDirectory } from './shard-directory';
import { warmUp } from './warm-up';

export type { ActivityDeps } from './deps';

/** All activities of a worker. They share the clients of the shards, and so their connections. */
export function createActivities(deps: ActivityDeps): CoordinatorActivities {
  const runtime: ActivityRuntime = {
    shards: new ShardDirectory({ key: deps.shardKey, dispatcher: deps.dispatcher }),
    clock: deps.clock ?? SYSTEM_CLOCK,
    logger: deps.logger,
  };
  return {
    changeCluster: createChangeCluster(deps),
    preflightGrow: activity(runtime, preflightGrow),
    preflightDrain: activity(runtime, preflightDrain),
    recallOperation: createRecallOperation(deps),
    prepareCollections: activity(runtime, prepareCollections),
    listCollections: activity(runtime, listCollections),
    awaitRouters: activity(runtime, awaitRouters),
    copyPage: activity(runtime, copyPage),
    reconcileSegment: activity(runtime, reconcileSegment),
    removeOrphanCollections: activity(runtime, removeOrphanCollections),
    warmUp: activity(runtime, warmUp),
    dropSegment: activity(runtime, dropSegment),
    confirmSegment: activity(runtime, confirmSegment),
    cleanJoiner: activity(runtime, cleanJoiner),
    probeLeftovers: activity(runtime, probeLeftovers),
    inspectCollections: activity(runtime, inspectCollections),
    compareSegment: activity(runtime, compareSegment),
  };
}
