/** When a cluster grows or shrinks by policy: one pure decision over what is known, with a closed set of reasons. */
import { samplesOf } from './bounded-text';
import type { AutoscalePolicy, DecisionReason } from './autoscale-policy';

/** Points of a shard over all its collections, or why they are not known. Unknown is never 0 (INV-8). */
export interface ShardLoad {
  readonly shardId: number;
  readonly points: number | null;
  /** Of their vectors, and no more: a shard tells nothing else without a scan. Absent in what earlier releases told. */
  readonly bytes?: number | null;
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
  /** Evaluations in a row above the mark, and in a row low, before this one. */
  readonly streak: number;
  readonly lowStreak: number;
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
  readonly lowStreak: number;
  /** With `shrink`: the shard that leaves. */
  readonly shardId: number | null;
}

/** What leaves must not bring the others near the mark, else the cluster would soon grow again. */
const FULL_SHARE_MAX = 0.7;

/** Whether loads must be read at all. Where this is false, no decision depends on them. */
export function needsLoads(policy: AutoscalePolicy): boolean {
  return policy.enabled && hasMark(policy);
}

function hasMark({ highWaterPoints, highWaterBytes }: AutoscalePolicy): boolean {
  return highWaterPoints > 0 || highWaterBytes > 0;
}

/** At most the whole cooldown, even when the clock was set back since the last grow. */
export function cooldownLeftMs(
  { cooldownSecs }: Pick<AutoscalePolicy, 'cooldownSecs'>,
  lastScaleAtMs: number | null,
  nowMs: number,
): number {
  if (lastScaleAtMs === null) return 0;
  const cooldownMs = cooldownSecs * 1_000;
  return Math.min(cooldownMs, Math.max(0, lastScaleAtMs + cooldownMs - nowMs));
}

/** What the loads say by themselves. */
interface LoadsSeen {
  readonly loads: readonly ShardLoad[];
  readonly pointsMax: number | null;
  readonly unreadable: readonly ShardLoad[];
  readonly isAbove: boolean;
  readonly isLow: boolean;
  /** The fullest shard beside its mark. */
  readonly fullest: string;
}

type Because = (reason: DecisionReason, message: string, shardId?: number) => Decision;

/** Checks the reasons in the order of this function: the first that holds is the decision. */
export function decide(input: DecisionInput): Decision {
  const { policy } = input;
  const unread = { pointsMax: null, unreadable: [], streak: 0, lowStreak: 0, shardId: null };
  if (!policy.enabled) return { ...unread, reason: 'disabled', message: 'the policy is disabled' };
  if (!hasMark(policy)) {
    const message = 'the policy has neither high_water_points nor high_water_bytes, so nothing is ever above the mark';
    return { ...unread, reason: 'no_high_water_mark', message };
  }
  const seen = lookAt(input);
  const streaks = streaksOf(input, seen);
  const because: Because = (reason, message, shardId) => ({
    reason,
    message,
    pointsMax: seen.pointsMax,
    unreadable: seen.unreadable.map((load) => load.shardId),
    ...streaks,
    shardId: shardId ?? null,
  });
  if (input.busyWith !== null) return because('operation_running', `${input.busyWith}: one change at a time`);
  const cooling = whyCooling(input, policy.cooldownSecs);
  if (cooling !== null) return because('cooling_down', cooling);
  const unknown = samplesOf(
    seen.unreadable.map((load) => `shard ${load.shardId} (${load.problem ?? 'it was not looked at'})`),
  );
  if (!seen.isAbove && seen.unreadable.length > 0) {
    return because('shard_unreadable', `could not read ${unknown}, and no other shard is above the mark`);
  }
  if (!seen.isAbove) return belowMark(input, { seen, because, lowStreak: streaks.lowStreak });

  const above = seen.unreadable.length === 0 ? seen.fullest : `${seen.fullest}; not read: ${unknown}`;
  const early = whyTooEarly(policy, streaks.streak);
  if (early !== null) return because('not_sustained', `${above}: ${early}`);
  const shards = input.shardIds.length;
  if (policy.maxShards > 0 && shards >= policy.maxShards) {
    return because('at_cap', `${above}, but the cluster has ${shards} shards and max_shards is ${policy.maxShards}`);
  }
  if (input.standbys <= 0) {
    return because('no_standby', `${above}, but no standby is left: add one with POST /cluster/standbys`);
  }
  return because('grow', above);
}

/** Every shard was read, and none is above the mark: it is calm, or one shard too many. */
function belowMark(
  input: DecisionInput,
  { seen, because, lowStreak }: { seen: LoadsSeen; because: Because; lowStreak: number },
): Decision {
  const { policy, shardIds } = input;
  if (!seen.isLow) return because('below_mark', seen.fullest);
  const low = `every shard holds fewer than ${policy.lowWaterPoints} points (${seen.pointsMax ?? 0} at most)`;
  const early = whyTooEarly(policy, lowStreak);
  if (early !== null) return because('not_sustained', `${low}: ${early}`);
  if (shardIds.length <= policy.minShards) {
    return because(
      'at_floor',
      `${low}, but the cluster has ${shardIds.length} shards and min_shards is ${policy.minShards}`,
    );
  }
  const cooling = whyCooling(input, policy.shrinkCooldownSecs);
  if (cooling !== null) return because('cooling_down', `${low}, but ${cooling}`);
  const [leaver, ...rest] = [...seen.loads].sort((a, b) => weight(a) - weight(b) || b.shardId - a.shardId);
  const full = leaver === undefined ? 'there is no shard' : whyRestTooFull(policy, leaver, rest);
  if (leaver === undefined || full !== null) return because('rest_too_full', `${low}, but ${full}`);
  return because('shrink', `${low}: shard ${leaver.shardId} has the fewest, ${weight(leaver)}`, leaver.shardId);
}

/** The points of a shard that leaves go to all others in like parts. */
function whyRestTooFull(
  { highWaterPoints, highWaterBytes }: AutoscalePolicy,
  leaver: ShardLoad,
  rest: readonly ShardLoad[],
): string | null {
  const fullest = (of: (load: ShardLoad) => number): number =>
    Math.max(...rest.map(of)) + Math.ceil(of(leaver) / rest.length);
  const marks = [
    { what: 'points', after: fullest(weight), mark: highWaterPoints },
    { what: 'bytes', after: fullest(({ bytes }) => bytes ?? 0), mark: highWaterBytes },
  ];
  const crossed = marks.find(({ after, mark }) => mark > 0 && after > mark * FULL_SHARE_MAX);
  if (crossed === undefined) return null;
  const { what, after, mark } = crossed;
  return `without shard ${leaver.shardId} the fullest one would hold about ${after} ${what}, more than ${FULL_SHARE_MAX} of the mark of ${mark}`;
}

function weight({ points }: ShardLoad): number {
  return points ?? 0;
}

function whyCooling({ lastScaleAtMs, nowMs }: DecisionInput, cooldownSecs: number): string | null {
  const leftMs = cooldownLeftMs({ cooldownSecs }, lastScaleAtMs, nowMs);
  if (leftMs <= 0) return null;
  return `the last grow began, or the last drain ended, less than ${cooldownSecs} s ago: ${Math.ceil(leftMs / 1_000)} s left`;
}

function whyTooEarly({ sustainEvaluations }: AutoscalePolicy, streak: number): string | null {
  return streak >= sustainEvaluations
    ? null
    : `evaluation ${streak} of the ${sustainEvaluations} in a row that it takes`;
}

function lookAt({ policy, shardIds, loads }: DecisionInput): LoadsSeen {
  const notLookedAt = { points: null, problem: null };
  const all = shardIds.map((shardId) => loads.find((load) => load.shardId === shardId) ?? { shardId, ...notLookedAt });
  const most = (of: (load: ShardLoad) => number | null | undefined): number | null => {
    const known = all.flatMap((load) => of(load) ?? []);
    return known.length === 0 ? null : Math.max(...known);
  };
  const [pointsMax, bytesMax] = [most(({ points }) => points), most(({ bytes }) => bytes)];
  const marks = [
    { what: 'points', most: pointsMax, mark: policy.highWaterPoints },
    { what: 'bytes', most: bytesMax, mark: policy.highWaterBytes },
  ].filter(({ mark }) => mark > 0);
  const crossed = marks.filter(({ most: seen, mark }) => seen !== null && seen > mark);
  const shown = crossed.length > 0 ? crossed : marks;
  // A worker of an earlier release tells no bytes: where they count, they are unknown and not 0 (INV-8).
  const unreadable = all.filter((load) => load.points === null || (policy.highWaterBytes > 0 && load.bytes == null));
  return {
    loads: all,
    pointsMax,
    unreadable,
    isAbove: crossed.length > 0,
    isLow: unreadable.length === 0 && pointsMax !== null && pointsMax < policy.lowWaterPoints,
    fullest: shown
      .map(({ what, most: seen, mark }) => `the fullest shard holds ${seen ?? 0} ${what}, the mark is ${mark}`)
      .join('; '),
  };
}

/**
 * Points count twice while they move, so a count then says nothing. Unknown is neither calm nor load (INV-8): it leaves
 * the streaks as they were.
 */
function streaksOf(
  { busyWith, streak, lowStreak }: DecisionInput,
  { isAbove, isLow, unreadable }: LoadsSeen,
): Pick<Decision, 'streak' | 'lowStreak'> {
  if (busyWith !== null) return { streak: 0, lowStreak: 0 };
  if (isAbove) return { streak: streak + 1, lowStreak: 0 };
  if (unreadable.length > 0) return { streak, lowStreak };
  return { streak: 0, lowStreak: isLow ? lowStreak + 1 : 0 };
}
