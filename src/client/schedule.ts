/**
 * The Temporal Schedule that starts the evaluations of the autoscale policy. The policy is the truth. Every start of an API and every look
 * puts the Schedule in step with it: makes it when it is missing, pauses and resumes it with `enabled`, changes it only where it differs.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleClient,
  type ScheduleDescription,
  type ScheduleOptionsStartWorkflowAction,
  type ScheduleUpdateOptions,
} from '@temporalio/client';
import type { AutoscalePolicy } from '../domain/autoscale-policy';
import type { AutoscaleInput } from '../contract/messages';
import type { OperationSettings } from '../contract/requests';
import { AUTOSCALE_WORKFLOW, autoscaleScheduleId, EVALUATION_LIFE_MS, taskQueue } from '../contract/ids';
import { CLUSTER_ATTRIBUTE } from '../contract/search-attributes';

export interface AutoscaleScheduleOptions {
  readonly schedules: ScheduleClient;
  readonly cluster: string;
  readonly policy: AutoscalePolicy;
  /** For the evaluations that start from now on. */
  readonly settings: OperationSettings;
  /** An existing Schedule keeps its settings: only the start of an API brings new ones, or two APIs with different ones would take turns. */
  readonly keepSettings: boolean;
}

export interface EnsuredSchedule {
  readonly did: 'nothing' | 'created' | 'updated';
  /** Null while the policy is disabled, and when Temporal does not say. */
  readonly nextEvaluationAtMs: number | null;
}

/** An evaluation that could not be started for this long is skipped: the next one comes soon. */
const CATCH_UP_WINDOW_MS = 60_000;

export async function ensureAutoscaleSchedule(options: AutoscaleScheduleOptions): Promise<EnsuredSchedule> {
  const { schedules, cluster, policy } = options;
  const handle = schedules.getHandle(autoscaleScheduleId(cluster));
  const before = await describeOrCreate(options);
  let did: EnsuredSchedule['did'] = 'created';
  if (before !== null) {
    const target = definition(options, before);
    did = isInStep(before, target) ? 'nothing' : 'updated';
    if (did === 'updated') await handle.update(() => target);
  }
  const now = did === 'nothing' && before !== null ? before : await handle.describe();
  const [next] = now.info.nextActionTimes;
  return { did, nextEvaluationAtMs: policy.enabled ? (next?.getTime() ?? null) : null };
}

/** Null when it was created. */
async function describeOrCreate(options: AutoscaleScheduleOptions): Promise<ScheduleDescription | null> {
  const { schedules, cluster } = options;
  const handle = schedules.getHandle(autoscaleScheduleId(cluster));
  try {
    return await handle.describe();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
  try {
    await schedules.create({ scheduleId: autoscaleScheduleId(cluster), ...definition(options, null) });
    return null;
  } catch (error) {
    // Another process has created it in between.
    if (error instanceof ScheduleAlreadyRunning) return await handle.describe();
    throw error;
  }
}

type Definition = ScheduleUpdateOptions<
  ScheduleOptionsStartWorkflowAction<(input: AutoscaleInput) => Promise<void>>
> & {
  readonly state: { readonly paused: boolean; readonly note: string };
};

function definition(options: AutoscaleScheduleOptions, existing: ScheduleDescription | null): Definition {
  const { cluster, policy, settings, keepSettings } = options;
  const kept = keepSettings && existing !== null ? settingsOf(existing) : null;
  const input: AutoscaleInput = { cluster, settings: kept ?? settings, dryRun: false };
  return {
    spec: { intervals: [{ every: policy.intervalSecs * 1_000 }] },
    policies: { overlap: 'SKIP', catchupWindow: CATCH_UP_WINDOW_MS, pauseOnFailure: false },
    action: {
      type: 'startWorkflow',
      workflowType: AUTOSCALE_WORKFLOW,
      workflowId: autoscaleScheduleId(cluster),
      taskQueue: taskQueue(cluster),
      args: [input],
      workflowExecutionTimeout: EVALUATION_LIFE_MS,
      ...evaluationTexts(cluster),
      ...(input.settings.searchAttributes
        ? { typedSearchAttributes: [{ key: CLUSTER_ATTRIBUTE, value: cluster }] }
        : {}),
    },
    state: {
      paused: !policy.enabled,
      note: policy.enabled
        ? 'kept in step with the autoscale policy of the cluster (GET /cluster/autoscale): change it there'
        : 'paused because the autoscale policy is disabled: PUT /cluster/autoscale with enabled true resumes it',
    },
  };
}

/** What the Web UI shows of an evaluation in lists and at its top. */
export const evaluationTexts = (cluster: string): { staticSummary: string; staticDetails: string } => ({
  staticSummary: `evaluate the autoscale policy of ${cluster}`,
  staticDetails: `Reads the load of the cluster **${cluster}**, decides whether it grows, and begins that. It waits for no grow to end.`,
});

/** Settings of another version may lack what this one needs. */
function settingsOf(existing: ScheduleDescription): OperationSettings | null {
  const [input] = (existing.action.args ?? []) as Partial<AutoscaleInput>[];
  return input?.settings ?? null;
}

function isInStep(existing: ScheduleDescription, target: Definition): boolean {
  const { spec, policies, action, state } = existing;
  const actual = {
    intervals: (spec.intervals ?? []).map(({ every }) => ({ every })),
    policies: {
      overlap: policies.overlap,
      catchupWindow: policies.catchupWindow,
      pauseOnFailure: policies.pauseOnFailure,
    },
    workflowType: action.workflowType,
    workflowId: action.workflowId,
    taskQueue: action.taskQueue,
    args: action.args,
    paused: state.paused,
    // One that was given an end starts nothing after it, and still looks like ours.
    endAt: spec.endAt ?? null,
    remainingActions: state.remainingActions ?? null,
  };
  const expected = {
    intervals: target.spec.intervals,
    policies: target.policies,
    workflowType: target.action.workflowType,
    workflowId: target.action.workflowId,
    taskQueue: target.action.taskQueue,
    args: JSON.parse(JSON.stringify(target.action.args)) as unknown,
    paused: target.state.paused,
    endAt: null,
    remainingActions: null,
  };
  return isDeepStrictEqual(actual, expected);
}
