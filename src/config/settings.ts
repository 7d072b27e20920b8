import {
  DEFAULT_SCAN_STOP_MAX_MS,
  DEFAULT_TIMINGS,
  GRPC_PORT_OFFSET,
  ROUTER_ENTRIES_MAX,
  SHARDS_MAX,
} from '../domain/limits';
import { AUTOSCALE_SETTINGS } from './autoscale-settings';
import { LIMIT_SETTINGS } from './limit-settings';
import { DURATION_BOUNDS, embeddedPort, integer, type Bounds, type Setting } from './setting';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

export const TRACING = ['off', 'otlp'] as const;
export type Tracing = (typeof TRACING)[number];

const VISIBLE_CHARACTERS = /^[\x21-\x7e]+$/;

/**
 * Every setting of this program, once. The reader, the check for mistyped names and the settings page all use this table. Names
 * with `QUIVER_` are Quiver's own and mean what they mean there. Names that only this program has begin with `COORDINATOR_`.
 * Their order is the one in which an error about a mistyped name lists them. */
export const SETTINGS = {
  QUIVER_REST_ADDR: {
    group: 'api',
    meaning: 'The address that the REST API listens on, where port 0 takes a free one.',
    expected: '<host>:<port>',
    advice: 'give for instance 127.0.0.1:6333',
    default: '127.0.0.1:6333',
  },
  QUIVER_CLUSTER_SHARDS: {
    group: 'cluster',
    meaning: 'The shards of a cluster that has no state yet, with the ids 0, 1, 2 and so on.',
    expected: 'a list of shard URLs',
    advice: 'give for instance [http://s0:6333,http://s1:6333]',
    default: '[]',
    itemsMax: SHARDS_MAX,
  },
  QUIVER_CLUSTER_REPLICAS: {
    group: 'cluster',
    meaning: 'Further addresses of the shards in `QUIVER_CLUSTER_SHARDS`.',
    expected: 'a list of <shard id>=<url>',
    advice: 'give for instance 0=http://s0b:6333,1=http://s1b:6333, with ids that QUIVER_CLUSTER_SHARDS has',
    default: '[]',
  },
  QUIVER_CLUSTER_SHARD_KEY: {
    group: 'cluster',
    meaning: 'The key, or keys, that this program presents to shards and routers, the next one after a 401.',
    expected: 'a list of keys, each of visible characters without a comma',
    advice: 'give a key that the shards know',
    default: null,
    pattern: VISIBLE_CHARACTERS,
    isSecret: true,
  },
  COORDINATOR_SHARD_KEY_FILE: {
    group: 'cluster',
    meaning: 'A file with further keys for shards and routers, read again when it changes and after a 401.',
    expected: 'the path of a readable file with one key a line',
    advice: 'correct the path or the file, or leave it out',
    default: null,
  },
  QUIVER_API_KEYS: {
    group: 'api',
    meaning: 'The keys of this API, where a key without a role is an admin key.',
    expected: 'a list of keys, each of visible characters without a comma, none twice',
    advice: 'set it, or set QUIVER_INSECURE=true to let everybody in',
    default: '[]',
    pattern: VISIBLE_CHARACTERS,
    isSecret: true,
  },
  COORDINATOR_API_KEYS_FILE: {
    group: 'api',
    meaning: 'A file with further admin keys of this API, read again when it changes.',
    expected: 'the path of a readable file with one key a line',
    advice: 'correct the path or the file, or leave it out',
    default: null,
  },
  COORDINATOR_HOOKS_KEY: {
    group: 'api',
    meaning: 'The key that seals the secrets of webhooks, the same one in each API and worker.',
    expected: '16 to 512 visible characters',
    advice: 'set it to a long random text, or leave it out where no webhook has a secret',
    default: null,
    pattern: /^[\x21-\x7e]{16,512}$/,
    isSecret: true,
  },
  QUIVER_INSECURE: {
    group: 'api',
    meaning: 'Whether an API that has no keys runs all the same, and lets everybody do everything.',
    expected: 'true or false',
    advice: 'leave it out to require keys',
    default: 'false',
  },
  COORDINATOR_CONNECTIONS_MAX: integer({
    group: 'api',
    meaning: 'How many connections the API keeps at a time, before it closes new ones.',
    default: 2_000,
    bounds: { min: 10, max: 100_000 },
    unit: 'connections',
  }),
  COORDINATOR_FAILED_KEYS_PER_MIN: integer({
    group: 'api',
    meaning: 'How many wrong keys an address may send in a minute, where 0 means no limit.',
    default: 60,
    bounds: { min: 0, max: 100_000 },
    unit: 'keys',
  }),
  COORDINATOR_MAP_MAX_AGE_MS: integer({
    group: 'api',
    meaning: 'How old the map may be that a poll gets, where 0 means as fresh as its request.',
    default: 300,
    bounds: { min: 0, max: 500 },
    unit: 'ms',
  }),
  QUIVER_COORDINATOR_STATE: {
    group: 'cluster',
    meaning: "The state file of Quiver's own coordinator, which a cluster without state takes over.",
    expected: 'the path of a readable state file {next_id, map}',
    advice: 'leave it out for a cluster that never had a coordinator',
    default: null,
  },
  COORDINATOR_CLUSTER: {
    group: 'cluster',
    meaning: 'The name of the cluster, which the workflow ids and the task queue contain.',
    expected: '1 to 64 of the characters A-Z a-z 0-9 . _ -',
    advice: 'leave it out for default',
    default: 'default',
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
  },
  COORDINATOR_SHARD_GRPC_PORT_OFFSET: {
    group: 'cluster',
    meaning: "How far a shard's gRPC port is above its REST port, unless the shard was given with a `grpc_url`.",
    default: String(GRPC_PORT_OFFSET),
    bounds: { min: 0, max: 10_000 },
    expected: 'a whole number from 0 to 10000',
    advice: `leave it out for ${GRPC_PORT_OFFSET}`,
  },
  COORDINATOR_ALLOWED_HOSTS: {
    group: 'cluster',
    meaning: 'The hosts of shards and routers that this program may call, by name or by address.',
    expected: 'a list of host names, patterns like *.quiver.svc, addresses and CIDRs',
    advice: 'give for instance *.quiver.svc,10.0.0.0/8, or leave it out for all hosts',
    default: '[]',
    defaultInWords: 'all hosts',
  },
  COORDINATOR_ROUTER_URLS: {
    group: 'routers',
    meaning: 'The list of routers, until `PUT` or `PATCH` of `/cluster/routers` has changed it.',
    expected: 'a list of router URLs, dns+http://name:port or dnssrv+http://name',
    advice: 'give for instance http://router0:6333,http://router1:6333',
    default: '[]',
    itemsMax: ROUTER_ENTRIES_MAX,
  },
  COORDINATOR_ROUTERS_FAIL_CLOSED: {
    group: 'routers',
    meaning: 'Whether every router has a dead seed, so that a restart of one during a move costs nothing.',
    expected: 'true or false',
    advice: 'leave it out for false, or start every router with QUIVER_CLUSTER_SHARDS=[http://127.0.0.1:9]',
    default: 'false',
  },
  COORDINATOR_DATA_DIR: {
    group: 'embedded',
    meaning: "The folder of the embedded Temporal's database.",
    expected: 'the path of a folder',
    advice: 'leave it out for ./.data',
    default: './.data',
    pattern: /./,
  },
  COORDINATOR_BUILD_ID: {
    group: 'temporal',
    meaning: 'The build of a worker, which turns on Worker Versioning: operations end on the build that they began on.',
    expected: '1 to 128 of the characters A-Z a-z 0-9 . _ -',
    advice: 'give the release, or leave it out where no worker of the cluster has one',
    default: null,
    pattern: /^[A-Za-z0-9._-]{1,128}$/,
  },
  COORDINATOR_PUBLISHED_FILE: {
    group: 'temporal',
    meaning: 'The file where an API keeps the last published map, so that it notices a wiped namespace.',
    expected: 'the path of a file, or none',
    advice: 'leave it out for published-<cluster>.json in COORDINATOR_DATA_DIR',
    default: null,
    defaultInWords: '`published-<cluster>.json` in `COORDINATOR_DATA_DIR`',
  },
  COORDINATOR_CACHE_DIR: {
    group: 'embedded',
    meaning: 'The folder for programs that this program installs, such as the Temporal CLI.',
    expected: 'the path of a folder',
    advice: "leave it out for quiver-coordinator in the user's cache folder",
    default: null,
    defaultInWords: "`quiver-coordinator` in the user's cache folder",
    isEnvironmentOnly: true,
  },
  COORDINATOR_GRACE_MS: integer({
    group: 'routers',
    meaning: 'How long routers get to adopt a map when an operation can ask none of them.',
    default: DEFAULT_TIMINGS.graceMs,
    bounds: DURATION_BOUNDS,
    unit: 'ms',
  }),
  COORDINATOR_ROUTER_PATIENCE_MS: integer({
    group: 'routers',
    meaning: 'How long the routers of the list may take to adopt a map.',
    default: DEFAULT_TIMINGS.routerPatienceMs,
    bounds: DURATION_BOUNDS,
    unit: 'ms',
  }),
  COORDINATOR_IN_FLIGHT_MS: integer({
    group: 'routers',
    meaning: 'How long a write may still run in a router after the router adopts a new map.',
    default: DEFAULT_TIMINGS.inFlightMs,
    bounds: DURATION_BOUNDS,
    unit: 'ms',
  }),
  COORDINATOR_SCAN_STOP_MAX_MS: integer({
    group: 'routers',
    meaning: 'How long a primary may stand still for one scan before an operation is refused.',
    default: DEFAULT_SCAN_STOP_MAX_MS,
    bounds: { min: 0, max: 86_400_000 },
    unit: 'ms',
  }),
  COORDINATOR_SPOOL_DIR: {
    group: 'temporal',
    meaning: 'The folder where a worker keeps the ids of points that it moves, 64 bytes each at most.',
    expected: 'the path of a folder',
    advice: 'leave it out for the folder spool in COORDINATOR_DATA_DIR',
    default: null,
    defaultInWords: '`spool` in `COORDINATOR_DATA_DIR`',
  },
  COORDINATOR_SETTLE_MS: integer({
    group: 'routers',
    meaning: 'How long a difference between donor and joiner is left alone before a second look.',
    default: DEFAULT_TIMINGS.settleMs,
    bounds: { min: 0, max: 60_000 },
    unit: 'ms',
  }),
  COORDINATOR_PATIENCE_MS: integer({
    group: 'routers',
    meaning: 'How long an operation that has not flipped waits for one thing before it undoes itself.',
    default: DEFAULT_TIMINGS.patienceMs,
    bounds: DURATION_BOUNDS,
    unit: 'ms',
  }),
  COORDINATOR_WARM_UP_MS: integer({
    group: 'routers',
    meaning: "How long the joiner's indexes may take to get ready, where 0 leaves them to the first searches.",
    default: DEFAULT_TIMINGS.warmUpMs,
    bounds: DURATION_BOUNDS,
    unit: 'ms',
  }),
  COORDINATOR_ATTEMPT_MS: integer({
    group: 'routers',
    meaning: 'The longest life of one attempt of a step that writes points.',
    default: DEFAULT_TIMINGS.attemptMs,
    bounds: { min: 5_000, max: 600_000 },
    unit: 'ms',
  }),
  ...AUTOSCALE_SETTINGS,
  ...LIMIT_SETTINGS,
  COORDINATOR_TEMPORAL_PORT: embeddedPort('The port of the embedded Temporal.', 7233),
  COORDINATOR_TEMPORAL_UI_PORT: embeddedPort("The port of the embedded Temporal's Web UI.", 8233),
  COORDINATOR_WEB_UI_URL: {
    group: 'temporal',
    meaning: "The address of the Temporal Web UI, for the links in the API's answers.",
    expected: 'an http or https URL',
    advice: 'give for instance http://temporal-ui:8080, or leave it out for no links',
    default: null,
  },
  COORDINATOR_METRICS_OPEN: {
    group: 'metrics',
    meaning: 'Whether the page of metrics needs no key.',
    expected: 'true or false',
    advice: 'leave it out to require a key with the role read',
    default: 'false',
  },
  COORDINATOR_METRICS_ADDR: {
    group: 'metrics',
    meaning: 'An address of its own for the page of metrics, without which a worker has no such page.',
    expected: '<host>:<port>',
    advice: 'give for instance 0.0.0.0:9464, or leave it out',
    default: null,
  },
  COORDINATOR_METRICS_CORE: {
    group: 'metrics',
    meaning: "Whether the page of metrics of a worker also shows those of Temporal's own library.",
    expected: 'true or false',
    advice: 'leave it out for true',
    default: 'true',
  },
  COORDINATOR_LOG_LEVEL: {
    group: 'logs',
    meaning: 'The lowest level that the program logs.',
    expected: `${LOG_LEVELS.slice(0, -1).join(', ')} or ${LOG_LEVELS.at(-1)}`,
    advice: 'leave it out for info',
    default: 'info',
  },
  COORDINATOR_TRACING: {
    group: 'tracing',
    meaning: 'Whether spans of requests and operations are recorded, and sent to a collector of OpenTelemetry.',
    expected: TRACING.join(' or '),
    advice: 'leave it out for off',
    default: 'off',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

type NamesOf<Row> = { [Name in SettingName]: (typeof SETTINGS)[Name] extends Row ? Name : never }[SettingName];
export type IntegerName = NamesOf<{ readonly bounds: Bounds }>;
export type MatchedName = NamesOf<{ readonly pattern: RegExp }>;

/** The table of the autoscale policy in `quiver.toml`. */
export const AUTOSCALE_TABLE = 'autoscale';

/** The name of a setting in `quiver.toml`: lower case, without `quiver_`, dotted when it stands in a table. */
export function tomlKey(name: string): string {
  const ofPolicy = /^(?:QUIVER|COORDINATOR)_AUTOSCALE_(.+)$/.exec(name)?.[1];
  if (ofPolicy !== undefined) return `${AUTOSCALE_TABLE}.${ofPolicy.toLowerCase()}`;
  return name.toLowerCase().replace(/^quiver_/, '');
}
