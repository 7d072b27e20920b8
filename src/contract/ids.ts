/** Workflow types, workflow ids and task queues. The type of an operation's workflow is its kind. */
import { OPERATION_KINDS, type OperationKind } from '../domain/cluster-state';

export const CLUSTER_WORKFLOW = 'cluster';
export const clusterWorkflowId = (cluster: string): string => `cluster/${cluster}`;
export const operationWorkflowId = (cluster: string, kind: OperationKind, key: string): string =>
  `${kind}/${cluster}/${key}`;

/** The id that REST shows and the lock holds. A key holds no `/` and no `%`, so it is safe in a path. */
export const operationIdOf = (kind: OperationKind, key: string): string => `${kind}-${key}`;

/** One task queue per cluster: a worker holds the shard key of one cluster only. */
export const taskQueue = (cluster: string): string => `coordinator/${cluster}`;
/** Under which the builds of a cluster's workers are versions of one deployment. */
export const deploymentName = (cluster: string): string => `coordinator-${cluster}`;
/** Of one worker alone. `id` is a new one in each process. */
export const workerTaskQueue = (cluster: string, id: string): string => `${taskQueue(cluster)}/worker-${id}`;

/** A key as callers give it (Idempotency-Key), or with what a recovery adds to the id of the recovered operation. */
const KEY = /^[A-Za-z0-9_.:-]{1,200}$/;

/** Kind and key of an operation id, or null when it is not one. */
export function parseOperationId(operationId: string): { kind: OperationKind; key: string } | null {
  const kind = OPERATION_KINDS.find((each) => operationId.startsWith(`${each}-`));
  if (kind === undefined) return null;
  const key = operationId.slice(kind.length + 1);
  return KEY.test(key) ? { kind, key } : null;
}

// ---- witness ----

export const WITNESS_WORKFLOW = 'published';
export const witnessWorkflowId = (cluster: string): string => `published/${cluster}`;

// ---- evaluation ----

export const AUTOSCALE_WORKFLOW = 'autoscale';

/** The id of the Schedule. The Schedule adds the time of each start to it for its workflows. */
export const autoscaleScheduleId = (cluster: string): string => `autoscale/${cluster}`;

/** The id of an evaluation on request. */
export const evaluationWorkflowId = (cluster: string, key: string): string => `autoscale/${cluster}/${key}`;

/** An evaluation that no worker works on for this long is over. The next one decides on what is true then. */
export const EVALUATION_LIFE_MS = 120_000;

// ---- plan ----

export const PLAN_WORKFLOW = 'plan';
/** Every plan is made anew. */
export const planWorkflowId = (cluster: string, id: string): string => `plan/${cluster}/plan-${id}`;
/** Whoever asked for the plan has gone after that. */
export const PLAN_LIFE_MS = 30_000;

// ---- diagnosis ----

export const DIAGNOSIS_WORKFLOW = 'diagnose';
/** Every diagnosis is made anew. */
export const diagnosisWorkflowId = (cluster: string, id: string): string => `diagnose/${cluster}/diagnose-${id}`;
/** Whoever asked for it has gone after that. */
export const DIAGNOSIS_LIFE_MS = 15_000;

// ---- webhooks ----

export const HOOKS_WORKFLOW = 'hooks';
export const hooksWorkflowId = (cluster: string): string => `hooks/${cluster}`;
