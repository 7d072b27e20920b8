/** All that the API asks of Temporal about the cluster and its operations. */
import { WithStartWorkflowOperation, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterAnswer, ClusterTransition } from '../contract/cluster';
import type { ClusterState, OperationKind } from '../domain/cluster-state';
import type { OperationProgress } from '../domain/progress';
import type { ShardMap } from '../domain/shard-map';
import type { LockLook } from '../contract/evaluation-activities';
import { recoverDeadLock } from './abandoned-lock';
import { operationStartOptions } from './start-operation';
import {
  ANNOUNCED_UPDATE_ID,
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  mapQuery,
  progressQuery,
  stateQuery,
  transitionUpdate,
  type OperationInput,
} from '../contract/messages';
import type { AnnouncedAnswer, OperationRequest, OperationSettings } from '../contract/requests';
import { operationIdOf, operationWorkflowId, parseOperationId } from '../contract/ids';
import { ApiError } from '../api/http/problem';
import { Semaphore } from './semaphore';
import { refused, TemporalCalls, updateTrouble, type TemporalCallsOptions } from './calls';

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
  /** Starts an operation, or finds the one that the same key has started, and returns what the first call was answered. */
  startOperation(kind: OperationKind, input: OperationInput<OperationRequest>): Promise<AnnouncedAnswer>;
  /** @throws ApiError UnknownOperation */
  queryProgress(operationId: string): Promise<OperationProgress>;
  /** @throws ApiError UnknownOperation */
  describeOperation(operationId: string): Promise<OperationExecution>;
  /** @throws ApiError UnknownOperation, PointOfNoReturnPassed, OperationEnded */
  cancelOperation(operationId: string, reason: string): Promise<OperationProgress>;
  /** Starts the recovery of an operation that was ended from outside, when one such holds the lock. */
  lookAfterLock(): Promise<LockLook>;
}

const UPDATE_TIMEOUT_MS = 10_000;
/** A preflight looks at every shard and may wait for a slow one; the caller's own HTTP client gives up after about this. */
const START_ANSWER_TIMEOUT_MS = 25_000;
const UPDATES_IN_FLIGHT_MAX = 8;
const UPDATES_WAITING_MAX = 256;

export interface TemporalGatewayOptions extends Omit<TemporalCallsOptions, 'queryMs'> {
  /** For the recoveries that it starts. */
  readonly settings: OperationSettings;
  readonly logger: Logger;
  readonly timeouts?: { readonly queryMs?: number; readonly updateMs?: number; readonly startAnswerMs?: number };
}

export class TemporalGateway implements ClusterGateway {
  private readonly options: TemporalGatewayOptions;
  private readonly calls: TemporalCalls;
  private readonly updates = new Semaphore({ runningMax: UPDATES_IN_FLIGHT_MAX, waitingMax: UPDATES_WAITING_MAX });
  private readonly timeouts: { updateMs: number; startAnswerMs: number };

  constructor(options: TemporalGatewayOptions) {
    this.options = options;
    const { timeouts = {} } = options;
    this.calls = new TemporalCalls(
      timeouts.queryMs === undefined ? options : { ...options, queryMs: timeouts.queryMs },
    );
    this.timeouts = { updateMs: UPDATE_TIMEOUT_MS, startAnswerMs: START_ANSWER_TIMEOUT_MS, ...timeouts };
  }

  queryMap(): Promise<ShardMap> {
    return this.calls.askCluster(() => this.calls.clusterHandle().query(mapQuery));
  }

  queryState(): Promise<ClusterState> {
    return this.calls.askCluster(() => this.calls.clusterHandle().query(stateQuery));
  }

  applyTransition(transition: ClusterTransition): Promise<ClusterAnswer> {
    return this.updates.run(async () => {
      try {
        return await this.calls.call(this.timeouts.updateMs, () =>
          this.calls.clusterHandle().executeUpdate(transitionUpdate, { args: [transition] }),
        );
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) throw await this.calls.clusterTrouble(error);
        throw await this.orRecovering(
          updateTrouble(error, 'the change may or may not have been made: look at GET /cluster/map'),
        );
      }
    });
  }

  async startOperation(kind: OperationKind, input: OperationInput<OperationRequest>): Promise<AnnouncedAnswer> {
    const operation = new WithStartWorkflowOperation(kind, operationStartOptions(kind, input));
    try {
      return await this.calls.call(this.timeouts.startAnswerMs, () =>
        this.calls.workflows.executeUpdateWithStart(announcedUpdate, {
          updateId: ANNOUNCED_UPDATE_ID,
          startWorkflowOperation: operation,
        }),
      );
    } catch (error) {
      const id = operationIdOf(kind, input.key);
      if (error instanceof WorkflowExecutionAlreadyStartedError) return this.firstAnswer(id);
      throw await this.orRecovering(
        updateTrouble(
          error,
          `operation ${id} may have started and may still run: ` +
            `repeat the call with Idempotency-Key: ${input.key}, which finds it, or look at GET /cluster/operations/${id}`,
        ),
      );
    }
  }

  queryProgress(operationId: string): Promise<OperationProgress> {
    return this.calls.askOperation(operationId, () => this.operationHandle(operationId).query(progressQuery));
  }

  async describeOperation(operationId: string): Promise<OperationExecution> {
    const { status } = await this.calls.askOperation(operationId, () => this.operationHandle(operationId).describe());
    return { isRunning: status.name === 'RUNNING', temporalStatus: status.name };
  }

  async cancelOperation(operationId: string, reason: string): Promise<OperationProgress> {
    let progress: OperationProgress;
    try {
      progress = await this.calls.call(this.timeouts.updateMs, () =>
        this.operationHandle(operationId).executeUpdate(cancelUpdate, { args: [{ reason }] }),
      );
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        // Temporal says "not found" of a workflow that has ended as well; describing it tells the two apart.
        await this.describeOperation(operationId);
        throw new ApiError('OperationEnded', `operation ${operationId} has ended: there is nothing to cancel`);
      }
      throw updateTrouble(
        error,
        'the cancel may or may not have been taken: look at the operation, and repeat the call',
      );
    }
    await this.markCancelled(operationId);
    return progress;
  }

  async lookAfterLock(): Promise<LockLook> {
    const { cluster, settings, logger } = this.options;
    const { workflows } = this.calls;
    return this.calls.askCluster(() => recoverDeadLock({ workflows, records: workflows, cluster, settings, logger }));
  }

  /** The update alone cancels the operation. Temporal shows it as Canceled, and not as Failed, only when asked to cancel it as well. */
  private async markCancelled(operationId: string): Promise<void> {
    try {
      await this.calls.call(this.calls.queryMs, () => this.operationHandle(operationId).cancel());
    } catch (error) {
      this.options.logger.debug({ err: error, operationId }, 'Temporal will not show this cancel as one');
    }
  }

  /** Who is told that an operation runs hears the truth when that one is dead, and its recovery begins. */
  private async orRecovering(error: ApiError): Promise<ApiError> {
    if (error.code !== 'OperationInProgress') return error;
    try {
      const look = await this.lookAfterLock();
      if (look.kind !== 'recovering') return error;
      return new ApiError(
        'OperationInProgress',
        `operation ${look.operationId} was ended from outside while it held the lock, and ${look.recovery} now undoes or finishes it: ` +
          `wait for its end (GET /cluster/operations/${look.recovery}), then repeat this call`,
        { cause: error },
      );
    } catch {
      return error;
    }
  }

  /** An update is remembered with its run, and a long operation has several: so its workflow tells the answer by a query too. */
  private async firstAnswer(operationId: string): Promise<AnnouncedAnswer> {
    const { answer, refusal } = await this.calls.askOperation(operationId, () =>
      this.operationHandle(operationId).query(announcedQuery),
    );
    if (answer !== null) return answer;
    if (refusal !== null) throw refused(refusal);
    throw new ApiError(
      'OperationEnded',
      `operation ${operationId} has ended: start another one with a fresh Idempotency-Key`,
    );
  }

  private operationHandle(operationId: string) {
    const parsed = parseOperationId(operationId);
    if (parsed === null) throw new ApiError('UnknownOperation', `there is no operation ${operationId}`);
    return this.calls.workflows.getHandle(operationWorkflowId(this.options.cluster, parsed.kind, parsed.key));
  }
}
