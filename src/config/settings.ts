import { DEFAULT_TIMINGS } from '../domain/limits';

/**
 * Every setting of this program, once: the README's table, the check for mistyped names and the reader all use it. Names with
 * `QUIVER_` are Quiver's own and mean what they mean there; what is new begins with `COORDINATOR_`. In `quiver.toml` a setting
 * has the same name in lower case, without `quiver_`.
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
const port = (meaning: string, byDefault: number): Setting => ({
  meaning,
  expected: 'a port number from 0 to 65535',
  advice: `leave it out for ${byDefault}, or give 0 for a free one`,
  default: String(byDefault),
});

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

/** The name of a setting in `quiver.toml`. */
export const tomlKey = (name: string): string => name.toLowerCase().replace(/^quiver_/, '');
