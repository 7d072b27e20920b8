/** When a cluster grows automatically: one pure decision over what is known, with a closed set of reasons. */
import { samplesOf } from './bounded-text';
import type { AutoscalePolicy, DecisionReason } from './autoscale-policy';

/** Points of a shard over all its collections, or why they are not known. Unknown is never 0 (INV-8). */
export interface ShardLoad {
  readonly shardId: number;
  readonly points: number | null;
  readonly problem: string | null;
}

export interface DecisionInput {
  readonly policy: AutoscalePolicy;
  /**
   * Ids of all shards in the map. A shard without a load was not looked at, and is as unknown as one that did not
   * answer.
   */
  readonly shardIds: readonly number[];
  /**
   * What changes the cluster now, as half a sentence: an operation, or shards that join or leave by hand. Null when
   * nothing does.
   */
  readonly busyWith: string | null;
  readonly loads: readonly ShardLoad[];
  /** Standbys that are not in the map. Whether they are usable is checked when one is needed. */
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

/** Whether loads must be read at all. Where this is false, no decision depends on them. */
export function needsLoads(policy: AutoscalePolicy): boolean {
  return policy.enabled && policy.highWaterPoints > 0;
}

/** At most the whole cooldown, even when the clock was set back since the last grow. */
export function cooldownLeftMs(policy: AutoscalePolicy, lastScaleAtMs: number | null, nowMs: number): number {
  if (lastScaleAtMs === null) return 0;
  const cooldownMs = policy.cooldownSecs * 1_000;
  return Math.min(cooldownMs, Math.max(0, lastScaleAtMs + cooldownMs - nowMs));
}

/** What the loads say by themselves. */
interface LoadsSeen {
  readonly pointsMax: number | null;
  readonly unreadable: readonly ShardLoad[];
  readonly isAbove: boolean;
}

/** Checks the reasons in the order of this function: the first that holds is the decision. */
export function decide(input: DecisionInput): Decision {
  const { policy } = input;
  const unread = { pointsMax: null, unreadable: [], streak: 0 };
  if (!policy.enabled) return { ...unread, reason: 'disabled', message: 'the policy is disabled' };
  if (policy.highWaterPoints <= 0) {
    const message = 'the policy has no high_water_points, so nothing is ever above the mark';
    return { ...unread, reason: 'no_high_water_mark', message };
  }
  const seen = lookAt(input);
  const streak = streakOf(input, seen);
  const because = (reason: DecisionReason, message: string): Decision => {
    return {
      reason,
      message,
      pointsMax: seen.pointsMax,
      unreadable: seen.unreadable.map((load) => load.shardId),
      streak,
    };
  };
  if (input.busyWith !== null) return because('operation_running', `${input.busyWith}: one change at a time`);
  const coolingMs = cooldownLeftMs(policy, input.lastScaleAtMs, input.nowMs);
  if (coolingMs > 0) {
    const left = `${Math.ceil(coolingMs / 1_000)} s left`;
    return because(
      'cooling_down',
      `the last grow began, or the last drain ended, less than ${policy.cooldownSecs} s ago: ${left}`,
    );
  }
  const unknown = samplesOf(
    seen.unreadable.map((load) => `shard ${load.shardId} (${load.problem ?? 'it was not looked at'})`),
  );
  if (!seen.isAbove && seen.unreadable.length > 0) {
    const mark = `no other shard is above ${policy.highWaterPoints} points`;
    return because('shard_unreadable', `could not read ${unknown}, and ${mark}`);
  }
  const fullest = `the fullest shard holds ${seen.pointsMax ?? 0} points, the mark is ${policy.highWaterPoints}`;
  if (!seen.isAbove) return because('below_mark', fullest);

  const above = seen.unreadable.length === 0 ? fullest : `${fullest}; not read: ${unknown}`;
  if (streak < policy.sustainEvaluations) {
    const needed = `evaluation ${streak} of the ${policy.sustainEvaluations} in a row that it takes`;
    return because('not_sustained', `${above}: ${needed}`);
  }
  const shards = input.shardIds.length;
  if (policy.maxShards > 0 && shards >= policy.maxShards) {
    return because('at_cap', `${above}, but the cluster has ${shards} shards and max_shards is ${policy.maxShards}`);
  }
  if (input.standbys <= 0) {
    return because('no_standby', `${above}, but no standby is left: add one with POST /cluster/standbys`);
  }
  return because('grow', above);
}

function lookAt({ policy, shardIds, loads }: DecisionInput): LoadsSeen {
  const notLookedAt = { points: null, problem: null };
  const all = shardIds.map((shardId) => loads.find((load) => load.shardId === shardId) ?? { shardId, ...notLookedAt });
  const points = all.flatMap((load) => (load.points === null ? [] : [load.points]));
  const pointsMax = points.length === 0 ? null : Math.max(...points);
  return {
    pointsMax,
    unreadable: all.filter((load) => load.points === null),
    isAbove: pointsMax !== null && pointsMax > policy.highWaterPoints,
  };
}

/**
 * Points count twice while they move, so a count then says nothing. Unknown is neither calm nor load (INV-8): it leaves
 * the streak as it was.
 */
function streakOf({ busyWith, streak }: DecisionInput, { isAbove, unreadable }: LoadsSeen): number {
  if (busyWith !== null) return 0;
  if (isAbove) return streak + 1;
  return unreadable.length > 0 ? streak : 0;
}
