/** The autoscale policy as the API sees it: its state, its Schedule and its evaluations. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleClient, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import type { AutoscaleState } from '../domain/autoscale-state';
import { completePolicy, type AutoscalePolicy } from '../domain/autoscale-policy';
import { NO_EVALUATION_KEY, noEvaluationNotice } from '../domain/notices';
import type { ShardAddress } from '../domain/shard-map';
import { ensureAutoscaleSchedule, evaluationTexts } from './schedule';
import type { AutoscaleInput, EvaluationResult } from '../contract/messages';
import type { OperationSettings } from '../contract/requests';
import { AUTOSCALE_WORKFLOW, EVALUATION_LIFE_MS, evaluationWorkflowId, taskQueue } from '../contract/ids';
import type { ClusterClient } from './cluster-client';
import { TemporalCalls, updateError, type TemporalCallsOptions } from './calls/calls';
import { ClientError } from './calls/errors';
import { DATA_CONVERTER } from './calls/large-payloads';

/** What is known of the Schedule after it was put in step with the policy. `problem`: why that was not possible. */
export interface ScheduleLook {
  readonly nextEvaluationAtMs: number | null;
  readonly problem: string | null;
}

/** An evaluation asks shards and waits for the preflight of a grow; the caller's own HTTP client gives up after about this. */
const EVALUATION_ANSWER_MS = 25_000;
const SCHEDULE_TIMEOUT_MS = 5_000;
/** A policy may change while the Schedule is put in step. It is followed so often; after that its next reader puts it in step. */
const ROUNDS_MAX = 3;
const START_PAUSE_FIRST_MS = 1_000;
const START_PAUSE_MAX_MS = 30_000;
/** Then the interval of the policy is known. */
const WATCH_FIRST_MS = 1_000;
/** So that a shorter interval is noticed, too. */
const WATCH_MAX_MS = 60_000;

export interface AutoscaleClientOptions extends TemporalCallsOptions {
  readonly client: Pick<ClusterClient, 'queryState' | 'applyTransition'>;
  readonly seed: { readonly policy: AutoscalePolicy; readonly standbys: readonly ShardAddress[] };
  /** For evaluations, and for the grows that they start. */
  readonly settings: OperationSettings;
  readonly logger: Logger;
  readonly evaluationAnswerMs?: number;
}

/** Every method throws ClientError only. */
export class AutoscaleClient {
  private readonly options: AutoscaleClientOptions;
  private readonly calls: TemporalCalls;
  private readonly schedules: ScheduleClient;

  constructor(options: AutoscaleClientOptions) {
    this.options = options;
    this.calls = new TemporalCalls(options);
    const { connection, namespace } = options;
    this.schedules = new ScheduleClient({ connection, namespace, dataConverter: DATA_CONVERTER });
  }

  /**
   * For the start of an API. Seeds the policy and puts the Schedule in step, with the settings of this process, as soon as Temporal and a
   * worker answer. Returns then, or when `stopping` fires; never throws. The API serves meanwhile.
   */
  async start(stopping: AbortSignal): Promise<void> {
    for (let pauseMs = START_PAUSE_FIRST_MS; ; pauseMs = Math.min(2 * pauseMs, START_PAUSE_MAX_MS)) {
      const problem = await this.startOnce();
      if (problem === null || stopping.aborted) return;
      this.options.logger.warn({ reason: problem }, 'the autoscale policy is not evaluated yet: it is tried again');
      await delay(pauseMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
    }
  }

  /**
   * Looks after the Schedule by itself, once an interval of the policy: what was deleted, changed or paused from outside
   * is put back, and that evaluations are missing is a notice. Returns when `stopping` fires; never throws.
   */
  async watch(stopping: AbortSignal): Promise<void> {
    let intervalMs = WATCH_FIRST_MS;
    let enabledSinceMs: number | null = null;
    for (;;) {
      await delay(intervalMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
      if (stopping.aborted) return;
      try {
        const { policy } = await this.readState();
        intervalMs = Math.min(policy.intervalSecs * 1_000, WATCH_MAX_MS);
        await this.syncSchedule(policy);
        enabledSinceMs = policy.enabled ? (enabledSinceMs ?? Date.now()) : null;
        await this.noticeEvaluations(enabledSinceMs ?? Date.now());
      } catch (error) {
        this.options.logger.debug({ err: error }, 'the Schedule of the autoscale policy could not be looked at');
      }
    }
  }

  /** Says that evaluations are missing, and takes it back when they are there again. */
  private async noticeEvaluations(watchedSinceMs: number): Promise<void> {
    const { client } = this.options;
    const { autoscale, notices } = await client.queryState();
    const notice = noEvaluationNotice(autoscale, { watchedSinceMs, nowMs: Date.now() });
    const known = notices.find(({ key }) => key === NO_EVALUATION_KEY);
    if (notice !== null && known === undefined) await client.applyTransition({ type: 'notice', notices: [notice] });
    // An API that has just started misses none yet, and knows nothing better.
    const isOver = !autoscale.policy.enabled || (autoscale.evaluations[0]?.atMs ?? 0) > (known?.sinceMs ?? Infinity);
    if (known !== undefined && isOver) await client.applyTransition({ type: 'clearNotice', key: NO_EVALUATION_KEY });
  }

  /** Seeds the policy from the settings of this process when the cluster has none yet. */
  async readState(): Promise<AutoscaleState> {
    const { client, seed } = this.options;
    let { autoscale } = await client.queryState();
    if (!autoscale.seeded) {
      await client.applyTransition({ type: 'seedAutoscale', ...seed });
      ({ autoscale } = await client.queryState());
    }
    return { ...autoscale, policy: completePolicy(autoscale.policy) };
  }

  /** Makes, pauses, resumes or changes the Schedule to match the policy. Never throws: the answer holds the problem. */
  syncSchedule(policy: AutoscalePolicy): Promise<ScheduleLook> {
    return this.sync(policy, { keepSettings: true });
  }

  async evaluate({ dryRun }: { dryRun: boolean }): Promise<EvaluationResult> {
    const { cluster, settings } = this.options;
    const workflowId = evaluationWorkflowId(cluster, randomUUID().slice(0, 8));
    const input: AutoscaleInput = { cluster, settings, dryRun };
    const answerMs = this.options.evaluationAnswerMs ?? EVALUATION_ANSWER_MS;
    try {
      return await this.calls.withinMs(answerMs, async () => {
        const handle = await this.calls.workflows.start(AUTOSCALE_WORKFLOW, {
          workflowId,
          taskQueue: taskQueue(cluster),
          args: [input],
          workflowExecutionTimeout: EVALUATION_LIFE_MS,
          ...evaluationTexts(cluster),
        });
        return (await handle.result()) as EvaluationResult;
      });
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw evaluationFailed(workflowId, error);
      throw updateError(error, { code: 'EvaluationUnanswered', about: workflowId });
    }
  }

  private async startOnce(): Promise<string | null> {
    try {
      const { policy } = await this.readState();
      return (await this.sync(policy, { keepSettings: false })).problem;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Another process may change the policy meanwhile and put the Schedule in step before this one does: so the policy is read again. */
  private async sync(first: AutoscalePolicy, { keepSettings }: { keepSettings: boolean }): Promise<ScheduleLook> {
    const { cluster, settings, logger } = this.options;
    try {
      let policy = first;
      for (let round = 1; ; round += 1) {
        const request = { schedules: this.schedules, cluster, policy, settings, keepSettings };
        const { did, nextEvaluationAtMs } = await this.calls.withinMs(SCHEDULE_TIMEOUT_MS, () =>
          ensureAutoscaleSchedule(request),
        );
        if (did === 'nothing') return { nextEvaluationAtMs, problem: null };
        logger.info({ did, policy }, 'the Schedule of the autoscale policy is in step with it');
        const { policy: now } = await this.readState();
        if (isDeepStrictEqual(now, policy) || round === ROUNDS_MAX) return { nextEvaluationAtMs, problem: null };
        policy = now;
      }
    } catch (error) {
      const problem = messageOf(error);
      logger.warn({ err: error }, 'the Schedule of the autoscale policy could not be put in step with it');
      return { nextEvaluationAtMs: null, problem };
    }
  }
}

function evaluationFailed(workflowId: string, error: WorkflowFailedError): ClientError {
  let reason: Error = error;
  while (!(reason instanceof ApplicationFailure) && reason.cause instanceof Error) reason = reason.cause;
  const message = `evaluation ${workflowId} failed and decided nothing: ${messageOf(reason)}`;
  return new ClientError('EvaluationFailed', message, { about: workflowId, cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown reason';
}
