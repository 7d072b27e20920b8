import { DEFAULT_POLICY, POLICY_BOUNDS } from '../domain/autoscale-policy';
import { DEFAULT_TIMINGS } from '../domain/limits';

/**
 * Every setting of this program, once: the README's table, the check for mistyped names and the reader all use it. Names with
 * `QUIVER_` are Quiver's own and mean what they mean there; what is new begins with `COORDINATOR_`. In `quiver.toml` a setting
 * has the same name in lower case, without `quiver_`; those of the autoscale policy stand in the table `[autoscale]`.
 */
export interface Setting {
  readonly meaning: string;
  /** What an error says was expected. */
  readonly expected: string;
  /** What an error says to do. */
  readonly advice: string;
  readonly default: string | null;
  /** An error about a secret never shows what it got. */
  readonly isSecret?: true;
}

const milliseconds = (meaning: string, byDefault: number, max: number): Setting => ({
  meaning,
  expected: `a whole number of milliseconds from 0 to ${max}`,
  advice: `leave it out for ${byDefault}`,
  default: String(byDefault),
});
const count = (meaning: string, byDefault: number, { min, max }: { min: number; max: number }): Setting => ({
  meaning,
  expected: `a whole number from ${min} to ${max}`,
  advice: `leave it out for ${byDefault}`,
  default: String(byDefault),
});
const port = (meaning: string, byDefault: number): Setting => ({
  meaning,
  expected: 'a port number from 0 to 65535',
  advice: `leave it out for ${byDefault}, or give 0 for a free one`,
  default: String(byDefault),
});

/** The first who starts an API of a cluster sets its policy by these; from then on they are ignored. */
const seed = (meaning: string): string => `${meaning}; ignored once the cluster has a policy`;

export const DURATION_MAX_MS = 24 * 60 * 60 * 1_000;

export const SETTINGS = {
  QUIVER_REST_ADDR: {
    meaning: 'Address that the REST API listens on; port 0 takes a free one',
    expected: '<host>:<port>',
    advice: 'give for instance 127.0.0.1:6333',
    default: '127.0.0.1:6333',
  },
  QUIVER_CLUSTER_SHARDS: {
    meaning: 'Shards of a cluster that has no state yet, ids 0…n-1 in this order; ignored once the cluster exists',
    expected: 'a list of shard URLs',
    advice: 'give for instance [http://s0:6333,http://s1:6333]',
    default: '[]',
  },
  QUIVER_CLUSTER_REPLICAS: {
    meaning: 'Further addresses of those shards',
    expected: 'a list of <shard id>=<url>',
    advice: 'give for instance 0=http://s0b:6333,1=http://s1b:6333, with ids that QUIVER_CLUSTER_SHARDS has',
    default: '[]',
  },
  QUIVER_CLUSTER_SHARD_KEY: {
    meaning: 'Key presented to shards and routers',
    expected: 'one line of visible characters',
    advice: 'give a key that the shards know',
    default: null,
    isSecret: true,
  },
  QUIVER_API_KEYS: {
    meaning:
      'Keys of this API: bare ones are admin; in quiver.toml also {secret, role, id} with role read, write or admin',
    expected: 'a list of keys, each of visible characters without a comma, none twice',
    advice: 'set it, or set QUIVER_INSECURE=true to let everybody in',
    default: '[]',
    isSecret: true,
  },
  QUIVER_INSECURE: {
    meaning: 'Run without keys: whoever reaches the address may do everything',
    expected: 'true or false',
    advice: 'leave it out to require keys',
    default: 'false',
  },
  QUIVER_COORDINATOR_STATE: {
    meaning: "State file {next_id, map} of Quiver's own coordinator, taken over when the cluster has no state yet",
    expected: 'the path of a readable state file {next_id, map}',
    advice: 'leave it out for a cluster that never had a coordinator',
    default: null,
  },
  COORDINATOR_CLUSTER: {
    meaning: 'Name of the cluster: part of the workflow ids and of the task queue',
    expected: '1 to 64 of the characters A-Z a-z 0-9 . _ -',
    advice: 'leave it out for default',
    default: 'default',
  },
  COORDINATOR_ROUTER_URLS: {
    meaning: 'Routers that are asked which map they hold; without it the grace is waited for',
    expected: 'a list of router URLs',
    advice: 'give for instance http://router0:6333,http://router1:6333',
    default: '[]',
  },
  COORDINATOR_DATA_DIR: {
    meaning: "Folder of the embedded Temporal's database",
    expected: 'the path of a folder',
    advice: 'leave it out for ./.data',
    default: './.data',
  },
  COORDINATOR_PUBLISHED_FILE: {
    meaning:
      'File in which an API keeps the last published map, to notice a wiped namespace; none keeps it in Temporal only. Default: published-<cluster>.json in COORDINATOR_DATA_DIR',
    expected: 'the path of a file, or none',
    advice: 'leave it out for published-<cluster>.json in COORDINATOR_DATA_DIR',
    default: null,
  },
  COORDINATOR_CACHE_DIR: {
    meaning:
      'Folder for the programs that are installed when they are found nowhere, such as the Temporal CLI; read from the environment only',
    expected: 'the path of a folder',
    advice: "leave it out for quiver-coordinator in the user's cache folder",
    default: null,
  },
  COORDINATOR_GRACE_MS: milliseconds(
    'How long routers get to adopt a map when none can be asked',
    DEFAULT_TIMINGS.graceMs,
    DURATION_MAX_MS,
  ),
  COORDINATOR_ROUTER_PATIENCE_MS: milliseconds(
    'How long routers that can be asked may take to adopt a map',
    DEFAULT_TIMINGS.routerPatienceMs,
    DURATION_MAX_MS,
  ),
  COORDINATOR_IN_FLIGHT_MS: milliseconds(
    'How long a write may be under way in a router that has just adopted a map: longer than its slowest write takes',
    DEFAULT_TIMINGS.inFlightMs,
    DURATION_MAX_MS,
  ),
  COORDINATOR_SETTLE_MS: milliseconds(
    'How long a difference between donor and joiner is left alone before it is looked at again',
    DEFAULT_TIMINGS.settleMs,
    60_000,
  ),
  COORDINATOR_PATIENCE_MS: milliseconds(
    'How long one thing may be waited for, before the flip, until an operation is undone',
    DEFAULT_TIMINGS.patienceMs,
    DURATION_MAX_MS,
  ),
  COORDINATOR_WARM_UP_MS: milliseconds(
    "How long the joiner's indexes may take to get ready; 0 leaves them to the first searches",
    DEFAULT_TIMINGS.warmUpMs,
    DURATION_MAX_MS,
  ),
  COORDINATOR_ATTEMPT_MS: {
    ...milliseconds('Longest life of one attempt of a step that writes points', DEFAULT_TIMINGS.attemptMs, 600_000),
    expected: 'a whole number of milliseconds from 5000 to 600000',
  },
  QUIVER_AUTOSCALE_ENABLED: {
    meaning: seed('Whether the cluster grows by itself, by its standbys'),
    expected: 'true or false',
    advice: 'leave it out for false',
    default: 'false',
  },
  QUIVER_AUTOSCALE_HIGH_WATER_POINTS: count(
    seed('Points of one shard, over all collections, above which the cluster grows; 0 for never'),
    DEFAULT_POLICY.highWaterPoints,
    POLICY_BOUNDS.highWaterPoints,
  ),
  QUIVER_AUTOSCALE_STANDBY_URLS: {
    meaning: seed('Empty shards to grow by, first in, first out'),
    expected: 'a list of shard URLs',
    advice: 'give for instance [http://s2:6333,http://s3:6333]',
    default: '[]',
  },
  QUIVER_AUTOSCALE_INTERVAL_SECS: count(
    seed('Seconds between two evaluations of the policy'),
    DEFAULT_POLICY.intervalSecs,
    POLICY_BOUNDS.intervalSecs,
  ),
  QUIVER_AUTOSCALE_COOLDOWN_SECS: count(
    seed('Seconds after the start of a grow in which the policy begins no other one'),
    DEFAULT_POLICY.cooldownSecs,
    POLICY_BOUNDS.cooldownSecs,
  ),
  QUIVER_AUTOSCALE_MAX_SHARDS: count(
    seed('Shards above which the policy does not grow the cluster; 0 for no cap'),
    DEFAULT_POLICY.maxShards,
    POLICY_BOUNDS.maxShards,
  ),
  COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS: count(
    seed('Evaluations in a row that must be above the mark before the cluster grows'),
    DEFAULT_POLICY.sustainEvaluations,
    POLICY_BOUNDS.sustainEvaluations,
  ),
  COORDINATOR_TEMPORAL_PORT: port('Port of the embedded Temporal', 7233),
  COORDINATOR_TEMPORAL_UI_PORT: port("Port of the embedded Temporal's Web UI", 8233),
  COORDINATOR_WEB_UI_URL: {
    meaning: "Address of the Temporal Web UI for the links in the API's answers; the embedded one is known",
    expected: 'an http or https URL',
    advice: 'give for instance http://temporal-ui:8080, or leave it out for no links',
    default: null,
  },
  COORDINATOR_LOG_LEVEL: {
    meaning: 'What is logged',
    expected: 'trace, debug, info, warn, error or silent',
    advice: 'leave it out for info',
    default: 'info',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

/** The table of the autoscale policy in `quiver.toml`. */
export const AUTOSCALE_TABLE = 'autoscale';

/** The name of a setting in `quiver.toml`, dotted when it stands in a table. */
export function tomlKey(name: string): string {
  const ofPolicy = /^(?:QUIVER|COORDINATOR)_AUTOSCALE_(.+)$/.exec(name)?.[1];
  if (ofPolicy !== undefined) return `${AUTOSCALE_TABLE}.${ofPolicy.toLowerCase()}`;
  return name.toLowerCase().replace(/^quiver_/, '');
}
