/**
 * A whole cluster on real parts: Quiver shards and a router, Temporal, the built product as child processes, clients that write and
 * delete all the while, and a reader of the map that must never see a version go back.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import type { OperationView } from '../../src/wire/coordinator-api';
import { operationIdOf } from '../../src/contract/ids';
import { startCoordinator, type CoordinatorProcess } from './coordinator-process';
import { freePort } from './free-port';
import { quiverBinary, routerEnvironment, startQuiver, type RealQuiver } from './real-quiver';
import { RegisterCheck, type CheckedCollection, type RegisterReport } from './register-check';
import type { TemporalTarget } from './temporal';
import { waitFor } from './wait-for';
import { ShardProxy } from './shard-proxy';

const KEY = 'e2e-key';
const MAP_POLL_MS = 50;
/** As the guides have it: a router that has not polled yet refuses everything. */
const DEAD_SEED = 'http://127.0.0.1:9';
const OPERATION_TIMEOUT_MS = 150_000;

/** Two collections: one as everybody has them, one with what trips over URLs, escapes and byte order. */
export const COLLECTIONS: readonly CheckedCollection[] = [
  { name: 'docs', dim: 32, metric: 'l2', index: 'hnsw', ids: 'plain', points: 6_000 },
  { name: 'odd.ones-1', dim: 8, metric: 'cosine', index: 'hnsw', ids: 'pathological', points: 2_000 },
];

export interface ClusterOptions {
  /** Of all clients together, default 120. */
  readonly requestsPerSecond?: number;
  /** Null: the product runs as `serve` and brings its own. Else it runs as an `api` and a `worker` process. */
  readonly temporal: TemporalTarget | null;
  /** How much longer each request of the coordinator to a shard takes, once the clients run. */
  readonly shardDelayMs?: number;
  /** Shards that the cluster begins with. Default 2. */
  readonly shards?: number;
  /** What the router serves before its first poll: the cluster's shards, or an address where nothing is. Default 'live'. */
  readonly routerSeeds?: 'live' | 'dead';
  readonly env?: Readonly<Record<string, string>>;
}

/** A shard process and the address that the cluster knows it by. */
export interface Member {
  readonly quiver: RealQuiver;
  readonly proxy: ShardProxy | null;
  readonly url: string;
}

export interface OperationCall {
  readonly operationId: string;
  /** The map that the call was answered with. A call whose answer did not come is repeated with the same key. */
  readonly answered: Promise<ShardMap>;
}

export class ClusterUnderTest {
  readonly check: RegisterCheck;
  readonly map: MapWatch;
  readonly donors: readonly Member[];
  readonly joiner: Member;
  readonly api: CoordinatorProcess;
  /** The same process as `api` where the product runs as `serve`. */
  readonly worker: CoordinatorProcess;
  readonly router: RealQuiver;
  private readonly dir: string;
  private readonly env: Readonly<Record<string, string>>;
  private readonly others: CoordinatorProcess[] = [];
  private readonly watches: MapWatch[];

  private constructor(parts: {
    dir: string;
    env: Readonly<Record<string, string>>;
    members: readonly Member[];
    router: RealQuiver;
    api: CoordinatorProcess;
    worker: CoordinatorProcess;
    requestsPerSecond: number | undefined;
  }) {
    const [joiner, ...donors] = parts.members;
    if (joiner === undefined) throw new Error('a cluster under test has a joiner');
    this.dir = parts.dir;
    this.env = parts.env;
    this.joiner = joiner;
    this.donors = donors;
    this.router = parts.router;
    this.api = parts.api;
    this.worker = parts.worker;
    this.map = new MapWatch(parts.api.url, KEY);
    this.watches = [this.map];
    this.check = new RegisterCheck({
      routerUrl: parts.router.url,
      key: KEY,
      collections: COLLECTIONS,
      clients: 6,
      requestsPerSecond: parts.requestsPerSecond ?? 120,
      // The campaign's seed decides the clients' requests too.
      seed: Number(process.env['CAMPAIGN_SEED'] ?? '1') || 1,
    });
  }

  /** Prefilled, with its clients running. What was started is ended again when something of it does not start. */
  static async start(options: ClusterOptions): Promise<ClusterUnderTest> {
    const dir = await mkdtemp(join(tmpdir(), 'cluster-under-test-'));
    const started: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })];
    try {
      const cluster = await ClusterUnderTest.startParts(options, dir, started);
      await cluster.check.prefill();
      for (const { proxy } of [cluster.joiner, ...cluster.donors]) {
        if (proxy !== null) proxy.delayMs = options.shardDelayMs ?? 0;
      }
      cluster.check.start();
      cluster.map.start();
      return cluster;
    } catch (error) {
      for (const end of started.reverse()) await end();
      throw error;
    }
  }

  private static async startParts(
    options: ClusterOptions,
    dir: string,
    started: (() => Promise<unknown>)[],
  ): Promise<ClusterUnderTest> {
    const members: Member[] = [];
    const donors = Array.from({ length: options.shards ?? 2 }, (_, id) => `donor${id}`);
    for (const name of ['joiner', ...donors]) {
      const member = await startMember(join(dir, name), options.shardDelayMs !== undefined);
      started.push(() => endMember(member));
      members.push(member);
    }
    const shardUrls = members.slice(1).map((member) => member.url);
    const [routerPort, apiPort] = [await freePort(), await freePort()];
    const env = environment({ options, dir, shardUrls, routerPort, apiPort });
    // Side by side: an API is not ready before a worker answers its query for the map.
    const roles = options.temporal === null ? (['serve'] as const) : (['api', 'worker'] as const);
    const starting = roles.map((role) => startCoordinator({ role, env }));
    started.push(() => Promise.allSettled(starting.map(async (each) => (await each).kill())));
    const [api, worker = api] = await Promise.all(starting);
    if (api === undefined || worker === undefined) throw new Error('one process or two were started');
    const router = await startQuiver({
      role: 'router',
      binary: quiverBinary() ?? '',
      dataDir: join(dir, 'router'),
      keys: [KEY],
      port: routerPort,
      env: routerEnvironment({
        shards: options.routerSeeds === 'dead' ? [DEAD_SEED] : shardUrls,
        coordinatorUrl: api.url,
        shardKey: KEY,
      }),
    });
    started.push(() => router.kill());
    await waitFor('the router holds the map', async () => (await heldVersion(router.url)) > 0);
    const { requestsPerSecond } = options;
    return new ClusterUnderTest({ requestsPerSecond, dir, env, members, router, api, worker });
  }

  /** One more process of the same cluster beside the first of its role. */
  async startAnother(role: 'api' | 'worker'): Promise<CoordinatorProcess> {
    const env = { ...this.env, QUIVER_REST_ADDR: `127.0.0.1:${await freePort()}` };
    const other = await startCoordinator({ role, env });
    this.others.push(other);
    return other;
  }

  /** One more reader of the map, of one more API. */
  watchMap(api: CoordinatorProcess): MapWatch {
    const watch = new MapWatch(api.url, KEY);
    watch.start();
    this.watches.push(watch);
    return watch;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.watches.map((watch) => watch.stop()));
    await this.check.close();
    await Promise.all([this.api, this.worker, this.router, ...this.others].map((each) => each.kill()));
    for (const member of [this.joiner, ...this.donors]) await endMember(member);
    await rm(this.dir, { recursive: true, force: true });
  }

  // ---- What an operator does ----

  /** By the joiner. */
  grow(): OperationCall {
    return this.begin('grow', '/cluster/shards/grow', { primary_url: this.joiner.url });
  }

  drain(shardId: number): OperationCall {
    return this.begin('drain', `/cluster/shards/${shardId}/drain`, {});
  }

  private begin(kind: 'grow' | 'drain', path: string, body: object): OperationCall {
    const key = randomUUID();
    const post = () => this.post(path, key, body);
    const answered = waitFor(`the ${kind} is answered`, post, OPERATION_TIMEOUT_MS);
    // Tests that do not look at the answer look at the operation.
    answered.catch(() => undefined);
    return { operationId: operationIdOf(kind, key), answered };
  }

  /** Null: no answer yet, or one that says that a repeat may help. */
  private async post(path: string, key: string, body: object): Promise<ShardMap | null> {
    const reply = await this.call('POST', path, {
      headers: { 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    if (reply.ok) return (await reply.json()) as ShardMap;
    if (reply.status >= 500) return null;
    // Waiting would not change it: a map that no test expects ends the wait.
    throw new Error(`POST ${path} was refused: ${reply.status} ${await reply.text()}`);
  }

  /** An operation that answers with its id: a check or a repair. Returns how it ended. */
  async operate(path: string, body: object = {}): Promise<OperationView> {
    const headers = { 'idempotency-key': randomUUID() };
    const reply = await this.call('POST', path, { headers, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`POST ${path} was refused: ${reply.status} ${await reply.text()}`);
    return this.ends(((await reply.json()) as { operation: string }).operation);
  }

  async cancel(operationId: string): Promise<Response> {
    return this.call('POST', `/cluster/operations/${operationId}/cancel`, {});
  }

  async operation(operationId: string): Promise<OperationView | null> {
    const reply = await this.call('GET', `/cluster/operations/${operationId}`, {});
    return reply.ok ? ((await reply.json()) as OperationView) : null;
  }

  /** Resolves as soon as the phase has been entered; the operation may be further already when the phase is a short one. */
  enters(operationId: string, phase: string): Promise<OperationView> {
    return this.awaitOperation(operationId, `the operation enters ${phase}`, (view) =>
      view.phases.some((each) => each.phase === phase),
    );
  }

  /** What the operation itself says at its end; an API that cannot ask it in time answers from its record, which knows less. */
  ends(operationId: string): Promise<OperationView> {
    return this.awaitOperation(
      operationId,
      'the operation ends',
      (view) => view.status !== 'running' && view.phases.length > 0,
    );
  }

  private async awaitOperation(
    operationId: string,
    what: string,
    isThere: (view: OperationView) => boolean,
  ): Promise<OperationView> {
    let last: OperationView | null = null;
    try {
      return await waitFor(
        what,
        async () => {
          const view = await this.operation(operationId);
          last = view ?? last;
          return view !== null && isThere(view) ? view : null;
        },
        OPERATION_TIMEOUT_MS,
      );
    } catch (error) {
      const seen = `it was last seen as ${JSON.stringify(last)}; the worker warned: ${this.worker.warnings()}`;
      throw new Error(`waited in vain until ${what}; ${seen}`, { cause: error });
    }
  }

  async currentMap(): Promise<ShardMap> {
    const reply = await this.call('GET', '/cluster/map', {});
    if (!reply.ok) throw new Error(`GET /cluster/map: ${reply.status}`);
    return (await reply.json()) as ShardMap;
  }

  call(
    method: string,
    path: string,
    init: { headers?: Record<string, string>; body?: string } = {},
    { url }: CoordinatorProcess = this.api,
  ): Promise<Response> {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...init.headers };
    return fetch(`${url}${path}`, { method, ...init, headers, signal: AbortSignal.timeout(30_000) });
  }

  // ---- What must be true afterwards ----

  /** Lets the clients do some of everything, if they have not yet, stops them and holds every id against what was acknowledged. */
  async verify(throughRouter: 'every' | 'written' = 'written'): Promise<RegisterReport> {
    const { counts } = this.check;
    await waitFor(
      'the clients have written, deleted and read enough',
      () => counts.pointsWritten > 200 && counts.pointsDeleted > 100 && counts.reads > 40,
    );
    await this.check.stop();
    const map = await this.currentMap();
    const members = [this.joiner, ...this.donors];
    const idAt = (url: string): number => map.shards.find((shard) => shard.primary_url === url)?.id ?? NOT_IN_MAP;
    // The shards are read past their proxies: what counts is what they hold.
    const shards = members.map((member) => ({ id: idAt(member.url), url: member.quiver.url }));
    return this.check.verify({ shards, placement: placementSpec(map), throughRouter });
  }

  joinersCollections(): Promise<unknown> {
    return this.collectionsOf(this.joiner);
  }

  async collectionsOf(member: Member): Promise<unknown> {
    const headers = { authorization: `Bearer ${KEY}` };
    return (await fetch(`${member.quiver.url}/v1/collections`, { headers })).json();
  }

  /** The operations as the cluster remembers them, newest first. */
  async operations(): Promise<readonly OperationView[]> {
    const reply = await this.call('GET', '/cluster/operations');
    if (!reply.ok) throw new Error(`GET /cluster/operations: ${reply.status}`);
    return ((await reply.json()) as { operations: OperationView[] }).operations;
  }
}

async function heldVersion(routerUrl: string): Promise<number> {
  const reply = await fetch(`${routerUrl}/cluster/map`, { headers: { authorization: `Bearer ${KEY}` } });
  return ((await reply.json()) as ShardMap).version;
}

/** No shard has this id, so that every point on such a shard is misplaced. */
const NOT_IN_MAP = -1;

async function startMember(dataDir: string, isProxied: boolean): Promise<Member> {
  const quiver = await startQuiver({ role: 'shard', binary: quiverBinary() ?? '', dataDir, keys: [KEY] });
  if (!isProxied) return { quiver, proxy: null, url: quiver.url };
  const proxy = new ShardProxy(quiver.url);
  await proxy.listen();
  return { quiver, proxy, url: proxy.url };
}

async function endMember({ quiver, proxy }: Member): Promise<void> {
  await quiver.kill();
  await proxy?.stop();
}

function environment(cluster: {
  options: ClusterOptions;
  dir: string;
  shardUrls: readonly string[];
  routerPort: number;
  apiPort: number;
}): Record<string, string> {
  const { options, dir, shardUrls, routerPort, apiPort } = cluster;
  return {
    QUIVER_REST_ADDR: `127.0.0.1:${apiPort}`,
    QUIVER_CLUSTER_SHARDS: `[${shardUrls.join(',')}]`,
    QUIVER_CLUSTER_SHARD_KEY: KEY,
    QUIVER_API_KEYS: KEY,
    COORDINATOR_CLUSTER: `e2e-${randomUUID()}`,
    COORDINATOR_ROUTER_URLS: `http://127.0.0.1:${routerPort}`,
    COORDINATOR_ATTEMPT_MS: '10000',
    COORDINATOR_SETTLE_MS: '200',
    // While clients write, an index may never get built on a busy machine; what these tests ask for does not depend on it.
    COORDINATOR_WARM_UP_MS: '10000',
    COORDINATOR_DATA_DIR: join(dir, 'temporal'),
    COORDINATOR_TEMPORAL_PORT: '0',
    COORDINATOR_TEMPORAL_UI_PORT: '0',
    ...(options.temporal === null
      ? {}
      : { TEMPORAL_ADDRESS: options.temporal.address, TEMPORAL_NAMESPACE: options.temporal.namespace }),
    ...(process.env['TEMPORAL_CLI'] === undefined ? {} : { TEMPORAL_CLI: process.env['TEMPORAL_CLI'] }),
    ...options.env,
  };
}

/** Reads the map all the while, as routers do. INV-1: a version never goes back, and one version is one map. */
export class MapWatch {
  readonly versions: number[] = [];
  /** What must not have happened, in words. */
  readonly faults: string[] = [];
  /** Set while the API is not meant to answer. */
  isApiDown = false;
  private readonly url: string;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly maps = new Map<number, string>();
  private isStopped = false;
  private running: Promise<void> = Promise.resolve();

  constructor(url: string, key: string) {
    this.url = url;
    this.headers = { authorization: `Bearer ${key}` };
  }

  start(): void {
    this.running = this.watch();
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    await this.running;
  }

  private async watch(): Promise<void> {
    while (!this.isStopped) {
      await this.read();
      await new Promise((resolve) => setTimeout(resolve, MAP_POLL_MS));
    }
  }

  private async read(): Promise<void> {
    const wasDown = this.isApiDown;
    try {
      const reply = await fetch(`${this.url}/cluster/map`, {
        headers: this.headers,
        signal: AbortSignal.timeout(10_000),
      });
      const body = await reply.text();
      if (reply.status === 200) this.note(body);
      else if (!wasDown && !this.isApiDown)
        this.faults.push(`GET /cluster/map was answered with ${reply.status}: ${body}`);
    } catch (error) {
      if (!wasDown && !this.isApiDown) this.faults.push(`GET /cluster/map was not answered: ${String(error)}`);
    }
  }

  private note(body: string): void {
    const { version } = JSON.parse(body) as ShardMap;
    const last = this.versions.at(-1) ?? -1;
    if (version < last) this.faults.push(`the version went back from ${last} to ${version}`);
    if (version > last) this.versions.push(version);
    const known = this.maps.get(version) ?? body;
    if (known !== body) this.faults.push(`version ${version} was two different maps`);
    this.maps.set(version, known);
  }
}
