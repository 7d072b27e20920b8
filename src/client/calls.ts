/** How this API calls Temporal: every call with a deadline of its own, and every failure as an answer of this API. */
import {
  QueryNotRegisteredError,
  QueryRejectCondition,
  QueryRejectedError,
  WorkflowClient,
  WorkflowUpdateFailedError,
  isGrpcServiceError,
  type Connection,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { bounded, CallTimedOutError, ShuttingDownError } from './bounded';
import type { ClusterTraces } from './survey';
import { clusterWorkflowId } from '../contract/ids';
import { ApiError, isProblemCode, unavailable } from '../api/http/problem';

export interface TemporalCallsOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly cluster: string;
  /** Fires when this process stops: calls under way end with an answer that says so. */
  readonly stopping: AbortSignal;
  readonly queryMs?: number;
  /** What is left of a cluster that has no workflow, in one sentence; null when nothing speaks for it having existed. */
  readonly traces?: Pick<ClusterTraces, 'detail'>;
}

export const QUERY_TIMEOUT_MS = 2_000;

export class TemporalCalls {
  readonly workflows: WorkflowClient;
  readonly queryMs: number;
  /** For the cluster itself: a closed workflow still answers queries, with a map that nobody keeps any more. */
  private readonly openWorkflows: WorkflowClient;
  private readonly options: TemporalCallsOptions;

  constructor(options: TemporalCallsOptions) {
    this.options = options;
    const { connection, namespace } = options;
    this.workflows = new WorkflowClient({ connection, namespace });
    this.openWorkflows = new WorkflowClient({
      connection,
      namespace,
      queryRejectCondition: QueryRejectCondition.NOT_OPEN,
    });
    this.queryMs = options.queryMs ?? QUERY_TIMEOUT_MS;
  }

  clusterHandle() {
    return this.openWorkflows.getHandle(clusterWorkflowId(this.options.cluster));
  }

  call<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const { connection, stopping } = this.options;
    return bounded(timeoutMs, stopping, () => connection.withDeadline(Date.now() + timeoutMs, call));
  }

  /** @throws ApiError */
  async askCluster<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await this.call(this.queryMs, call);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError) {
        throw await this.clusterTrouble(error);
      }
      throw queryTrouble(error);
    }
  }

  /** @throws ApiError, UnknownOperation when there is no such workflow */
  async askOperation<T>(operationId: string, call: () => Promise<T>): Promise<T> {
    try {
      return await this.call(this.queryMs, call);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        throw new ApiError('UnknownOperation', `there is no operation ${operationId}`, { cause: error });
      }
      throw queryTrouble(error);
    }
  }

  /** The cluster workflow is absent or closed. A state that was lost is reported, never replaced by a fresh version 0. */
  async clusterTrouble(cause: Error): Promise<ApiError> {
    const id = clusterWorkflowId(this.options.cluster);
    if (cause instanceof QueryRejectedError) return clusterClosed(id, cause);
    try {
      await this.call(this.queryMs, () => this.clusterHandle().describe());
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) return queryTrouble(error);
      return this.missingOrLost(error);
    }
    return clusterClosed(id, cause);
  }

  private async missingOrLost(cause: Error): Promise<ApiError> {
    const { cluster, namespace, traces } = this.options;
    try {
      const lost = (await traces?.detail()) ?? null;
      if (lost !== null) return unavailable('ClusterLost', lost, cause);
    } catch (error) {
      return queryTrouble(error);
    }
    const detail =
      `workflow ${clusterWorkflowId(cluster)} does not exist in namespace ${namespace}: ` +
      'start the API with QUIVER_CLUSTER_SHARDS or QUIVER_COORDINATOR_STATE, or point TEMPORAL_* at the Temporal that has it';
    return unavailable('ClusterMissing', detail, cause);
  }
}

function clusterClosed(workflowId: string, cause: Error): ApiError {
  const detail =
    `workflow ${workflowId}, which keeps the map, is closed (terminated or failed) and is not replaced by itself: ` +
    'POST /cluster/restore {"last_known":true} begins it again with its last state, one version above';
  return unavailable('ClusterClosed', detail, cause);
}

export function queryTrouble(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof QueryNotRegisteredError) {
    return unavailable(
      'TemporalUnreachable',
      'the worker does not know this query: run workers of this version',
      error,
    );
  }
  return unavailable('TemporalUnreachable', `Temporal or its worker did not answer: ${transportReason(error)}`, error);
}

/** What a failed update means. `whenUnknown` tells the caller how to find out whether it had an effect. */
export function updateTrouble(error: unknown, whenUnknown: string): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    const { type, message } = error.cause;
    if (type === 'AcceptedUpdateCompletedWorkflow') {
      return new ApiError('OperationEnded', 'the operation was ended from outside before it could answer', {
        cause: error,
      });
    }
    return refused({ type: type ?? 'none', message }, error);
  }
  // Its workflow was cancelled in Temporal's own way while the caller waited.
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof CancelledFailure) {
    return new ApiError('OperationCancelled', 'the operation was cancelled before it could answer', { cause: error });
  }
  return unavailable('OutcomeUnknown', `no answer (${transportReason(error)}); ${whenUnknown}`, error);
}

export function refused(refusal: { type: string; message: string }, cause?: unknown): ApiError {
  if (isProblemCode(refusal.type)) return new ApiError(refusal.type, refusal.message, { cause });
  const detail = `the workflow refused for a reason (${refusal.type}) that this version does not know: ${refusal.message}`;
  return new ApiError('Internal', detail, { cause });
}

function transportReason(error: unknown): string {
  if (error instanceof CallTimedOutError || error instanceof ShuttingDownError) return error.message;
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (isGrpcServiceError(each)) return each.details;
  }
  return error instanceof Error ? error.message : 'unknown reason';
}
