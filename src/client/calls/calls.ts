/** How this process calls Temporal: every call has a deadline, and every failure leaves as a ClientError. */
import {
  QueryNotRegisteredError,
  QueryRejectCondition,
  QueryRejectedError,
  WorkflowClient,
  WorkflowUpdateFailedError,
  isGrpcServiceError,
  type ConnectionLike,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import { clusterWorkflowId } from '../../contract/ids';
import type { Refusal } from '../../contract/requests';
import { bounded, CallTimedOutError, ShuttingDownError } from './bounded';
import { DATA_CONVERTER } from './large-payloads';
import { ClientError, CutShortError, RefusedError, type UnansweredCode } from './errors';
import { passTraceOn } from './pass-trace-on';

export interface TemporalCallsOptions {
  readonly connection: ConnectionLike;
  readonly namespace: string;
  readonly cluster: string;
  /** Fires when this process stops: calls under way end at once. Absent: nothing ends them before their deadline. */
  readonly stopping?: AbortSignal;
  readonly queryMs?: number;
  /** For a call to the cluster workflow with the search for the reason of its failure. Absent: that search has deadlines of its own. */
  readonly wholeCallMs?: number;
  /** What is left of a cluster that has no workflow, in one sentence; null when there is no sign of it. */
  readonly traces?: { lostDetail(): Promise<string | null> };
}

export const QUERY_TIMEOUT_MS = 2_000;

export class TemporalCalls {
  readonly workflows: WorkflowClient;
  /** For the cluster itself: a closed workflow still answers queries, with a state that is out of date. */
  readonly openWorkflows: WorkflowClient;
  readonly queryMs: number;
  private readonly options: TemporalCallsOptions;
  private readonly stopping: AbortSignal;

  constructor(options: TemporalCallsOptions) {
    this.options = options;
    const { connection, namespace } = options;
    const shared = { connection, namespace, dataConverter: DATA_CONVERTER, interceptors: [passTraceOn] };
    this.workflows = new WorkflowClient(shared);
    this.openWorkflows = new WorkflowClient({
      ...shared,
      queryRejectCondition: QueryRejectCondition.NOT_OPEN,
    });
    this.stopping = options.stopping ?? new AbortController().signal;
    this.queryMs = options.queryMs ?? QUERY_TIMEOUT_MS;
  }

  clusterHandle() {
    return this.openWorkflows.getHandle(clusterWorkflowId(this.options.cluster));
  }

  /** Rejects as Temporal does, or with CallTimedOutError or ShuttingDownError. */
  withinMs<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const { connection } = this.options;
    return bounded(timeoutMs, this.stopping, () => connection.withDeadline(Date.now() + timeoutMs, call));
  }

  /** @throws ClientError */
  async askCluster<T>(call: () => Promise<T>, timeoutMs = this.queryMs): Promise<T> {
    const startedMs = Date.now();
    try {
      return await this.withinMs(timeoutMs, call);
    } catch (error) {
      throw isNotRunning(error) ? await this.notRunning(error, startedMs) : queryError(error);
    }
  }

  /** @throws ClientError, UnknownOperation when there is no such workflow */
  async askOperation<T>(operationId: string, call: () => Promise<T>, timeoutMs = this.queryMs): Promise<T> {
    try {
      return await this.withinMs(timeoutMs, call);
    } catch (error) {
      throw error instanceof WorkflowNotFoundError ? unknownOperation(operationId, error) : queryError(error);
    }
  }

  /** Has the cluster workflow change something. @throws ClientError */
  async changeCluster<T>(call: () => Promise<T>, timeoutMs: number): Promise<T> {
    const startedMs = Date.now();
    try {
      return await this.withinMs(timeoutMs, call);
    } catch (error) {
      if (isNotRunning(error)) throw await this.notRunning(error, startedMs);
      throw updateError(error, { code: 'TransitionUnanswered' });
    }
  }

  /** Why it does not run, or that this was not found out in the time that the call has left. */
  private async notRunning(cause: Error, startedMs: number): Promise<ClientError> {
    const { wholeCallMs } = this.options;
    if (wholeCallMs === undefined) return this.whyNotRunning(cause);
    const leftMs = Math.max(0, startedMs + wholeCallMs - Date.now());
    return this.withinMs(leftMs, () => this.whyNotRunning(cause)).catch(queryError);
  }

  /** The cluster workflow is absent or closed. A lost state is reported, and never replaced by a fresh version 0. */
  private async whyNotRunning(cause: Error): Promise<ClientError> {
    const { cluster, namespace, traces } = this.options;
    const id = clusterWorkflowId(cluster);
    const closed = new ClientError('ClusterClosed', `workflow ${id}, which keeps the map, is closed`, { cause });
    if (cause instanceof QueryRejectedError) return closed;
    try {
      await this.withinMs(this.queryMs, () => this.clusterHandle().describe());
      return closed;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) return queryError(error);
    }
    try {
      const lost = (await traces?.lostDetail()) ?? null;
      if (lost !== null) return new ClientError('ClusterLost', lost, { cause });
    } catch (error) {
      return queryError(error);
    }
    return new ClientError('ClusterMissing', `workflow ${id} does not exist in namespace ${namespace}`, { cause });
  }
}

function isNotRunning(error: unknown): error is Error {
  return error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError;
}

export function unknownOperation(operationId: string, cause?: unknown): ClientError {
  return new ClientError('UnknownOperation', `there is no operation ${operationId}`, { about: operationId, cause });
}

/** What a failed read means. */
export function queryError(error: unknown): ClientError {
  if (error instanceof ClientError) return error;
  if (error instanceof QueryNotRegisteredError) {
    return new ClientError('QueryUnknown', 'the worker does not know this query: run workers of this version', {
      cause: error,
    });
  }
  const message = `Temporal or its worker did not answer: ${transportReason(error)}`;
  return new ClientError('TemporalUnreachable', message, { cause: error });
}

/** What a failed update or start means. `unanswered` is the code for a call that may have had its effect, and what it is about. */
export function updateError(error: unknown, unanswered: { code: UnansweredCode; about?: string }): ClientError {
  if (error instanceof ClientError) return error;
  const { code, about = '' } = unanswered;
  const end = endBeforeAnswer(error);
  if (end !== null) return new CutShortError(end, code, error);
  const refusal = refusalOf(error);
  if (refusal !== null) return new RefusedError(refusal, error);
  return new ClientError(code, `no answer (${transportReason(error)})`, { about, cause: error });
}

/** Why the workflow refused an update; null when it did not answer. */
function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof WorkflowUpdateFailedError) || !(error.cause instanceof ApplicationFailure)) return null;
  return { type: error.cause.type ?? 'none', message: error.cause.message };
}

/** How the workflow ended while the caller waited; null when it did not. */
function endBeforeAnswer(error: unknown): Refusal | null {
  if (!(error instanceof WorkflowUpdateFailedError)) return null;
  const { cause } = error;
  // The workflow was cancelled in Temporal's own way while the caller waited.
  if (cause instanceof CancelledFailure) {
    return { type: 'OperationCancelled', message: 'the operation was cancelled before it could answer' };
  }
  if (cause instanceof ApplicationFailure && cause.type === 'AcceptedUpdateCompletedWorkflow') {
    return { type: 'OperationEnded', message: 'the operation was ended from outside before it could answer' };
  }
  return null;
}

function transportReason(error: unknown): string {
  if (error instanceof CallTimedOutError || error instanceof ShuttingDownError) return error.message;
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (isGrpcServiceError(each)) return each.details;
  }
  return error instanceof Error ? error.message : 'unknown reason';
}
