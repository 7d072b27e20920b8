import { DEFAULT_POLICY, POLICY_BOUNDS } from '../domain/autoscale-policy';
import { STANDBYS_MAX } from '../domain/limits';
import { integer } from './setting';

/** What a cluster without a policy begins with. */
export const AUTOSCALE_SETTINGS = {
  QUIVER_AUTOSCALE_ENABLED: {
    group: 'autoscale',
    meaning: 'Whether the cluster grows by itself, by its standbys.',
    expected: 'true or false',
    advice: 'leave it out for false',
    default: 'false',
  },
  QUIVER_AUTOSCALE_HIGH_WATER_POINTS: integer({
    group: 'autoscale',
    meaning: 'The points of one shard, over all collections, above which the cluster grows, where 0 means never.',
    default: DEFAULT_POLICY.highWaterPoints,
    bounds: POLICY_BOUNDS.highWaterPoints,
    unit: 'points',
  }),
  QUIVER_AUTOSCALE_STANDBY_URLS: {
    group: 'autoscale',
    meaning: 'The empty shards that the cluster grows by, in this order.',
    expected: 'a list of shard URLs',
    advice: 'give for instance [http://s2:6333,http://s3:6333]',
    default: '[]',
    itemsMax: STANDBYS_MAX,
  },
  QUIVER_AUTOSCALE_INTERVAL_SECS: integer({
    group: 'autoscale',
    meaning: 'The time between two evaluations of the policy.',
    default: DEFAULT_POLICY.intervalSecs,
    bounds: POLICY_BOUNDS.intervalSecs,
    unit: 's',
  }),
  QUIVER_AUTOSCALE_COOLDOWN_SECS: integer({
    group: 'autoscale',
    meaning: 'The time after the start of a grow in which the policy begins no other grow.',
    default: DEFAULT_POLICY.cooldownSecs,
    bounds: POLICY_BOUNDS.cooldownSecs,
    unit: 's',
  }),
  QUIVER_AUTOSCALE_MAX_SHARDS: integer({
    group: 'autoscale',
    meaning: 'The number of shards up to which the policy grows the cluster, where 0 means no limit.',
    default: DEFAULT_POLICY.maxShards,
    bounds: POLICY_BOUNDS.maxShards,
    unit: 'shards',
  }),
  COORDINATOR_AUTOSCALE_HIGH_WATER_BYTES: integer({
    group: 'autoscale',
    meaning: 'The bytes of the vectors of one shard above which the cluster grows too, where 0 means never.',
    default: DEFAULT_POLICY.highWaterBytes,
    bounds: POLICY_BOUNDS.highWaterBytes,
    unit: 'bytes',
  }),
  COORDINATOR_AUTOSCALE_LOW_WATER_POINTS: integer({
    group: 'autoscale',
    meaning: 'The points that every shard must hold fewer of before the cluster shrinks by one, where 0 means never.',
    default: DEFAULT_POLICY.lowWaterPoints,
    bounds: POLICY_BOUNDS.lowWaterPoints,
    unit: 'points',
  }),
  COORDINATOR_AUTOSCALE_MIN_SHARDS: integer({
    group: 'autoscale',
    meaning: 'The number of shards down to which the policy shrinks the cluster.',
    default: DEFAULT_POLICY.minShards,
    bounds: POLICY_BOUNDS.minShards,
    unit: 'shards',
  }),
  COORDINATOR_AUTOSCALE_SHRINK_COOLDOWN_SECS: integer({
    group: 'autoscale',
    meaning: 'The time after a grow began, or a drain ended, in which the policy does not shrink the cluster.',
    default: DEFAULT_POLICY.shrinkCooldownSecs,
    bounds: POLICY_BOUNDS.shrinkCooldownSecs,
    unit: 's',
  }),
  COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS: integer({
    group: 'autoscale',
    meaning: 'How many evaluations in a row must be above the mark before the cluster grows, or low before it shrinks.',
    default: DEFAULT_POLICY.sustainEvaluations,
    bounds: POLICY_BOUNDS.sustainEvaluations,
    unit: 'evaluations',
  }),
} as const;
