/** What an operator sets for autoscale, within which bounds, and the words in which an evaluation answers. */
import { SHARDS_MAX } from './limits';

/** Quiver's settings, and `sustainEvaluations`. */
export interface AutoscalePolicy {
  readonly enabled: boolean;
  /**
   * The cluster grows when one shard holds more points than this over all collections. 0: no mark, so it never grows.
   */
  readonly highWaterPoints: number;
  readonly intervalSecs: number;
  /** After the start of a grow, no other grow begins for this long. */
  readonly cooldownSecs: number;
  /** 0: no cap. */
  readonly maxShards: number;
  /** How many evaluations in a row must be above the mark before the cluster grows. 1: the first one is enough. */
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
  intervalSecs: { min: 1, max: DAY_SECS },
  cooldownSecs: { min: 0, max: 30 * DAY_SECS },
  maxShards: { min: 0, max: SHARDS_MAX },
  sustainEvaluations: { min: 1, max: 1_000 },
} as const satisfies Record<Exclude<keyof AutoscalePolicy, 'enabled'>, Bounds>;

export const DEFAULT_POLICY: AutoscalePolicy = {
  enabled: false,
  highWaterPoints: 0,
  intervalSecs: 30,
  cooldownSecs: 300,
  maxShards: 0,
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
  /** The grow that it started. */
  readonly operationId: string | null;
  /** The code with which a grow was refused for a reason other than its standby, so that nothing began. */
  readonly refusal: string | null;
}

/**
 * `below_mark` is calm, and only said when every shard was read (INV-8). `shard_unreadable`: no shard that was read is
 * above the mark, and at least one could not be read. `not_sustained`: above the mark, not yet often enough in a row.
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
