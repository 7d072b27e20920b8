/** What an operator sets for autoscale, within which bounds, and the words in which an evaluation answers. */
import { SHARDS_MAX } from './limits';

/** Quiver's settings, `sustainEvaluations`, the mark in bytes, and how the cluster shrinks. */
export interface AutoscalePolicy {
  readonly enabled: boolean;
  /**
   * The cluster grows when one shard holds more points than this over all collections. 0: no such mark.
   */
  readonly highWaterPoints: number;
  /** The same for bytes, by the estimate of `ShardLoad`. 0: no such mark. */
  readonly highWaterBytes: number;
  /** The cluster shrinks by one shard when every shard holds fewer points than this. 0: never. */
  readonly lowWaterPoints: number;
  readonly intervalSecs: number;
  /** After the start of a grow, no other grow begins for this long. */
  readonly cooldownSecs: number;
  /** After the start of a grow, and after the end of a drain, it does not shrink for this long. */
  readonly shrinkCooldownSecs: number;
  /** 0: no cap. */
  readonly maxShards: number;
  /** The policy takes out no shard when so many, or fewer, are left. */
  readonly minShards: number;
  /** How many evaluations in a row must be above the mark before the cluster grows, or low before it shrinks. 1: the first. */
  readonly sustainEvaluations: number;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

const DAY_SECS = 24 * 60 * 60;

/** Bounds for the numbers of a policy, whatever their source. */
export const POLICY_BOUNDS = {
  highWaterPoints: { min: 0, max: 1_000_000_000_000 },
  highWaterBytes: { min: 0, max: Number.MAX_SAFE_INTEGER },
  lowWaterPoints: { min: 0, max: 1_000_000_000_000 },
  intervalSecs: { min: 1, max: DAY_SECS },
  cooldownSecs: { min: 0, max: 30 * DAY_SECS },
  shrinkCooldownSecs: { min: 0, max: 30 * DAY_SECS },
  maxShards: { min: 0, max: SHARDS_MAX },
  minShards: { min: 1, max: SHARDS_MAX },
  sustainEvaluations: { min: 1, max: 1_000 },
} as const satisfies Record<Exclude<keyof AutoscalePolicy, 'enabled'>, Bounds>;

export const DEFAULT_POLICY: AutoscalePolicy = {
  enabled: false,
  highWaterPoints: 0,
  highWaterBytes: 0,
  lowWaterPoints: 0,
  intervalSecs: 30,
  cooldownSecs: 300,
  shrinkCooldownSecs: 3_600,
  maxShards: 0,
  minShards: 1,
  sustainEvaluations: 1,
};

/** One evaluation: what it saw, what it decided, and why. */
export interface Evaluation {
  readonly atMs: number;
  readonly reason: DecisionReason;
  /** One sentence for an operator. */
  readonly message: string;
  /** Null when no shard could be read, or none was. */
  readonly pointsMax: number | null;
  readonly unreadable: readonly number[];
  /** The grow or the drain that it started. */
  readonly operationId: string | null;
  /** The code with which a grow or a drain was refused for a reason other than its standby, so that nothing began. */
  readonly refusal: string | null;
}

/**
 * `below_mark` is calm, and only said when every shard was read (INV-8). `shard_unreadable`: no shard that was read is
 * above the mark, and at least one could not be read. `not_sustained`: above the mark, or low, not yet often enough in a
 * row. `at_floor` and `rest_too_full`: low, and yet it does not shrink.
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
  'at_floor',
  'rest_too_full',
  'shrink',
] as const;

export type DecisionReason = (typeof DECISION_REASONS)[number];

/** For whoever reads a policy out of a cluster's state: one that an earlier release wrote lacks what came since. */
export function completePolicy(policy: Partial<AutoscalePolicy>): AutoscalePolicy {
  return { ...DEFAULT_POLICY, ...policy };
}
