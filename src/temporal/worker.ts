import { existsSync } from 'node:fs';
import { extname, join } from 'node:path';
import {
  bundleWorkflowCode,
  DefaultLogger,
  Worker,
  type NativeConnection,
  type WorkflowBundleOption,
} from '@temporalio/worker';
import type { CoordinatorActivities } from '../contract/activities';
import { DATA_CONVERTER } from '../client/calls/large-payloads';
import { deploymentName, taskQueue } from '../contract/ids';
import type { Tracer } from '../tracing/tracer';
import { attemptSpans } from './attempt-span';
import { workflowSources } from './workflow-sources';

/** Made by `npm run build`, so that a worker starts without compiling the workflows first. */
export const WORKFLOW_BUNDLE = 'workflow-bundle.js';

/** A page of points is some megabytes, so this bounds the memory of a worker. */
const ACTIVITIES_MAX = 16;
const WORKFLOW_TASKS_MAX = 40;
/**
 * Workflows kept in memory. A cluster has one entity and at most one operation; the rest are queries about ended ones.
 */
const CACHED_WORKFLOWS_MAX = 64;
/**
 * After the grace, activities must stop at their next safe point. After the force time they are left to Temporal's
 * retry.
 */
const SHUTDOWN_GRACE_MS = 1_000;
const SHUTDOWN_FORCE_MS = 5_000;

export interface WorkerParts {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly cluster: string;
  readonly activities: CoordinatorActivities;
  /** Null: without Worker Versioning. */
  readonly buildId?: string | null;
  /** Null: without tracing. */
  readonly tracer?: Tracer | null;
}

/** What makes a worker one version of the cluster's deployment. Operations stay on their build (workflows/index.ts). */
export function versionedAs(cluster: string, buildId: string) {
  return {
    workerDeploymentOptions: {
      useWorkerVersioning: true,
      version: { deploymentName: deploymentName(cluster), buildId },
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  } as const;
}

export async function createWorker(parts: WorkerParts): Promise<Worker> {
  const { buildId = null } = parts;
  return Worker.create({
    connection: parts.connection,
    namespace: parts.namespace,
    taskQueue: taskQueue(parts.cluster),
    activities: parts.activities,
    dataConverter: DATA_CONVERTER,
    workflowBundle: await workflowCode(),
    maxConcurrentActivityTaskExecutions: ACTIVITIES_MAX,
    maxConcurrentWorkflowTaskExecutions: WORKFLOW_TASKS_MAX,
    maxCachedWorkflows: CACHED_WORKFLOWS_MAX,
    // When a worker dies, another one gets its sticky tasks (map queries among them) after this long.
    stickyQueueScheduleToStartTimeout: '1s',
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    shutdownForceTime: SHUTDOWN_FORCE_MS,
    ...tracedBy(parts),
    ...(buildId === null ? {} : versionedAs(parts.cluster, buildId)),
  });
}

/** Listens on the queue of this worker alone: for steps that need what it keeps. It runs no workflow. */
export async function createOwnWorker(parts: WorkerParts, ownTaskQueue: string): Promise<Worker> {
  return Worker.create({
    connection: parts.connection,
    namespace: parts.namespace,
    taskQueue: ownTaskQueue,
    activities: parts.activities,
    dataConverter: DATA_CONVERTER,
    maxConcurrentActivityTaskExecutions: ACTIVITIES_MAX,
    shutdownGraceTime: SHUTDOWN_GRACE_MS,
    shutdownForceTime: SHUTDOWN_FORCE_MS,
    ...tracedBy(parts),
  });
}

function tracedBy({ tracer = null }: WorkerParts) {
  return tracer === null ? {} : { interceptors: { activity: [attemptSpans(tracer)] } };
}

let compiled: Promise<WorkflowBundleOption> | null = null;

/** The bundle of the build, else one that is compiled once per process, which takes some seconds. */
function workflowCode(): Promise<WorkflowBundleOption> {
  const codePath = join(__dirname, '..', WORKFLOW_BUNDLE);
  if (existsSync(codePath)) return Promise.resolve({ codePath });
  compiled ??= bundleWorkflowCode({
    ...workflowSources(join(__dirname, '..'), extname(__filename)),
    logger: new DefaultLogger('WARN'),
  });
  return compiled;
}
