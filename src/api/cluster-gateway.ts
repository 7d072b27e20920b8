/** All that the API asks of Temporal, and the one place where Temporal's failures become answers of this API. */
import {
  QueryNotRegisteredError,
  QueryRejectCondition,
  QueryRejectedError,
  WithStartWorkflowOperation,
  WorkflowClient,
  WorkflowExecutionAlreadyStartedError,
  WorkflowUpdateFailedError,
  isGrpcServiceError,
  type Connection,
} from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterAnswer, ClusterTransition } from '../activities/contract';
import type { ClusterState } from '../domain/cluster-state';
import type { OperationProgress } from '../domain/progress';
import type { ShardMap } from '../domain/shard-map';
import { bounded, CallTimedOutError, ShuttingDownError } from '../temporal/bounded';
import {
  ANNOUNCED_UPDATE_ID,
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  clusterWorkflowId,
  GROW_WORKFLOW,
  growOperationId,
  growWorkflowId,
  mapQuery,
  progressQuery,
  stateQuery,
  taskQueue,
  transitionUpdate,
  type AnnouncedAnswer,
  type GrowInput,
} from '../workflows/messages';
import { CLUSTER_ATTRIBUTE } from '../workflows/search-attributes';
import { ApiError, isProblemCode, unavailable } from './problem';
import { Semaphore } from './semaphore';

/** An operation's workflow as Temporal itself sees it. */
export interface OperationExecution {
  readonly isRunning: boolean;
  /** Temporal's own word: RUNNING, COMPLETED, FAILED, TERMINATED, … */
  readonly temporalStatus: string;
}

/** What the API needs to know of and to do to one cluster. Every method throws ApiError only. */
export interface ClusterGateway {
  queryMap(): Promise<ShardMap>;
  queryState(): Promise<ClusterState>;
  applyTransition(transition: ClusterTransition): Promise<ClusterAnswer>;
  /** Starts a grow, or finds the one that the same key has started, and returns what the first call was answered. */
  startGrow(input: GrowInput): Promise<AnnouncedAnswer>;
  /** @throws ApiError UnknownOperation */
  queryProgress(key: string): Promise<OperationProgress>;
  /** @throws ApiError UnknownOperation */
  describeOperation(key: string): Promise<OperationExecution>;
  /** @throws ApiError UnknownOperation, PointOfNoReturnPassed, OperationEnded */
  cancelOperation(key: string, reason: string): Promise<OperationProgress>;
}

const QUERY_TIMEOUT_MS = 2_000;
const UPDATE_TIMEOUT_MS = 10_000;
/** A preflight looks at every shard and may wait for a slow one; the caller's own HTTP client gives up after about this. */
const GROW_ANSWER_TIMEOUT_MS = 25_000;
const UPDATES_IN_FLIGHT_MAX = 8;
const UPDATES_WAITING_MAX = 256;

export interface TemporalGatewayOptions {
  readonly connection: Connection;
  readonly namespace: string;
  readonly cluster: string;
  /** Fires when this process stops: calls under way end with an answer that says so. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
  readonly timeouts?: { readonly queryMs?: number; readonly updateMs?: number; readonly growAnswerMs?: number };
}

export class TemporalGateway implements ClusterGateway {
  private readonly options: TemporalGatewayOptions;
  private readonly workflows: WorkflowClient;
  /** For the cluster itself: a closed workflow still answers queries, with a map that nobody keeps any more. */
  private readonly openWorkflows: WorkflowClient;
  private readonly updates = new Semaphore({ runningMax: UPDATES_IN_FLIGHT_MAX, waitingMax: UPDATES_WAITING_MAX });
  private readonly timeouts: { queryMs: number; updateMs: number; growAnswerMs: number };

  constructor(options: TemporalGatewayOptions) {
    this.options = options;
    const { connection, namespace } = options;
    this.workflows = new WorkflowClient({ connection, namespace });
    this.openWorkflows = new WorkflowClient({
      connection,
      namespace,
      queryRejectCondition: QueryRejectCondition.NOT_OPEN,
    });
    this.timeouts = {
      queryMs: QUERY_TIMEOUT_MS,
      updateMs: UPDATE_TIMEOUT_MS,
      growAnswerMs: GROW_ANSWER_TIMEOUT_MS,
      ...options.timeouts,
    };
  }

  queryMap(): Promise<ShardMap> {
    return this.askCluster(() => this.clusterHandle().query(mapQuery));
  }

  queryState(): Promise<ClusterState> {
    return this.askCluster(() => this.clusterHandle().query(stateQuery));
  }

  applyTransition(transition: ClusterTransition): Promise<ClusterAnswer> {
    return this.updates.run(async () => {
      try {
        return await this.call(this.timeouts.updateMs, () =>
          this.clusterHandle().executeUpdate(transitionUpdate, { args: [transition] }),
        );
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) throw await this.clusterTrouble(error);
        throw updateTrouble(error, 'the change may or may not have been made: look at GET /cluster/map');
      }
    });
  }

  async startGrow(input: GrowInput): Promise<AnnouncedAnswer> {
    const operation = new WithStartWorkflowOperation(GROW_WORKFLOW, this.growStartOptions(input));
    try {
      return await this.call(this.timeouts.growAnswerMs, () =>
        this.workflows.executeUpdateWithStart(announcedUpdate, {
          updateId: ANNOUNCED_UPDATE_ID,
          startWorkflowOperation: operation,
        }),
      );
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return this.firstAnswer(input.key);
      throw updateTrouble(
        error,
        `operation ${growOperationId(input.key)} may have started and may still run: ` +
          `repeat the call with Idempotency-Key: ${input.key}, which finds it, or look at GET /cluster/operations/${growOperationId(input.key)}`,
      );
    }
  }

  queryProgress(key: string): Promise<OperationProgress> {
    return this.askOperation(key, () => this.growHandle(key).query(progressQuery));
  }

  async describeOperation(key: string): Promise<OperationExecution> {
    const { status } = await this.askOperation(key, () => this.growHandle(key).describe());
    return { isRunning: status.name === 'RUNNING', temporalStatus: status.name };
  }

  async cancelOperation(key: string, reason: string): Promise<OperationProgress> {
    let progress: OperationProgress;
    try {
      progress = await this.call(this.timeouts.updateMs, () =>
        this.growHandle(key).executeUpdate(cancelUpdate, { args: [{ reason }] }),
      );
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        // Temporal says "not found" of a workflow that has ended as well; describing it tells the two apart.
        await this.describeOperation(key);
        throw new ApiError('OperationEnded', `operation ${growOperationId(key)} has ended: there is nothing to cancel`);
      }
      throw updateTrouble(
        error,
        'the cancel may or may not have been taken: look at the operation, and repeat the call',
      );
    }
    await this.markCancelled(key);
    return progress;
  }

  /** The update alone cancels the operation. Temporal shows it as Canceled, and not as Failed, only when asked to cancel it as well. */
  private async markCancelled(key: string): Promise<void> {
    try {
      await this.call(this.timeouts.queryMs, () => this.growHandle(key).cancel());
    } catch (error) {
      const { logger } = this.options;
      logger.debug({ err: error, operationId: growOperationId(key) }, 'Temporal will not show this cancel as one');
    }
  }

  // ---- The answer to a repeated grow whose workflow has ended ----

  /** An update is remembered with its run, and a long grow has several: so its workflow tells the answer by a query too. */
  private async firstAnswer(key: string): Promise<AnnouncedAnswer> {
    const { answer, refusal } = await this.askOperation(key, () => this.growHandle(key).query(announcedQuery));
    if (answer !== null) return answer;
    if (refusal !== null) throw refused(refusal);
    const id = growOperationId(key);
    throw new ApiError('OperationEnded', `operation ${id} has ended: start another one with a fresh Idempotency-Key`);
  }

  private growStartOptions(input: GrowInput) {
    const { cluster, key, request } = input;
    const urls = request.shards.map((shard) => shard.primary_url).join(', ');
    return {
      workflowId: growWorkflowId(cluster, key),
      taskQueue: taskQueue(cluster),
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING' as const,
      workflowIdReusePolicy: 'REJECT_DUPLICATE' as const,
      staticSummary: `grow ${cluster} by ${urls}`,
      staticDetails: `Adds \`${urls}\` to the cluster **${cluster}** and moves its share of the points there, while clients go on.`,
      memo: { operationId: growOperationId(key), shards: urls },
      ...(input.searchAttributes ? { typedSearchAttributes: [{ key: CLUSTER_ATTRIBUTE, value: cluster }] } : {}),
    };
  }

  // ---- Calls and what their failures mean ----

  private clusterHandle() {
    return this.openWorkflows.getHandle(clusterWorkflowId(this.options.cluster));
  }

  private growHandle(key: string) {
    return this.workflows.getHandle(growWorkflowId(this.options.cluster, key));
  }

  private call<T>(timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const { connection, stopping } = this.options;
    return bounded(timeoutMs, stopping, () => connection.withDeadline(Date.now() + timeoutMs, call));
  }

  private async askCluster<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await this.call(this.timeouts.queryMs, call);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError) {
        throw await this.clusterTrouble(error);
      }
      throw queryTrouble(error);
    }
  }

  private async askOperation<T>(key: string, call: () => Promise<T>): Promise<T> {
    try {
      return await this.call(this.timeouts.queryMs, call);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        throw new ApiError('UnknownOperation', `there is no operation ${growOperationId(key)}`, { cause: error });
      }
      throw queryTrouble(error);
    }
  }

  /** The cluster workflow is absent or closed. A state that was lost is reported, never replaced by a fresh version 0. */
  private async clusterTrouble(cause: Error): Promise<ApiError> {
    const id = clusterWorkflowId(this.options.cluster);
    if (cause instanceof QueryRejectedError) return clusterClosed(id, cause);
    try {
      await this.call(this.timeouts.queryMs, () => this.clusterHandle().describe());
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) return queryTrouble(error);
      const detail =
        `workflow ${id} does not exist in namespace ${this.options.namespace}: ` +
        'start the API with QUIVER_CLUSTER_SHARDS or QUIVER_COORDINATOR_STATE, or point TEMPORAL_* at the Temporal that has it';
      return unavailable('ClusterMissing', detail, error);
    }
    return clusterClosed(id, cause);
  }
}

function clusterClosed(workflowId: string, cause: Error): ApiError {
  const detail =
    `workflow ${workflowId}, which keeps the map, is closed (terminated or failed) and is not replaced by itself: ` +
    'reset it in the Temporal Web UI to a point before its end';
  return unavailable('ClusterClosed', detail, cause);
}

function queryTrouble(error: unknown): ApiError {
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
function updateTrouble(error: unknown, whenUnknown: string): ApiError {
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

function refused(refusal: { type: string; message: string }, cause?: unknown): ApiError {
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
