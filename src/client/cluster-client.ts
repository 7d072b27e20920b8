/** All that the API and activities ask of one cluster's workflows. Every method throws ClientError only. */
import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { WorkflowNotFoundError, type QueryDefinition } from '@temporalio/common';
import type { Logger } from 'pino';
import type { ClusterAnswer, ClusterTransition } from '../contract/cluster';
import type { ClusterState, OperationKind, OperationLock } from '../domain/cluster-state';
import { RULES } from '../domain/rules';
import { isBehind } from '../domain/witnessed';
import type { PauseRequest } from '../domain/pause';
import type { OperationProgress } from '../domain/progress';
import type { ShardMap } from '../domain/shard-map';
import type { ClusterLimits, WorkLimits } from '../domain/work-limits';
import type { LockLook } from '../contract/evaluation-activities';
import { recoverAbandonedLock, witnessedBy } from './operations/abandoned-lock';
import { answerOfRecord, beganNothing } from './operations/repeated-key';
import { operationStartOptions } from './operations/start-operation';
import {
  ANNOUNCED_UPDATE_ID,
  announcedQuery,
  announcedUpdate,
  cancelUpdate,
  clusterLimitsUpdate,
  limitUpdate,
  lockQuery,
  mapQuery,
  operationStateQuery,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  routersQuery,
  stateQuery,
  transitionUpdate,
  type OperationInput,
} from '../contract/messages';
import type { OperationState } from '../contract/operation-state';
import type { AnnouncedAnswer, OperationRequest, OperationSettings } from '../contract/requests';
import { operationIdOf, operationWorkflowId, parseOperationId } from '../contract/ids';
import { ClientError, RefusedError, type UnansweredCode } from './calls/errors';
import { failingTaskOf, type FailingTask } from './operations/failing-task';
import { Semaphore } from './calls/semaphore';
import { RefusedBeforeStart, StartTurns } from './operations/start-turns';
import { TemporalCalls, unknownOperation, updateError, type TemporalCallsOptions } from './calls/calls';

/** An operation's workflow as Temporal itself sees it. */
export interface OperationExecution {
  readonly isRunning: boolean;
  /** Temporal's own word: RUNNING, COMPLETED, FAILED, TERMINATED, … */
  readonly temporalStatus: string;
  readonly failingTask: FailingTask | null;
}

/** What a running operation can be told beside a cancel. */
export type Adjustment =
  | { readonly kind: 'pause'; readonly request: PauseRequest }
  | { readonly kind: 'resume' }
  | { readonly kind: 'limit'; readonly change: Partial<WorkLimits> }
  | { readonly kind: 'clusterLimits'; readonly limits: ClusterLimits };

/** How a workflow refuses a message that its build does not know: without a type (calls.ts). */
const UNKNOWN_MESSAGE = 'none';

/** What there is nothing to do with in an operation that has ended. */
const IN_VAIN: Record<Adjustment['kind'], string> = {
  pause: 'pause',
  resume: 'resume',
  limit: 'limit',
  clusterLimits: 'limit',
};

const UPDATE_TIMEOUT_MS = 10_000;
/** A preflight looks at every shard and may wait for a slow one. The caller's own HTTP client gives up after about this. */
const START_ANSWER_TIMEOUT_MS = 25_000;
const UPDATES_IN_FLIGHT_MAX = 8;
const UPDATES_WAITING_MAX = 256;

export interface ClusterClientOptions extends Omit<TemporalCallsOptions, 'queryMs' | 'wholeCallMs'> {
  readonly logger: Logger;
  /**
   * For the recovery that a refused change starts when the lock that it met is abandoned. Null: a refusal is only passed on.
   */
  readonly recoverWith: OperationSettings | null;
  /** `lookMs` is for one whole look at the lock, `recallMs` for the whole state of an operation. Both default to `queryMs`. */
  readonly timeouts?: {
    readonly queryMs?: number;
    readonly updateMs?: number;
    readonly startAnswerMs?: number;
    readonly lookMs?: number;
    readonly recallMs?: number;
    readonly wholeCallMs?: number;
  };
}

export class ClusterClient {
  private readonly options: ClusterClientOptions;
  private readonly calls: TemporalCalls;
  private readonly updates = new Semaphore({ runningMax: UPDATES_IN_FLIGHT_MAX, waitingMax: UPDATES_WAITING_MAX });
  private readonly starts = new StartTurns({
    queryLock: () => this.queryLock(),
    isKnown: (operationId) => this.isKnown(operationId),
  });
  private sharedState: Promise<ClusterState> | null = null;
  private readonly timeouts: { updateMs: number; startAnswerMs: number; lookMs: number; recallMs: number };

  constructor(options: ClusterClientOptions) {
    this.options = options;
    const { timeouts = {} } = options;
    this.calls = new TemporalCalls({ ...options, ...timeouts });
    const { queryMs } = this.calls;
    this.timeouts = {
      updateMs: UPDATE_TIMEOUT_MS,
      startAnswerMs: START_ANSWER_TIMEOUT_MS,
      lookMs: queryMs,
      recallMs: queryMs,
      ...timeouts,
    };
  }

  // ---- The cluster ----

  queryMap(): Promise<ShardMap> {
    return this.calls.askCluster(() => this.calls.clusterHandle().query(mapQuery));
  }

  queryState(): Promise<ClusterState> {
    return this.calls.askCluster(() => this.calls.clusterHandle().query(stateQuery));
  }

  /** The entries of the list of routers; null while the cluster has none. */
  queryRouters(): Promise<readonly string[] | null> {
    // Over the wire it is null.
    return this.calls.askCluster(async () => (await this.calls.clusterHandle().query(routersQuery)) ?? null);
  }

  queryLock(): Promise<OperationLock | null> {
    return this.calls.askCluster(() => this.calls.clusterHandle().query(lockQuery));
  }

  /** The state, and whether it is older than what the witness remembers. */
  observe(): Promise<{ state: ClusterState; isRewound: boolean }> {
    return this.calls.askCluster(async () => {
      // The witness first: a state that was read after it is behind it only when it was rewound.
      const witnessed = await witnessedBy(this.calls.workflows, this.options.cluster);
      const state = await this.calls.clusterHandle().query(stateQuery);
      return { state, isRewound: witnessed !== null && isBehind(state, witnessed) };
    });
  }

  applyTransition(transition: ClusterTransition): Promise<ClusterAnswer> {
    return this.updates.runInTurn(async () => {
      try {
        return await this.calls.changeCluster(
          () => this.calls.clusterHandle().executeUpdate(transitionUpdate, { args: [{ ...transition, rules: RULES }] }),
          this.timeouts.updateMs,
        );
      } catch (error) {
        throw await this.orRecovering(error);
      }
    });
  }

  /** Starts the recovery of an operation that was ended from outside, when one of these holds the lock. */
  lookAfterLock(settings: OperationSettings): Promise<LockLook> {
    const { cluster, logger } = this.options;
    const { openWorkflows, workflows } = this.calls;
    return this.calls.askCluster(
      () => recoverAbandonedLock({ workflows: openWorkflows, records: workflows, cluster, settings, logger }),
      this.timeouts.lookMs,
    );
  }

  // ---- Operations ----

  /** Starts an operation, or finds the operation of the same key, and returns the answer to the first call. */
  async startOperation(kind: OperationKind, input: OperationInput<OperationRequest>): Promise<AnnouncedAnswer> {
    // The others take no lock, or take it over.
    if (kind === 'check' || kind === 'recover') return this.startOrAnswer(kind, input);
    try {
      return await this.starts.run(operationIdOf(kind, input.key), () => this.startOrAnswer(kind, input));
    } catch (error) {
      throw error instanceof RefusedBeforeStart ? await this.orRecovering(error) : error;
    }
  }

  private async startOrAnswer(kind: OperationKind, input: OperationInput<OperationRequest>): Promise<AnnouncedAnswer> {
    const id = operationIdOf(kind, input.key);
    const state = await this.stateIfAnswered();
    const record = state?.operations.find((each) => each.operationId === id);
    // A second workflow under its id would be refused, and hide what became of the first one.
    if (state !== null && record !== undefined && record.end !== null && (await this.isGone(id))) {
      return answerOfRecord(record, state.map, input.request);
    }
    const refusedRun = record === undefined && state !== null ? await this.runThatBeganNothing(id) : null;
    return this.startWorkflow(kind, input, refusedRun);
  }

  /** The run of its workflow that was refused because something else was under way; null when there is none. */
  private async runThatBeganNothing(operationId: string): Promise<string | null> {
    const handle = this.operationHandle(operationId);
    try {
      const { status, runId } = await this.calls.askOperation(operationId, () => handle.describe());
      if (status.name !== 'FAILED') return null;
      const { refusal } = await this.askOperation(operationId, announcedQuery);
      return beganNothing(refusal) ? runId : null;
    } catch (error) {
      if (error instanceof ClientError && error.code === 'UnknownOperation') return null;
      throw error;
    }
  }

  /** Null when the cluster does not answer: then the operation itself waits for it, and is refused by it. */
  private async stateIfAnswered(): Promise<ClusterState | null> {
    try {
      return await this.queryState();
    } catch (error) {
      if (error instanceof ClientError) return null;
      throw error;
    }
  }

  /** Temporal keeps an ended workflow for its retention only. */
  private async isGone(operationId: string): Promise<boolean> {
    try {
      await this.describeOperation(operationId);
      return false;
    } catch (error) {
      if (error instanceof ClientError && error.code === 'UnknownOperation') return true;
      throw error;
    }
  }

  private async startWorkflow(
    kind: OperationKind,
    input: OperationInput<OperationRequest>,
    refusedRun: string | null,
  ): Promise<AnnouncedAnswer> {
    const operation = new WithStartWorkflowOperation(
      kind,
      operationStartOptions(kind, input, { again: refusedRun !== null }),
    );
    try {
      return await this.calls.withinMs(this.timeouts.startAnswerMs, () =>
        this.calls.workflows.executeUpdateWithStart(announcedUpdate, {
          // Temporal answers the id of an ended run's update with that run's refusal.
          updateId: refusedRun === null ? ANNOUNCED_UPDATE_ID : `${ANNOUNCED_UPDATE_ID}-${refusedRun}`,
          startWorkflowOperation: operation,
        }),
      );
    } catch (error) {
      const id = operationIdOf(kind, input.key);
      if (error instanceof WorkflowExecutionAlreadyStartedError) return this.firstAnswer(id);
      throw await this.orRecovering(updateError(error, { code: 'StartUnanswered', about: id }));
    }
  }

  /** Its workflow may be gone: the cluster remembers it for longer. Many ask at once, so they share an answer. */
  private async isKnown(operationId: string): Promise<boolean> {
    if (!(await this.isGone(operationId))) return true;
    const { operations } = await (this.sharedState ??= this.queryState().finally(() => (this.sharedState = null)));
    return operations.some((each) => each.operationId === operationId);
  }

  /** @throws ClientError UnknownOperation */
  queryProgress(operationId: string, timeoutMs?: number): Promise<OperationProgress> {
    return this.askOperation(operationId, progressQuery, timeoutMs);
  }

  /** All that an operation knows, for its recovery. @throws ClientError UnknownOperation */
  recallOperation(operationId: string): Promise<OperationState> {
    return this.askOperation(operationId, operationStateQuery, this.timeouts.recallMs);
  }

  /** @throws ClientError UnknownOperation */
  async describeOperation(operationId: string, timeoutMs?: number): Promise<OperationExecution> {
    const handle = this.operationHandle(operationId);
    const described = await this.calls.askOperation(operationId, () => handle.describe(), timeoutMs);
    const { name } = described.status;
    return { isRunning: name === 'RUNNING', temporalStatus: name, failingTask: failingTaskOf(described) };
  }

  /** Of the workflow that keeps the map. @throws ClientError */
  async clusterFailingTask(): Promise<FailingTask | null> {
    return failingTaskOf(await this.calls.askCluster(() => this.calls.clusterHandle().describe()));
  }

  /** @throws ClientError UnknownOperation, or refused as PointOfNoReturnPassed or OperationEnded */
  async cancelOperation(operationId: string, reason: string): Promise<OperationProgress> {
    const handle = this.operationHandle(operationId);
    const progress = await this.tell(operationId, { unanswered: 'CancelUnanswered', inVain: 'cancel' }, () =>
      handle.executeUpdate(cancelUpdate, { args: [{ reason }] }),
    );
    await this.markCancelled(operationId);
    return progress;
  }

  /** @throws ClientError UnknownOperation, or refused as CannotPauseNow, OperationEnded or InvalidRequest */
  async adjustOperation(operationId: string, adjustment: Adjustment): Promise<OperationProgress> {
    const handle = this.operationHandle(operationId);
    try {
      return await this.adjust(handle, operationId, adjustment);
    } catch (error) {
      if (!(error instanceof RefusedError) || error.refusal.type !== UNKNOWN_MESSAGE) throw error;
      const message = `operation ${operationId} runs on an earlier release, which knows no pauses and no limits: wait for its end, or cancel it`;
      throw new RefusedError({ type: 'CannotPauseNow', message }, error);
    }
  }

  private adjust(handle: WorkflowHandle, operationId: string, adjustment: Adjustment): Promise<OperationProgress> {
    return this.tell(operationId, { unanswered: 'AdjustUnanswered', inVain: IN_VAIN[adjustment.kind] }, () => {
      switch (adjustment.kind) {
        case 'pause':
          return handle.executeUpdate(pauseUpdate, { args: [adjustment.request] });
        case 'resume':
          return handle.executeUpdate(resumeUpdate);
        case 'limit':
          return handle.executeUpdate(limitUpdate, { args: [adjustment.change] });
        case 'clusterLimits':
          return handle.executeUpdate(clusterLimitsUpdate, { args: [adjustment.limits] });
      }
    });
  }

  /** `inVain`: what there is nothing to do with once the operation has ended. */
  private async tell(
    operationId: string,
    { unanswered, inVain }: { unanswered: UnansweredCode; inVain: string },
    update: () => Promise<OperationProgress>,
  ): Promise<OperationProgress> {
    try {
      return await this.calls.withinMs(this.timeouts.updateMs, update);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) {
        // Temporal answers "not found" for an ended workflow too: only a description tells the two apart.
        await this.describeOperation(operationId);
        const message = `operation ${operationId} has ended: there is nothing to ${inVain}`;
        throw new RefusedError({ type: 'OperationEnded', message }, error);
      }
      throw updateError(error, { code: unanswered, about: operationId });
    }
  }

  /** The update alone cancels the operation. Temporal shows it as Canceled, and not as Failed, only when asked to cancel it as well. */
  private async markCancelled(operationId: string): Promise<void> {
    try {
      await this.calls.withinMs(this.calls.queryMs, () => this.operationHandle(operationId).cancel());
    } catch (error) {
      this.options.logger.debug({ err: error, operationId }, 'Temporal does not show this operation as Canceled');
    }
  }

  /** If the holder of the lock that refused a change has ended, say so and start its recovery. */
  private async orRecovering(error: unknown): Promise<unknown> {
    const { recoverWith } = this.options;
    const isLocked = error instanceof RefusedError && error.refusal.type === 'OperationInProgress';
    if (!isLocked || recoverWith === null) return error;
    try {
      const look = await this.lookAfterLock(recoverWith);
      if (look.kind !== 'recovering') return error;
      const message = `operation ${look.operationId} was ended from outside while it held the lock, and ${look.recovery} now undoes or finishes it`;
      return new ClientError('LockRecovering', message, { about: look.recovery, cause: error });
    } catch {
      return error;
    }
  }

  /** Temporal keeps an update's answer with its run, and a long operation has several: so its workflow answers a query too. */
  private async firstAnswer(operationId: string): Promise<AnnouncedAnswer> {
    const { answer, refusal } = await this.askOperation(operationId, announcedQuery);
    if (answer !== null) return answer;
    if (refusal !== null) throw new RefusedError(refusal);
    throw new ClientError('EndedUnannounced', `operation ${operationId} has ended`, { about: operationId });
  }

  /** Closed workflows are asked too: a worker replays their history for as long as Temporal keeps it. */
  private async askOperation<T>(operationId: string, query: QueryDefinition<T>, timeoutMs?: number): Promise<T> {
    const handle = this.operationHandle(operationId);
    return this.calls.askOperation(operationId, () => handle.query(query), timeoutMs);
  }

  private operationHandle(operationId: string) {
    const parsed = parseOperationId(operationId);
    if (parsed === null) throw unknownOperation(operationId);
    return this.calls.workflows.getHandle(operationWorkflowId(this.options.cluster, parsed.kind, parsed.key));
  }
}
