import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InlineEngine, type Engine } from '../rows/thread/engine';
import { rowSteps } from './move/row-steps';
import { findMisplaced } from './repair/find-misplaced';
import { SYSTEM_CLOCK } from './frame/attempt';
import { createAwaitHookNews } from './hooks/await-hook-news';
import { createDeliverHookNews } from './hooks/deliver-hook-news';
import type { AutoscaleActivities } from '../contract/evaluation-activities';
import { awaitRouters } from './move/await-routers';
import { createChangeCluster } from './cluster/change-cluster';
import { cleanJoiner } from './move/clean-joiner';
import { stepLimitsQuery, stepProgressSignal } from '../contract/messages';
import type { CoordinatorActivities, DiagnosisActivities, HookActivities } from '../contract/activities';
import type { ActivityDeps } from './frame/deps';
import { inspectCollections } from './collections/inspect-collections';
import { createFindRouters } from './frame/find-routers';
import { createConfirmLock } from './frame/lock-guard';
import { listCollections } from './collections/list-collections';
import { createLookAfterLock } from './cluster/look-after-lock';
import { createObserveCluster } from './cluster/observe-cluster';
import { examineShards } from './preflight/examine-shards';
import { examineWorker } from './preflight/examine-worker';
import { planScans } from './preflight/plan-scans';
import { preflightDrain } from './preflight/preflight-drain';
import { preflightGrow } from './preflight/preflight-grow';
import { prepareCollections } from './collections/prepare-collections';
import { probeStandbys } from './preflight/probe-standbys';
import { readLoads } from './preflight/read-loads';
import { identifyShards, lookAtShards, releaseShards } from './preflight/identify-shards';
import { createRecallOperation } from './cluster/recall-operation';
import { removeOrphanCollections } from './collections/remove-orphan-collections';
import { activity, type ActivityRuntime } from './frame/run-activity';
import { ShardDirectory } from './frame/shard-directory';
import { sharedLimits } from './frame/shared-limits';
import { createStartByPolicy } from './cluster/start-by-policy';
import { warmUp } from './move/warm-up';
import { watchActivities, watchesOf } from './move/watch-routers';

export type { ActivityDeps } from './frame/deps';

/** A server that takes longer to answer a heartbeat extends no lease. */
const RENEW_TIMEOUT_MS = 3_000;

/** All activities of a worker. They share the clients of the shards, and so their connections. */
export function createActivities(
  deps: ActivityDeps,
): CoordinatorActivities & AutoscaleActivities & HookActivities & DiagnosisActivities {
  const shards = new ShardDirectory({
    key: deps.shardKey,
    dispatcher: deps.dispatcher,
    reach: deps.reach,
    grpcPortOffset: deps.grpcPortOffset,
  });
  const runtime: ActivityRuntime = {
    shards,
    clock: deps.clock ?? SYSTEM_CLOCK,
    logger: deps.logger,
    confirmLock: createConfirmLock(deps),
    findRouters: createFindRouters(deps, shards.reach),
    tellStep: ({ workflowId, runId }, step) => {
      void deps.client.workflow
        .getHandle(workflowId, runId)
        .signal(stepProgressSignal, step)
        .catch(() => undefined);
    },
    readLimits: sharedLimits(({ workflowId, runId }) =>
      deps.client.withDeadline(Date.now() + RENEW_TIMEOUT_MS, () =>
        deps.client.workflow.getHandle(workflowId, runId).query(stepLimitsQuery),
      ),
    ),
    renewLease: (taskToken, details) =>
      deps.client.withDeadline(Date.now() + RENEW_TIMEOUT_MS, () => deps.client.activity.heartbeat(taskToken, details)),
  };
  const { spoolFolder = join(tmpdir(), `quiver-coordinator-${process.getuid?.() ?? 0}`) } = deps;
  const engine = deps.engine ?? inlineEngine(deps, spoolFolder);
  const watches = watchesOf(runtime, deps);
  const worker = deps.ownTaskQueue ?? null;
  return {
    changeCluster: createChangeCluster(deps),
    lookAfterLock: createLookAfterLock(deps),
    observeCluster: createObserveCluster(deps),
    awaitHookNews: createAwaitHookNews(deps),
    deliverHookNews: createDeliverHookNews(deps),
    ...createStartByPolicy(deps),
    readLoads: activity(runtime, readLoads),
    probeStandbys: activity(runtime, probeStandbys),
    identifyShards: activity(runtime, identifyShards),
    lookAtShards: activity(runtime, lookAtShards),
    releaseShards: activity(runtime, releaseShards),
    preflightGrow: activity(runtime, preflightGrow),
    preflightDrain: activity(runtime, preflightDrain),
    recallOperation: createRecallOperation(deps),
    prepareCollections: activity(runtime, prepareCollections),
    listCollections: activity(runtime, listCollections),
    awaitRouters: activity(runtime, awaitRouters),
    ...watchActivities(runtime, watches, worker),
    removeOrphanCollections: activity(runtime, removeOrphanCollections),
    warmUp: activity(runtime, warmUp),
    cleanJoiner: activity(runtime, cleanJoiner(engine)),
    planScans: activity(runtime, planScans(engine)),
    examineWorker: activity(runtime, examineWorker(spoolFolder)),
    examineShards: activity(runtime, examineShards),
    ...rowSteps(runtime, engine, { watches, worker }),
    findMisplaced: activity(runtime, findMisplaced(engine)),
    inspectCollections: activity(runtime, inspectCollections),
  };
}

/** Where nobody gave one: in this thread, and nobody closes it. */
function inlineEngine({ shardKey: key, grpcPortOffset = 1, reach }: ActivityDeps, spoolFolder: string): Engine {
  return new InlineEngine({ key, grpcPortOffset, spoolFolder, reach: reach?.options });
}
