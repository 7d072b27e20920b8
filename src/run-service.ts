/** Runs the service until it is told to stop. Exit codes: 0 stopped on request, 1 could not go on, 2 a bad setting. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { destination } from 'pino';
import type { Logger } from 'pino';
import type { UpOptions, UpReady } from './cli/io';
import { ConfigError, hasApiKeys, keyDigest, loadConfig, type ApiKey, type Config } from './config';
import { createLogger } from './log';
import { showsCore } from './metrics';
import { startService, type Service, type ServiceRole } from './service';
import { installRuntime } from './temporal/runtime';

const EXIT_FAILED = 1;
const EXIT_BAD_SETTING = 2;
/** A stop that takes longer is cut: everything that matters is in Temporal. */
const STOP_DEADLINE_MS = 9_500;
const STDERR = 2;
/** The bits of everybody but the owner. */
const OTHERS = 0o077;

type Environment = Readonly<Record<string, string | undefined>>;

export async function runService(role: ServiceRole, environment: Environment): Promise<number> {
  return reporting(async () => {
    const config = loadConfig(environment, { hasApi: role !== 'worker' });
    return run(role, { config, logger: createLogger(config.logLevel) });
  });
}

/**
 * `serve` for a person who begins: the log goes to the standard error, and a cluster without keys gets one in a file that only its owner can
 * read.
 */
export async function runUp({ shardUrls, onReady }: UpOptions, environment: Environment): Promise<number> {
  return reporting(async () => {
    const { settings, key } = settingsOfUp(environment, shardUrls);
    const config = loadConfig(settings);
    if (config.temporal.address !== null) {
      throw new ConfigError(
        `TEMPORAL_ADDRESS: expected nothing, because up starts a Temporal of its own, got ${config.temporal.address}: unset it, or use serve`,
      );
    }
    const logger = createLogger(config.logLevel, destination({ dest: STDERR, sync: true }));
    const onStarted = ({ url, temporal }: Service): void => {
      if (url !== null) onReady({ url, webUiUrl: temporal.webUiUrl, key });
    };
    return run('serve', { config: key.kind === 'file' ? withRoutersKeys(config) : config, logger, onStarted });
  });
}

/** Routers present the key of the shards, and have to read the map. */
function withRoutersKeys(config: Config): Config {
  const routers = config.shardKeys.given.map((secret, index): ApiKey => ({
    id: `shard-key-${index + 1}`,
    role: 'read',
    digest: keyDigest(secret),
  }));
  return { ...config, apiKeys: [...config.apiKeys, ...routers] };
}

function settingsOfUp(
  environment: Environment,
  shardUrls: readonly string[],
): { settings: Environment; key: UpReady['key'] } {
  const settings = {
    COORDINATOR_LOG_LEVEL: 'error',
    ...environment,
    ...(shardUrls.length === 0 ? {} : { QUIVER_CLUSTER_SHARDS: shardUrls.join(',') }),
  };
  const keys = hasApiKeys(settings);
  if (keys !== 'missing') return { settings, key: { kind: keys } };
  const path = ownKeyFile(environment['COORDINATOR_DATA_DIR']?.trim() || './.data');
  return { settings: { ...settings, COORDINATOR_API_KEYS_FILE: path }, key: { kind: 'file', path } };
}

/** The same file at each start, so that a shell that knows it goes on. */
function ownKeyFile(dataDir: string): string {
  const path = resolve(join(dataDir, 'admin.key'));
  if (existsSync(path)) {
    if ((statSync(path).mode & OTHERS) === 0) return path;
    throw new ConfigError(
      `COORDINATOR_API_KEYS_FILE: expected ${path} to be readable for its owner only, got a file that others may read or write: chmod 600 it if the key in it is yours, else remove it`,
    );
  }
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  return path;
}

async function reporting(work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof ConfigError ? EXIT_BAD_SETTING : EXIT_FAILED;
  }
}

async function run(
  role: ServiceRole,
  { config, logger, onStarted }: { config: Config; logger: Logger; onStarted?: (service: Service) => void },
): Promise<number> {
  const signal = nextSignal();
  const core = await installRuntime(logger, { hasMetrics: showsCore(role, config) });
  const starting = startService(role, config, logger, core);
  // A signal during the start counts too: what has been started is stopped as soon as it can be.
  await Promise.race([starting, signal]);
  void signal.then((name) => {
    logger.info({ signal: name }, 'stopping');
    setTimeout(() => {
      logger.error({ deadlineMs: STOP_DEADLINE_MS }, 'the stop took too long and was cut');
      process.exit(EXIT_FAILED);
    }, STOP_DEADLINE_MS).unref();
  });
  const service = await starting;
  onStarted?.(service);
  const failure = await Promise.race([
    signal.then(() => null),
    service.ended.then(
      () => null,
      (error: unknown) => ({ error }),
    ),
  ]);
  if (failure !== null) logger.fatal({ err: failure.error }, 'the worker ended by itself: stopping');
  await service.stop();
  logger.info('stopped');
  return failure === null ? 0 : EXIT_FAILED;
}

/** The first signal asks for an orderly stop, the second one ends the process at once. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isStopping) process.exit(EXIT_FAILED);
      isStopping = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
