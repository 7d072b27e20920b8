/** The composition root: wires the parts up for one role, starts them in order and stops them in reverse order. */
import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import type { NativeConnection, Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createActivities } from './activities';
import { createApi } from './api/app';
import { createEventHub } from './api/events/sources';
import { Authenticator } from './api/http/auth';
import { FailedKeys } from './api/http/failed-keys';
import { AutoscaleClient } from './client/autoscale-client';
import { ClusterClient } from './client/cluster-client';
import { DiagnosisClient } from './client/diagnosis-client';
import { PlanClient } from './client/operations/plan-client';
import { HistoryStamps } from './client/operations/history-stamps';
import { SecretSeal } from './client/hook-secrets';
import { HooksClient } from './client/hooks-client';
import { ClusterRestore } from './client/cluster/restore-cluster';
import { createProbe } from './api/http/shard-probe';
import { Listener } from './api/http/listener';
import { LockWatch } from './api/lock-watch';
import { seedClusterLimits } from './api/limit-seed';
import { RouterList } from './api/router-list';
import { RouterLook } from './api/router-look';
import { MapPollers } from './api/map/pollers';
import { MapReader } from './api/map/reader';
import { ClusterLook } from './api/metrics/cluster-look';
import { ApiMetricsPage, MetricsPage, type MetricsPageOptions } from './api/metrics/page';
import { WitnessedMap } from './api/map/witnessed-map';
import { ConfigError, type Config } from './config';
import type { Shard } from './domain/shard-map';
import { listenForMetrics, pageOptions } from './metrics';
import { startTracing } from './spans';
import type { Tracer } from './tracing/tracer';
import { ShardMarks } from './shards/http/shard-marks';
import { Reach, type OwnPort } from './shards/reach/reach';
import { KeyFile } from './shards/reach/key-file';
import { ShardKeys } from './shards/reach/shard-keys';
import type { FoundRouters } from './domain/router-entries';
import { RouterResolver } from './shards/reach/router-resolver';
import { routerMap } from './shards/http/router-client';
import { steadyNowMs } from './shards/steady-clock';
import { WatchRegistry } from './shards/http/watch-registry';
import { connectClient, connectWorker, type ConnectOptions } from './temporal/connection';
import { EmbeddedTemporal } from './temporal/dev-server/embedded';
import { firstState, noFirstState } from './config/first-state';
import { DATA_CONVERTER } from './client/calls/large-payloads';
import { ensureCluster } from './client/cluster/create-cluster';
import { ClusterTraces, type AskRouter } from './client/cluster/survey';
import { Witness } from './client/cluster/witness';
import { WitnessFile } from './client/cluster/witness-file';
import { ensureSearchAttributes } from './temporal/search-attributes';
import { locateTemporalCli } from './temporal/dev-server/temporal-cli';
import { watchStanding } from './temporal/deployment';
import type { CoreMetrics } from './temporal/runtime';
import { createOwnWorker, createWorker } from './temporal/worker';
import { taskQueue, workerTaskQueue } from './contract/ids';
import { InlineEngine, type Engine } from './rows/thread/engine';
import type { ThreadOptions } from './rows/thread/protocol';
import { ThreadEngine } from './rows/thread/thread-engine';

export const SERVICE_ROLES = ['serve', 'api', 'worker'] as const;
/** `serve`: API and worker in one process, with a Temporal of its own when none is configured. */
export type ServiceRole = (typeof SERVICE_ROLES)[number];

export interface Service {
  /** Where the API listens; null without one. */
  readonly url: string | null;
  readonly temporal: { readonly address: string; readonly webUiUrl: string | null };
  /** Rejects with the reason when the service cannot go on. Resolves after a stop. */
  readonly ended: Promise<void>;
  /** In order: refuses new requests, answers those under way, drains the worker, stops the embedded Temporal. */
  stop(): Promise<void>;
}

/** Requests under way get this long. Then those that wait for Temporal are answered with a 503 that says so. */
const REQUESTS_PATIENCE_MS = 2_000;

/** @throws ConfigError, TemporalUnreachableError, ToolMissingError, DevServerError */
export async function startService(
  role: ServiceRole,
  config: Config,
  logger: Logger,
  core: CoreMetrics | null = null,
): Promise<Service> {
  const parts = new Parts(logger);
  if (config.ignoredNames.length > 0) {
    logger.warn(
      { names: config.ignoredNames },
      'these variables name services of Kubernetes and are no settings, so they are ignored (enableServiceLinks: false omits them)',
    );
  }
  try {
    return await assemble(role, config, { core, logger, parts });
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

async function assemble(
  role: ServiceRole,
  config: Config,
  { core, logger, parts }: { core: CoreMetrics | null; logger: Logger; parts: Parts },
): Promise<Service> {
  const { own: ofTemporal, ...temporal } = await findTemporal(role, config, { logger, parts });
  const tracer = await startTracing(role, config, logger);
  if (tracer !== null) parts.add('tracing', () => tracer.close());
  const own = [...ofTemporal, ...(role === 'worker' ? [] : [config.restAddress])];
  if (core !== null) own.push({ host: '127.0.0.1', port: core.port });
  const reach = new Reach({ allowed: config.allowedHosts, own });
  const keys = new ShardKeys(config.shardKeys, { onProblem: warnOfKeys(logger) });
  parts.add('connections to shards', () => reach.close());
  const connect: ConnectOptions = { ...config.temporal, address: temporal.address, logger };
  const connection = await connectClient(connect);
  parts.add('connection', () => connection.close());

  let ended: Promise<void> = parts.stopped;
  if (role !== 'api') {
    const { running } = await startWorker(config, { connection, connect, reach, keys, tracer, logger, parts });
    ended = Promise.race([parts.stopped, running]);
    logger.info({ taskQueue: taskQueue(config.cluster), temporal: temporal.address }, 'working');
  }
  const authenticator = new Authenticator(
    config.apiKeys,
    apiKeyFileOf(config, logger),
    new FailedKeys(config.listenerLimits.failedKeysPerMin),
  );
  const page = pageOptions(role, config, core);
  const show = (metrics: MetricsPage): Promise<void> =>
    showMetrics(config, { metrics, authenticator, logger, reach, parts });
  if (role === 'worker') {
    await show(new MetricsPage(page));
    return { url: null, temporal, ended, stop: () => parts.stop() };
  }
  const { webUiUrl } = temporal;
  const of = { connection, webUiUrl, reach, keys, authenticator, page, show, tracer, logger, parts };
  const url = await startApi(config, of);
  logger.info({ url, webUi: temporal.webUiUrl, cluster: config.cluster }, 'listening');
  return { url, temporal, ended, stop: () => parts.stop() };
}

async function findTemporal(
  role: ServiceRole,
  config: Config,
  { logger, parts }: { logger: Logger; parts: Parts },
): Promise<Service['temporal'] & { readonly own: readonly OwnPort[] }> {
  const { address, namespace } = config.temporal;
  if (address !== null) return { address, webUiUrl: config.webUiUrl, own: [] };
  if (role !== 'serve') {
    throw new ConfigError(
      `TEMPORAL_ADDRESS: expected <host>:<port> of a Temporal server, got nothing: set it, or use serve, which starts one of its own (${role} does not)`,
    );
  }
  const cli = await locateTemporalCli({ report: (line) => logger.info(line) });
  if (config.buildId !== null) {
    throw new ConfigError(
      'COORDINATOR_BUILD_ID: expected TEMPORAL_ADDRESS beside it, got nothing: set it, or leave the build out, because serve with a Temporal of its own is one process and cannot run two builds side by side',
    );
  }
  const embedded = await EmbeddedTemporal.start({ ...config.embedded, cli, namespace, logger });
  parts.add('embedded Temporal', () => embedded.stop());
  logger.info(
    { address: embedded.address, webUi: embedded.uiUrl, dataDir: config.embedded.dataDir },
    'Temporal started',
  );
  const own = [`http://${embedded.address}`, embedded.uiUrl].flatMap((url) => (url === null ? [] : [ownPortOf(url)]));
  return { address: embedded.address, webUiUrl: config.webUiUrl ?? embedded.uiUrl, own };
}

const warnOfKeys = (logger: Logger) => (reason: string) =>
  logger.warn({ reason }, 'a file of keys cannot be read, so the keys that it held before go on: repair it');

function apiKeyFileOf({ apiKeysFile }: Config, logger: Logger): KeyFile | null {
  return apiKeysFile === null ? null : new KeyFile(apiKeysFile, { onProblem: warnOfKeys(logger) });
}

function hookSealOf({ hooksKey }: Config): SecretSeal | null {
  return hooksKey === null ? null : new SecretSeal(hooksKey);
}

/** Where a part of this program listens, which is no shard. */
function ownPortOf(url: string): OwnPort {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port === '' ? 80 : port) };
}

/** Returns when the worker works. `running` rejects when the worker fails. */
async function startWorker(
  config: Config,
  context: {
    connection: Connection;
    connect: ConnectOptions;
    reach: Reach;
    keys: ShardKeys;
    tracer: Tracer | null;
    logger: Logger;
    parts: Parts;
  },
): Promise<{ running: Promise<void> }> {
  const { connection, connect, reach, keys, tracer, logger, parts } = context;
  const { cluster, grpcPortOffset, buildId } = config;
  const { namespace } = config.temporal;
  const native: NativeConnection = await connectWorker(connect);
  parts.add('worker connection', () => native.close());
  const client = new Client({ connection, namespace, dataConverter: DATA_CONVERTER });
  const watches = new WatchRegistry({ reach });
  parts.add('watches over routers', () => watches.closeAll());
  const engine = engineOf(config, reach);
  parts.add('the engine', () => engine.close());
  const ownTaskQueue = workerTaskQueue(cluster, randomUUID());
  const activities = createActivities({
    shardKey: keys,
    grpcPortOffset,
    reach,
    client,
    logger,
    watches,
    engine,
    ownTaskQueue,
    hookSeal: hookSealOf(config),
    spoolFolder: config.spoolFolder,
  });
  const workerParts = { connection: native, namespace, cluster, activities, buildId, tracer };
  const workers: Worker[] = [await createWorker(workerParts), await createOwnWorker(workerParts, ownTaskQueue)];
  const running = Promise.all(workers.map((worker) => worker.run())).then(() => undefined);
  parts.add('worker', async () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
  });
  const stopping = new AbortController();
  parts.add('look at the current build', () => Promise.resolve(stopping.abort()));
  void watchStanding({ connection, namespace, cluster, buildId, logger, signal: stopping.signal });
  return { running };
}

/** Rows are read and written in a thread of their own, so that they hold up neither the map nor a heartbeat. */
function engineOf({ shardKeys: key, grpcPortOffset, spoolFolder }: Config, reach: Reach): Engine {
  const options: ThreadOptions = { key, grpcPortOffset, spoolFolder, reach: reach.options };
  return ThreadEngine.isBuilt ? new ThreadEngine(options) : new InlineEngine(options);
}

/** At the address that is for metrics alone, if there is one. */
async function showMetrics(
  config: Config,
  { reach, parts, ...deps }: Parameters<typeof listenForMetrics>[1] & { reach: Reach; parts: Parts },
): Promise<void> {
  const listener = await listenForMetrics(config, deps);
  if (listener === null) return;
  reach.addOwn(ownPortOf(listener.url));
  parts.add('listener of the metrics', () => listener.close(0, () => undefined));
}

async function startApi(
  config: Config,
  context: {
    connection: Connection;
    webUiUrl: string | null;
    reach: Reach;
    keys: ShardKeys;
    authenticator: Authenticator;
    page: MetricsPageOptions;
    show: (metrics: MetricsPage) => Promise<void>;
    tracer: Tracer | null;
    logger: Logger;
    parts: Parts;
  },
): Promise<string> {
  const { connection, webUiUrl, reach, keys, authenticator, page, show, tracer, logger, parts } = context;
  const { cluster, routerUrls, routersFailClosed, scanStopMaxMs, timings } = config;
  const { namespace } = config.temporal;
  const searchAttributes = await ensureSearchAttributes({ connection, namespace, logger });
  const stopping = new AbortController();
  const temporal = { connection, namespace, cluster, stopping: stopping.signal, logger };
  const file = config.publishedFile === null ? null : new WitnessFile(config.publishedFile, logger);
  const witness = new Witness({ ...temporal, file });
  const askRouter: AskRouter = (url, untilMs) =>
    routerMap(url, keys, { deadlineMs: steadyNowMs() + untilMs - Date.now() }, reach.dispatcher);
  const resolver = new RouterResolver(reach);
  const findRouters = (entries: readonly string[]): Promise<FoundRouters> => resolver.find(entries);
  // The client needs the traces, and the list needs the client.
  let list: Pick<RouterList, 'lastKnown'> = { lastKnown: routerUrls };
  const traces = new ClusterTraces({ ...temporal, witness, routerUrls: () => findRouters(list.lastKnown), askRouter });
  const ensured = await ensureCluster({ ...temporal, firstState: () => firstState(config), traces });
  if (ensured === 'unconfigured') throw noFirstState(cluster);
  if (config.apiKeys.length === 0 && config.apiKeysFile === null) {
    logger.warn('running without keys (QUIVER_INSECURE): every caller may do everything');
  }
  const settings = { routerUrls, routersFailClosed, scanStopMaxMs, timings, searchAttributes };
  const client = new ClusterClient({ ...temporal, traces, recoverWith: settings });
  const autoscale = new AutoscaleClient({ ...temporal, client, seed: config.autoscale, settings });
  const planner = new PlanClient({ ...temporal, client });
  const witnessedMap = new WitnessedMap({ client, witness, logger });
  const restore = new ClusterRestore({ ...temporal, traces, witness });
  const pollers = new MapPollers();
  const addressesOf = (url: string): Promise<readonly string[]> => resolver.addressesOf(url);
  const routers = new RouterList({ seed: routerUrls, client, findRouters, addressesOf, askRouter, pollers, logger });
  list = routers;
  const routerLook = new RouterLook({ list: routers, askRouter, client, logger });
  const look = (): Promise<unknown> => Promise.all([client.lookAfterLock(settings), routerLook.look()]);
  const lockWatch = new LockWatch({ look, logger });
  const mapReader = new MapReader({ queryMap: () => witnessedMap.readMap(), maxAgeMs: config.mapMaxAgeMs });
  const marks = new ShardMarks({
    key: keys,
    grpcPortOffset: config.grpcPortOffset,
    dispatcher: reach.dispatcher,
  });
  const pointsOf = (shard: Shard): Promise<number | null> => marks.rows(shard);
  const clusterLook = new ClusterLook({ client, mapReader, pointsOf, routers: routerLook, witness: witnessedMap });
  const metrics = new ApiMetricsPage({ ...page, look: clusterLook });
  const stamps = new HistoryStamps({ ...temporal, traces });
  const events = createEventHub({ client, mapReader, stamps, cluster, namespace, webUiUrl, logger });
  const api = createApi({
    cluster,
    namespace,
    client,
    planner,
    diagnosis: new DiagnosisClient({ ...temporal, client }),
    autoscale,
    mapReader,
    authenticator,
    probeShard: createProbe({ dispatcher: reach.dispatcher }),
    marks,
    metrics,
    pollers,
    routers,
    requireAllowed: (urls) => reach.requireAllowed(urls),
    settings,
    lockWatch,
    restoreCluster: (given) => restore.restore(given),
    events,
    hooks: { client: new HooksClient(temporal), seal: hookSealOf(config) },
    webUiUrl,
    tracer,
    logger,
  });
  const listener = await Listener.listen(config.restAddress, api, config.listenerLimits);
  reach.addOwn(ownPortOf(listener.url));
  const endStreams = (): void => events.close();
  parts.add('listener', () => listener.close(REQUESTS_PATIENCE_MS, () => stopping.abort(), endStreams));
  await show(metrics);
  const starting = new AbortController();
  parts.add('what an API does at its start', () => Promise.resolve(starting.abort()));
  void routers.start(starting.signal);
  void seedClusterLimits({ seed: config.limits, client, logger }, starting.signal);
  void autoscale.start(starting.signal).then(() => autoscale.watch(starting.signal));
  return listener.url;
}

/** The parts that were started. They stop in reverse order, each one even when another one fails to. */
class Parts {
  readonly stopped: Promise<void>;
  private readonly logger: Logger;
  private readonly stops: { readonly name: string; readonly stop: () => Promise<void> }[] = [];
  private markStopped: () => void = () => undefined;
  private stopping: Promise<void> | null = null;

  constructor(logger: Logger) {
    this.logger = logger;
    this.stopped = new Promise((resolve) => {
      this.markStopped = resolve;
    });
  }

  add(name: string, stop: () => Promise<void>): void {
    this.stops.push({ name, stop });
  }

  stop(): Promise<void> {
    this.stopping ??= this.stopAll();
    return this.stopping;
  }

  private async stopAll(): Promise<void> {
    for (const { name, stop } of this.stops.reverse()) {
      try {
        await stop();
      } catch (error) {
        this.logger.warn({ err: error, part: name }, 'a part did not stop cleanly');
      }
    }
    this.markStopped();
  }
}
