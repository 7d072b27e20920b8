/** Environment and `quiver.toml` -> typed configuration. Nobody else reads the environment. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { parse, TomlError } from 'smol-toml';
import { readApiKeys, type ApiKey } from './api-keys';
import { ConfigError, SettingReader, type Sources } from './reader';
import { AUTOSCALE_TABLE, DURATION_MAX_MS, SETTINGS, tomlKey, type SettingName } from './settings';
import { type AutoscalePolicy, POLICY_BOUNDS } from '../domain/autoscale-policy';
import { DomainError } from '../domain/errors';
import { DEFAULT_TIMINGS, SHARDS_MAX, STANDBYS_MAX, type Timings } from '../domain/limits';
import { normalizeShardUrl, type ShardAddress } from '../domain/shard-map';

export { keyDigest, type ApiKey, type Role } from './api-keys';
export { ConfigError } from './reader';

export interface Config {
  readonly restAddress: { readonly host: string; readonly port: number };
  readonly cluster: string;
  /** What a cluster without any state begins with; empty when nothing was given. */
  readonly seedShards: readonly ShardAddress[];
  /** State file of Quiver's own coordinator to take over, or null. */
  readonly stateFile: string | null;
  readonly shardKey: string | null;
  /** Empty only when running without keys was asked for. */
  readonly apiKeys: readonly ApiKey[];
  readonly routerUrls: readonly string[];
  readonly timings: Timings;
  /** What a cluster without a policy begins with. */
  readonly autoscale: { readonly policy: AutoscalePolicy; readonly standbys: readonly ShardAddress[] };
  readonly logLevel: LogLevel;
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
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** @throws ConfigError with one line that names the setting */
export function loadConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const sources = readSources(environment);
  refuseUnknownNames(sources);
  const reader = new SettingReader(sources);
  const seedShards = readSeedShards(reader);
  return {
    restAddress: readRestAddress(reader),
    cluster: readMatching(reader, 'COORDINATOR_CLUSTER', /^[A-Za-z0-9._-]{1,64}$/),
    seedShards,
    stateFile: reader.text('QUIVER_COORDINATOR_STATE'),
    shardKey: readShardKey(reader),
    apiKeys: readRequiredApiKeys(reader),
    routerUrls: readUrls(reader, 'COORDINATOR_ROUTER_URLS'),
    timings: readTimings(reader),
    autoscale: readAutoscale(reader),
    logLevel: readLogLevel(reader),
    temporal: readTemporal(environment),
    embedded: {
      dataDir: readMatching(reader, 'COORDINATOR_DATA_DIR', /./),
      port: reader.integer('COORDINATOR_TEMPORAL_PORT', { min: 0, max: 65_535 }),
      uiPort: reader.integer('COORDINATOR_TEMPORAL_UI_PORT', { min: 0, max: 65_535 }),
    },
    webUiUrl: readWebUiUrl(reader),
    publishedFile: readPublishedFile(reader),
  };
}

// ---- Sources ----

const DEFAULT_FILE = 'quiver.toml';

/** The file that `QUIVER_CONFIG` names must be there; `./quiver.toml` need not. */
function readSources(environment: Readonly<Record<string, string | undefined>>): Sources {
  const named = environment['QUIVER_CONFIG']?.trim() ?? '';
  const path = named === '' ? DEFAULT_FILE : named;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    if (named === '' && code === 'ENOENT') return { environment, file: {}, filePath: null };
    throw new ConfigError(
      `QUIVER_CONFIG: expected the path of a readable TOML file, got ${path} (${code}): correct the path, or leave it out for ./${DEFAULT_FILE}`,
    );
  }
  try {
    return { environment, file: withDottedKeys(parse(text)), filePath: path };
  } catch (error) {
    // The parser's own message quotes the lines around the mistake, and those may hold a key.
    const where = error instanceof TomlError ? `line ${error.line}, column ${error.column}` : 'some line';
    throw new ConfigError(`QUIVER_CONFIG: expected TOML, got a mistake in ${path} at ${where}: correct that line`);
  }
}

/** What stands in the table `[autoscale]`, as `autoscale.<key>`: `tomlKey` names it so. */
function withDottedKeys(file: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const table = file[AUTOSCALE_TABLE];
  if (typeof table !== 'object' || table === null || Array.isArray(table)) return file;
  const dotted = Object.entries(table).map(([key, value]): [string, unknown] => [`${AUTOSCALE_TABLE}.${key}`, value]);
  const { [AUTOSCALE_TABLE]: _table, ...rest } = file;
  return { ...rest, ...Object.fromEntries(dotted) };
}

/** Quiver's own keys of `quiver.toml` that begin like ours. */
const QUIVER_OWN_FILE_KEYS: readonly string[] = ['coordinator', 'coordinator_state', 'coordinator_url'];

/** Kubernetes gives every container variables like these for a service that is called `coordinator`. */
const KUBERNETES_LINK = /^COORDINATOR_(?:SERVICE_(?:HOST|PORT\w*)|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)$/;

/** A mistyped name would silently mean its default. Names that begin with QUIVER_ are not checked: Quiver has more of them. */
function refuseUnknownNames(sources: Sources): void {
  const known = Object.keys(SETTINGS).filter((name) => name.startsWith('COORDINATOR_'));
  for (const name of Object.keys(sources.environment)) {
    if (!name.startsWith('COORDINATOR_') || known.includes(name) || KUBERNETES_LINK.test(name)) continue;
    throw new ConfigError(`${name}: expected a known setting, got a name that is none: use one of ${known.join(', ')}`);
  }
  const isOurs = (key: string): boolean => key.startsWith('coordinator_') || key.split('.', 1)[0] === AUTOSCALE_TABLE;
  const knownKeys = Object.keys(SETTINGS).map(tomlKey).filter(isOurs);
  for (const key of Object.keys(sources.file)) {
    if (!isOurs(key) || knownKeys.includes(key) || QUIVER_OWN_FILE_KEYS.includes(key)) continue;
    throw new ConfigError(
      `${key} in ${sources.filePath ?? DEFAULT_FILE}: expected a known setting, got a name that is none: use one of ${knownKeys.join(', ')}`,
    );
  }
}

// ---- Single settings ----

function readMatching(reader: SettingReader, name: SettingName, pattern: RegExp): string {
  const text = reader.text(name);
  if (text !== null && pattern.test(text)) return text;
  throw reader.error(name, text);
}

function readRestAddress(reader: SettingReader): { host: string; port: number } {
  const text = reader.text('QUIVER_REST_ADDR') ?? '';
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/@]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw reader.error('QUIVER_REST_ADDR', text);
  return { host, port };
}

function readShardKey(reader: SettingReader): string | null {
  const key = reader.text('QUIVER_CLUSTER_SHARD_KEY');
  if (key === null) return null;
  if (!/^[\x21-\x7e]+$/.test(key)) throw reader.error('QUIVER_CLUSTER_SHARD_KEY', key);
  return key;
}

function readRequiredApiKeys(reader: SettingReader): readonly ApiKey[] {
  const keys = readApiKeys(reader);
  if (keys.length === 0 && !reader.boolean('QUIVER_INSECURE')) {
    throw reader.error('QUIVER_API_KEYS', undefined, 'none');
  }
  return keys;
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
  const duration = (name: SettingName, max = DURATION_MAX_MS, min = 0): number => reader.integer(name, { min, max });
  return {
    ...DEFAULT_TIMINGS,
    graceMs: duration('COORDINATOR_GRACE_MS'),
    routerPatienceMs: duration('COORDINATOR_ROUTER_PATIENCE_MS'),
    inFlightMs: duration('COORDINATOR_IN_FLIGHT_MS'),
    settleMs: duration('COORDINATOR_SETTLE_MS', 60_000),
    patienceMs: duration('COORDINATOR_PATIENCE_MS'),
    warmUpMs: duration('COORDINATOR_WARM_UP_MS'),
    attemptMs: duration('COORDINATOR_ATTEMPT_MS', 600_000, 5_000),
  };
}

function readAutoscale(reader: SettingReader): Config['autoscale'] {
  const standbys = readUrls(reader, 'QUIVER_AUTOSCALE_STANDBY_URLS');
  if (standbys.length > STANDBYS_MAX) {
    const seen = `${standbys.length} of them, and ${STANDBYS_MAX} is the most`;
    throw reader.error('QUIVER_AUTOSCALE_STANDBY_URLS', '', seen);
  }
  const policy: AutoscalePolicy = {
    enabled: reader.boolean('QUIVER_AUTOSCALE_ENABLED'),
    highWaterPoints: reader.integer('QUIVER_AUTOSCALE_HIGH_WATER_POINTS', POLICY_BOUNDS.highWaterPoints),
    intervalSecs: reader.integer('QUIVER_AUTOSCALE_INTERVAL_SECS', POLICY_BOUNDS.intervalSecs),
    cooldownSecs: reader.integer('QUIVER_AUTOSCALE_COOLDOWN_SECS', POLICY_BOUNDS.cooldownSecs),
    maxShards: reader.integer('QUIVER_AUTOSCALE_MAX_SHARDS', POLICY_BOUNDS.maxShards),
    sustainEvaluations: reader.integer('COORDINATOR_AUTOSCALE_SUSTAIN_EVALUATIONS', POLICY_BOUNDS.sustainEvaluations),
  };
  return { policy, standbys: standbys.map((primary_url) => ({ primary_url, replica_urls: [] })) };
}

// ---- URLs. What was given is not shown: a URL may carry a password. ----

function readUrl(reader: SettingReader, name: SettingName, text: string): string {
  try {
    return normalizeShardUrl(text);
  } catch (error) {
    if (error instanceof DomainError) throw reader.error(name, text, `one that is not a plain URL (${error.message})`);
    throw error;
  }
}

function readUrls(reader: SettingReader, name: SettingName): readonly string[] {
  const urls = reader.textList(name).map((text) => readUrl(reader, name, text));
  refuseDuplicates(reader, name, urls);
  return urls;
}

function readWebUiUrl(reader: SettingReader): string | null {
  const text = reader.text('COORDINATOR_WEB_UI_URL');
  return text === null ? null : readUrl(reader, 'COORDINATOR_WEB_UI_URL', text);
}

function readSeedShards(reader: SettingReader): readonly ShardAddress[] {
  const primaries = readUrls(reader, 'QUIVER_CLUSTER_SHARDS');
  if (primaries.length > SHARDS_MAX) {
    throw reader.error('QUIVER_CLUSTER_SHARDS', '', `${primaries.length} of them, and ${SHARDS_MAX} is the most`);
  }
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
