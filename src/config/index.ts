/** Environment and `quiver.toml` -> typed configuration. Nobody else reads the environment. */
import { join } from 'node:path';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { readApiKeys, type ApiKey } from './api-keys';
import { ConfigError, SettingReader } from './reader';
import type { Setting } from './setting';
import { LOG_LEVELS, SETTINGS, type MatchedName, type SettingName, type Tracing } from './settings';
import { readSources, refuseUnknownNames } from './sources';
import { readTracing } from './tracing';
import { readAllowedHosts } from '../domain/allowed-hosts';
import type { AutoscalePolicy } from '../domain/autoscale-policy';
import { DomainError } from '../domain/errors';
import { DEFAULT_TIMINGS, type Timings } from '../domain/limits';
import type { ClusterLimits } from '../domain/work-limits';
import { KeyFile, KeyFileError } from '../shards/reach/key-file';
import { normalizeRouterEntry } from '../domain/router-entries';
import { normalizeShardUrl, type ShardAddress } from '../domain/shard-map';

export { keyDigest, type ApiKey, type Role } from './api-keys';
export { ConfigError } from './reader';
export type { KeyFile } from '../shards/reach/key-file';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Config {
  readonly restAddress: Address;
  readonly listenerLimits: { readonly connectionsMax: number; readonly failedKeysPerMin: number };
  readonly mapMaxAgeMs: number;
  /** Of a worker; null: without Worker Versioning. */
  readonly buildId: string | null;
  readonly cluster: string;
  /** What a cluster without any state begins with; empty when nothing was given. */
  readonly seedShards: readonly ShardAddress[];
  /** State file of Quiver's own coordinator to take over, or null. */
  readonly stateFile: string | null;
  /** Towards shards and routers, tried in this order; those of the file come last. */
  readonly shardKeys: { readonly given: readonly string[]; readonly file: string | null };
  /** Empty only when running without keys was asked for. */
  readonly apiKeys: readonly ApiKey[];
  /** Further admin keys, or null. */
  readonly apiKeysFile: string | null;
  /** Seals the secrets of webhooks, or null. */
  readonly hooksKey: string | null;
  readonly routerUrls: readonly string[];
  readonly routersFailClosed: boolean;
  /** How long a primary may stand still for one scan. */
  readonly scanStopMaxMs: number;
  readonly spoolFolder: string;
  readonly timings: Timings;
  /** What a cluster without a policy begins with. */
  readonly autoscale: { readonly policy: AutoscalePolicy; readonly standbys: readonly ShardAddress[] };
  /** What the limits of a cluster are until somebody sets them by hand. */
  readonly limits: ClusterLimits;
  /** `address`: of a listener for the page alone, or null. */
  readonly metrics: { readonly isOpen: boolean; readonly address: Address | null; readonly showsCore: boolean };
  readonly logLevel: LogLevel;
  readonly tracing: Tracing;
  /** `address` null: nothing names a Temporal, so `serve` starts one of its own. */
  readonly temporal: {
    readonly address: string | null;
    readonly namespace: string;
    readonly connection: ClientConnectConfig['connectionOptions'];
  };
  readonly embedded: { readonly dataDir: string; readonly port: number; readonly uiPort: number };
  readonly webUiUrl: string | null;
  /** Where the last published map is kept beside Temporal, or null. */
  readonly publishedFile: string | null;
  /** How far the gRPC port of a shard is above its REST port. */
  readonly grpcPortOffset: number;
  /** Host patterns and CIDRs of shards and routers; empty: all that are not always refused. */
  readonly allowedHosts: readonly string[];
  /** Variables that Kubernetes made of services, for one line in the log: they are not settings. */
  readonly ignoredNames: readonly string[];
}

export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * `hasApi: false`: of a worker, which needs the keys of the API only where its page of metrics asks for one.
 * @throws ConfigError with one line that names the setting
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  { hasApi } = { hasApi: true },
): Config {
  const sources = readSources(environment);
  refuseUnknownNames(sources);
  const reader = new SettingReader(sources);
  const seedShards = readSeedShards(reader);
  const metrics = readMetrics(reader);
  return {
    restAddress: readAddress(reader, 'QUIVER_REST_ADDR', reader.text('QUIVER_REST_ADDR') ?? ''),
    listenerLimits: {
      connectionsMax: reader.integer('COORDINATOR_CONNECTIONS_MAX'),
      failedKeysPerMin: reader.integer('COORDINATOR_FAILED_KEYS_PER_MIN'),
    },
    mapMaxAgeMs: reader.integer('COORDINATOR_MAP_MAX_AGE_MS'),
    buildId: reader.matching('COORDINATOR_BUILD_ID'),
    cluster: requireText(reader, 'COORDINATOR_CLUSTER'),
    seedShards,
    stateFile: reader.text('QUIVER_COORDINATOR_STATE'),
    shardKeys: { given: readShardKeys(reader), file: readKeyFile(reader, 'COORDINATOR_SHARD_KEY_FILE') },
    apiKeysFile: readKeyFile(reader, 'COORDINATOR_API_KEYS_FILE'),
    apiKeys: readRequiredApiKeys(reader, hasApi || (metrics.address !== null && !metrics.isOpen)),
    hooksKey: reader.matching('COORDINATOR_HOOKS_KEY'),
    routerUrls: readUrls(reader, 'COORDINATOR_ROUTER_URLS', normalizeRouterEntry),
    scanStopMaxMs: reader.integer('COORDINATOR_SCAN_STOP_MAX_MS'),
    spoolFolder: reader.text('COORDINATOR_SPOOL_DIR') ?? join(requireText(reader, 'COORDINATOR_DATA_DIR'), 'spool'),
    routersFailClosed: reader.boolean('COORDINATOR_ROUTERS_FAIL_CLOSED'),
    timings: readTimings(reader),
    autoscale: readAutoscale(reader),
    limits: readLimits(reader),
    metrics,
    logLevel: readLogLevel(reader),
    tracing: readTracing(reader, environment),
    temporal: readTemporal(environment),
    embedded: {
      dataDir: requireText(reader, 'COORDINATOR_DATA_DIR'),
      port: reader.integer('COORDINATOR_TEMPORAL_PORT'),
      uiPort: reader.integer('COORDINATOR_TEMPORAL_UI_PORT'),
    },
    webUiUrl: readWebUiUrl(reader),
    publishedFile: readPublishedFile(reader),
    grpcPortOffset: reader.integer('COORDINATOR_SHARD_GRPC_PORT_OFFSET'),
    allowedHosts: readAllowedHostItems(reader),
    ignoredNames: sources.serviceLinks,
  };
}

// ---- Single settings ----

function requireText(reader: SettingReader, name: MatchedName): string {
  const text = reader.matching(name);
  if (text === null) throw reader.error(name, null);
  return text;
}

function readAddress(
  reader: SettingReader,
  name: 'QUIVER_REST_ADDR' | 'COORDINATOR_METRICS_ADDR',
  text: string,
): Address {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/@]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw reader.error(name, text);
  return { host, port };
}

function readMetrics(reader: SettingReader): Config['metrics'] {
  const name = 'COORDINATOR_METRICS_ADDR';
  const text = reader.text(name);
  return {
    isOpen: reader.boolean('COORDINATOR_METRICS_OPEN'),
    address: text === null ? null : readAddress(reader, name, text),
    showsCore: reader.boolean('COORDINATOR_METRICS_CORE'),
  };
}

function readRequiredApiKeys(reader: SettingReader, areRequired: boolean): readonly ApiKey[] {
  const keys = readApiKeys(reader);
  const hasFile = reader.text('COORDINATOR_API_KEYS_FILE') !== null;
  if (areRequired && keys.length === 0 && !hasFile && !reader.boolean('QUIVER_INSECURE')) {
    throw reader.error('QUIVER_API_KEYS', undefined, 'none');
  }
  return keys;
}

function readAllowedHostItems(reader: SettingReader): readonly string[] {
  const items = reader.textList('COORDINATOR_ALLOWED_HOSTS');
  const bad = items.find((item) => readAllowedHosts([item]) === null);
  if (bad !== undefined) throw reader.error('COORDINATOR_ALLOWED_HOSTS', bad);
  return items;
}

/** What callers of this API need. `missing`: the program does not start so. */
export function hasApiKeys(
  environment: Readonly<Record<string, string | undefined>>,
): 'configured' | 'none' | 'missing' {
  const reader = new SettingReader(readSources(environment));
  if (readApiKeys(reader).length > 0 || reader.text('COORDINATOR_API_KEYS_FILE') !== null) return 'configured';
  return reader.boolean('QUIVER_INSECURE') ? 'none' : 'missing';
}

/** A comma is between two keys: Quiver reads its own list of keys in the same way. */
function readShardKeys(reader: SettingReader): readonly string[] {
  const name = 'QUIVER_CLUSTER_SHARD_KEY';
  const keys = Array.isArray(reader.raw(name)) ? reader.textList(name) : (reader.text(name)?.split(',') ?? []);
  const trimmed = keys.map((key) => key.trim());
  if (!trimmed.every((key) => SETTINGS[name].pattern.test(key))) throw reader.error(name, null);
  return [...new Set(trimmed)];
}

/** Read once here, so that a file without a usable key ends the start. */
function readKeyFile(
  reader: SettingReader,
  name: 'COORDINATOR_SHARD_KEY_FILE' | 'COORDINATOR_API_KEYS_FILE',
): string | null {
  const path = reader.text(name);
  if (path === null) return null;
  try {
    new KeyFile(path);
    return path;
  } catch (error) {
    if (error instanceof KeyFileError) throw reader.error(name, path, error.message);
    throw error;
  }
}

/** Blank counts as not set, so no file at all has a word of its own. */
function readPublishedFile(reader: SettingReader): string | null {
  const path = reader.text('COORDINATOR_PUBLISHED_FILE');
  if (path === 'none') return null;
  const cluster = reader.text('COORDINATOR_CLUSTER') ?? '';
  return path ?? join(reader.text('COORDINATOR_DATA_DIR') ?? '', `published-${cluster}.json`);
}

function readLogLevel(reader: SettingReader): LogLevel {
  const text = reader.text('COORDINATOR_LOG_LEVEL');
  const level = LOG_LEVELS.find((each) => each === text);
  if (level === undefined) throw reader.error('COORDINATOR_LOG_LEVEL', text);
  return level;
}

function readTimings(reader: SettingReader): Timings {
  return {
    ...DEFAULT_TIMINGS,
    graceMs: reader.integer('COORDINATOR_GRACE_MS'),
    routerPatienceMs: reader.integer('COORDINATOR_ROUTER_PATIENCE_MS'),
    inFlightMs: reader.integer('COORDINATOR_IN_FLIGHT_MS'),
    settleMs: reader.integer('COORDINATOR_SETTLE_MS'),
    patienceMs: reader.integer('COORDINATOR_PATIENCE_MS'),
    warmUpMs: reader.integer('COORDINATOR_WARM_UP_MS'),
    attemptMs: reader.integer('COORDINATOR_ATTEMPT_MS'),
  };
}

function readAutoscale(reader: SettingReader): Config['autoscale'] {
  const standbys = readUrls(reader, 'QUIVER_AUTOSCALE_STANDBY_URLS');
  const policy: AutoscalePolicy = {
    enabled: reader.boolean('QUIVER_AUTOSCALE_ENABLED'),
    highWaterPoints: reader.integer('QUIVER_AUTOSCALE_HIGH_WATER_POINTS'),
    highWaterBytes: reader.integer('COORDINATOR_AUTOSCALE_HIGH_WATER_BYTES'),
    lowWaterPoints: reader.integer('COORDINATOR_AUTOSCALE_LOW_WATER_POINTS'),
    intervalSecs: reader.integer('QUIVER_AUTOSCALE_INTERVAL_SECS'),
    cooldownSecs: reader.integer('QUIVER_AUTOSCALE_COOLDOWN_SECS'),
    shrinkCooldownSecs: reader.integer('COORDINATOR_AUTOSCALE_SHRINK_COOLDOWN_SECS'),
    maxShards: reader.integer('QUIVER_AUTOSCALE_MAX_SHARDS'),
    minShards: reader.integer('COORDINATOR_AUTOSCALE_MIN_SHARDS'),
    sustainEvaluations: reader.integer('COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS'),
  };
  return { policy, standbys: standbys.map((primary_url) => ({ primary_url, replica_urls: [] })) };
}

function readLimits(reader: SettingReader): ClusterLimits {
  const [fromName, toName] = ['COORDINATOR_LIMITS_ACTIVE_FROM', 'COORDINATOR_LIMITS_ACTIVE_TO'] as const;
  const [activeFrom, activeTo] = [reader.matching(fromName), reader.matching(toName)];
  if (activeFrom !== null && activeTo === null) throw reader.error(toName, undefined);
  if (activeFrom === null && activeTo !== null) throw reader.error(fromName, undefined);
  if (activeFrom !== null && activeFrom === activeTo) throw reader.error(toName, activeTo, 'the same one');
  return {
    // No limit is 0.
    maxBytesPerS: reader.integer('COORDINATOR_LIMITS_MAX_BYTES_PER_S') || null,
    maxRowsPerS: reader.integer('COORDINATOR_LIMITS_MAX_ROWS_PER_S') || null,
    deleteShare: readShare(reader, 'COORDINATOR_LIMITS_DELETE_SHARE'),
    activeFrom,
    activeTo,
  };
}

function readShare(reader: SettingReader, name: 'COORDINATOR_LIMITS_DELETE_SHARE'): number | null {
  const value = reader.raw(name);
  if (value === undefined) return null;
  const share = typeof value === 'string' && /^\s*\d?\.?\d{1,15}\s*$/.test(value) ? Number(value) : value;
  if (typeof share === 'number' && share > 0 && share <= 1) return share;
  throw reader.error(name, value);
}

// ---- URLs. What was given is not shown: a URL may carry a password. ----

function readUrl(
  reader: SettingReader,
  name: SettingName,
  text: string,
  normalize: (text: string) => string = normalizeShardUrl,
): string {
  try {
    return normalize(text);
  } catch (error) {
    if (error instanceof DomainError) throw reader.error(name, text, `one that is not a plain URL (${error.message})`);
    throw error;
  }
}

function readUrls(
  reader: SettingReader,
  name: SettingName,
  normalize: (text: string) => string = normalizeShardUrl,
): readonly string[] {
  const urls = reader.textList(name).map((text) => readUrl(reader, name, text, normalize));
  refuseDuplicates(reader, name, urls);
  const { itemsMax = Infinity }: Setting = SETTINGS[name];
  if (urls.length > itemsMax) throw reader.error(name, '', `${urls.length} of them, and ${itemsMax} is the most`);
  return urls;
}

function readWebUiUrl(reader: SettingReader): string | null {
  const text = reader.text('COORDINATOR_WEB_UI_URL');
  return text === null ? null : readUrl(reader, 'COORDINATOR_WEB_UI_URL', text);
}

function readSeedShards(reader: SettingReader): readonly ShardAddress[] {
  const primaries = readUrls(reader, 'QUIVER_CLUSTER_SHARDS');
  const replicas = reader.textList('QUIVER_CLUSTER_REPLICAS').map((text, index) => {
    const match = /^(\d{1,4})=(.+)$/.exec(text);
    const id = Number(match?.[1]);
    if (match?.[2] === undefined || id >= primaries.length) {
      const nth =
        match === null ? `item ${index + 1} without <id>=` : `an item for shard ${id}, which is not configured`;
      throw reader.error('QUIVER_CLUSTER_REPLICAS', text, nth);
    }
    return { id, url: readUrl(reader, 'QUIVER_CLUSTER_REPLICAS', match[2]) };
  });
  refuseDuplicates(reader, 'QUIVER_CLUSTER_REPLICAS', [...primaries, ...replicas.map((replica) => replica.url)]);
  return primaries.map((primary_url, id) => ({
    primary_url,
    replica_urls: replicas.filter((replica) => replica.id === id).map((replica) => replica.url),
  }));
}

function refuseDuplicates(reader: SettingReader, name: SettingName, urls: readonly string[]): void {
  const twice = urls.find((url, index) => urls.indexOf(url) !== index);
  if (twice !== undefined) throw reader.error(name, twice, `${twice} twice`);
}

// ---- Temporal ----

function readTemporal(environment: Readonly<Record<string, string | undefined>>): Config['temporal'] {
  const set = Object.entries(environment).filter((entry): entry is [string, string] => (entry[1] ?? '').trim() !== '');
  let loaded: ClientConnectConfig;
  try {
    loaded = loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(set) });
  } catch (error) {
    // Only the first line: a TOML parser quotes the file in the next ones, and the file may hold a key.
    const reason = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
    throw new ConfigError(
      `TEMPORAL_*: expected settings that @temporalio/envconfig can read, got "${reason}": correct the TEMPORAL_ variables or the file that TEMPORAL_CONFIG_FILE names`,
    );
  }
  const address = loaded.connectionOptions.address ?? null;
  return { address, namespace: loaded.namespace ?? 'default', connection: loaded.connectionOptions };
}
