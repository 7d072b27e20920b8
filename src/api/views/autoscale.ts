import { cooldownLeftMs } from '../../domain/autoscale-decision';
import type { Evaluation } from '../../domain/autoscale-policy';
import { forecast, lastMoveAtMs, type Forecast } from '../../domain/forecast';
import type { OperationRecord } from '../../domain/cluster-state';
import type { AutoscaleState } from '../../domain/autoscale-state';
import type { ScheduleLook } from '../../client/autoscale-client';
import type { EvaluationResult } from '../../contract/messages';
import type { AutoscaleView, EvaluateAnswer } from '../../wire/autoscale';
import { isoOf, isoOrNull } from './times';

/** `GET /cluster/autoscale`. */
export function viewOfAutoscale(
  state: AutoscaleState,
  {
    schedule,
    operations,
    nowMs,
  }: { readonly schedule: ScheduleLook; readonly operations: readonly OperationRecord[]; readonly nowMs: number },
): AutoscaleView {
  const { policy, standbys, lastScaleAtMs, evaluations, notices } = state;
  const outOfStep = {
    code: 'ScheduleOutOfStep',
    message: `the Temporal Schedule that starts the evaluations could not be looked at or changed: ${schedule.problem ?? ''}`,
    since: isoOf(nowMs),
  };
  return {
    policy: {
      enabled: policy.enabled,
      high_water_points: policy.highWaterPoints,
      high_water_bytes: policy.highWaterBytes,
      low_water_points: policy.lowWaterPoints,
      interval_secs: policy.intervalSecs,
      cooldown_secs: policy.cooldownSecs,
      shrink_cooldown_secs: policy.shrinkCooldownSecs,
      max_shards: policy.maxShards,
      min_shards: policy.minShards,
      sustain_evaluations: policy.sustainEvaluations,
    },
    standbys: standbys.map(({ primary_url, replica_urls, addedAtMs, unusable }) => ({
      primary_url,
      replica_urls: [...replica_urls],
      added_at: isoOf(addedAtMs),
      unusable:
        unusable === null
          ? null
          : { reason: unusable.reason, since: isoOf(unusable.sinceMs), tried_at: isoOf(unusable.triedAtMs) },
    })),
    last_scale_at: isoOrNull(lastScaleAtMs),
    cooldown_left_secs: Math.ceil(cooldownLeftMs(policy, lastScaleAtMs, nowMs) / 1_000),
    next_evaluation_at: isoOrNull(schedule.nextEvaluationAtMs),
    forecast: viewOfForecast(forecast(policy, evaluations, lastMoveAtMs(operations))),
    evaluations: evaluations.map(viewOfEvaluation),
    notices: [
      ...notices.map(({ code, message, sinceMs }) => ({ code, message, since: isoOf(sinceMs) })),
      ...(schedule.problem === null ? [] : [outOfStep]),
    ],
  };
}

function viewOfForecast(known: Forecast | null): AutoscaleView['forecast'] {
  if (known === null) return null;
  const { pointsPerDay, daysUntilMark } = known;
  return { points_per_day: pointsPerDay, days_until_mark: daysUntilMark === null ? null : round(daysUntilMark) };
}

const round = (days: number): number => Math.round(days * 100) / 100;

function viewOfEvaluation(evaluation: Evaluation): AutoscaleView['evaluations'][number] {
  const { atMs, reason, message, pointsMax, unreadable, operationId, refusal } = evaluation;
  return {
    at: isoOf(atMs),
    reason,
    message,
    points_max: pointsMax,
    unreadable: [...unreadable],
    operation_id: operationId,
    refusal,
  };
}

/** The answer of an evaluation that was asked for. */
export function viewOfEvaluated(result: EvaluationResult): EvaluateAnswer {
  return { ...viewOfEvaluation(result), dry_run: result.dryRun };
}
