/** When a cluster grows by itself: one pure decision over what is known, with a closed set of reasons. */
import type { AutoscalePolicy } from './autoscale-state';

/**
 * `below_mark` is calm, and only said when every shard was read (INV-8). `shard_unreadable`: no shard that could be read is above the
 * mark, and at least one could not be read. `not_sustained`: above the mark, not yet often enough in a row.
 */
export const DECISION_REASONS = [
  'disabled',
  'no_high_water_mark',
  'operation_running',
  'cooling_down',
  'shard_unreadable',
  'below_mark',
  'not_sustained',
  'at_cap',
  'no_standby',
  'grow',
] as const;
export type DecisionReason = (typeof DECISION_REASONS)[number];

/** Points of a shard over all its collections, or why they are not known: never 0 then (INV-8). */
export interface ShardLoad {
  readonly shardId: number;
  readonly points: number | null;
  readonly problem: string | null;
}

export interface DecisionInput {
  readonly policy: AutoscalePolicy;
  readonly shards: number;
  /** Null: an operation holds the lock, or shards are joining or leaving by hand, named. */
  readonly busyWith: string | null;
  readonly loads: readonly ShardLoad[];
  /** Standbys that are not in the map already, usable as far as is known. */
  readonly standbys: number;
  readonly lastScaleAtMs: number | null;
  /** Evaluations in a row above the mark, before this one. */
  readonly streak: number;
  readonly nowMs: number;
}

export interface Decision {
  readonly reason: DecisionReason;
  /** One sentence for an operator: what was seen, compared with what. */
  readonly message: string;
  readonly pointsMax: number | null;
  readonly unreadable: readonly number[];
  /** Including this evaluation. */
  readonly streak: number;
}

/** Whether loads have to be read at all: what these reasons say does not depend on them. */
export function decidesWithoutLoads(reason: DecisionReason): boolean {
  return reason === 'disabled' || reason === 'no_high_water_mark';
}

export function cooldownLeftMs(policy: AutoscalePolicy, lastScaleAtMs: number | null, nowMs: number): number {
  if (lastScaleAtMs === null) return 0;
  return Math.max(0, lastScaleAtMs + policy.cooldownSecs * 1_000 - nowMs);
}

export function decide(input: DecisionInput): Decision {
  const { policy, loads, shards, nowMs } = input;
  const unreadable = loads.filter((load) => load.points === null);
  const read = loads.filter((load): load is ShardLoad & { points: number } => load.points !== null);
  const pointsMax = read.length === 0 ? null : Math.max(...read.map((load) => load.points));
  const isAbove = policy.highWaterPoints > 0 && pointsMax !== null && pointsMax > policy.highWaterPoints;
  // Unknown is neither calm nor load: it leaves the count of evaluations above the mark where it was.
  const streak = isAbove ? input.streak + 1 : unreadable.length > 0 ? input.streak : 0;
  const because = (reason: DecisionReason, message: string): Decision => ({
    reason,
    message,
    pointsMax,
    unreadable: unreadable.map((load) => load.shardId),
    streak: decidesWithoutLoads(reason) ? 0 : streak,
  });

  if (!policy.enabled) return because('disabled', 'the policy is disabled');
  if (policy.highWaterPoints === 0)
    return because('no_high_water_mark', 'the policy has no high_water_points, so nothing is ever above the mark');
  if (input.busyWith !== null) return because('operation_running', `${input.busyWith}: one change at a time`);
  const coolingMs = cooldownLeftMs(policy, input.lastScaleAtMs, nowMs);
  if (coolingMs > 0)
    return because(
      'cooling_down',
      `the last grow began less than ${policy.cooldownSecs} s ago: ${Math.ceil(coolingMs / 1_000)} s left`,
    );

  const unknown = unreadable.map((load) => `shard ${load.shardId} (${load.problem ?? 'no reason given'})`).join(', ');
  const butUnknown = unreadable.length === 0 ? '' : `; not read: ${unknown}`;
  if (!isAbove) {
    if (unreadable.length > 0) {
      return because(
        'shard_unreadable',
        `could not read ${unknown}, and no other shard is above ${policy.highWaterPoints} points`,
      );
    }
    return because(
      'below_mark',
      `the fullest shard holds ${pointsMax ?? 0} points, the mark is ${policy.highWaterPoints}`,
    );
  }
  const above = `the fullest shard holds ${pointsMax} points, the mark is ${policy.highWaterPoints}${butUnknown}`;
  if (streak < policy.sustainEvaluations) {
    return because(
      'not_sustained',
      `${above}: evaluation ${streak} of the ${policy.sustainEvaluations} in a row that it takes`,
    );
  }
  if (policy.maxShards > 0 && shards >= policy.maxShards) {
    return because('at_cap', `${above}, but the cluster has ${shards} shards and max_shards is ${policy.maxShards}`);
  }
  if (input.standbys === 0)
    return because('no_standby', `${above}, but no standby is left: add one with POST /cluster/standbys`);
  return because('grow', above);
}
