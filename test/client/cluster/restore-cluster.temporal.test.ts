/** Lost, terminated and rewound clusters: the API, put together as in service.ts, on a real Temporal with the real workflows. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Connection } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import { connectTo } from '../../support/temporal';
import { DefaultLogger, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { createActivities } from '../../../src/activities';
import type { ClusterTransition } from '../../../src/contract/cluster';
import { ClusterClient } from '../../../src/client/cluster-client';
import { ClusterRestore } from '../../../src/client/cluster/restore-cluster';
import { MapReader } from '../../../src/api/map/reader';
import { WitnessedMap } from '../../../src/api/map/witnessed-map';
import { DEFAULT_POLICY } from '../../../src/domain/autoscale-policy';
import { EPOCHS_LEFT_OUT } from '../../../src/domain/members';
import type { ClusterState } from '../../../src/domain/cluster-state';
import { DEFAULT_TIMINGS } from '../../../src/domain/limits';
import type { ShardMap } from '../../../src/domain/shard-map';
import { routerMap } from '../../../src/shards/http/router-client';
import { startDevServer, type DevServer } from '../../../src/temporal/dev-server/dev-server';
import { ensureCluster, type EnsuredCluster } from '../../../src/client/cluster/create-cluster';
import { firstState } from '../../../src/config/first-state';
import { ClusterTraces } from '../../../src/client/cluster/survey';
import { Witness } from '../../../src/client/cluster/witness';
import { WitnessFile } from '../../../src/client/cluster/witness-file';
import { locateTemporalCli } from '../../../src/temporal/dev-server/temporal-cli';
import { createWorker } from '../../../src/temporal/worker';
import { restoreAnswerSchema } from '../../../src/wire/restore';
import { clusterWorkflowId, witnessWorkflowId } from '../../../src/contract/ids';
import { startRouter, type InProcessRouter } from '../../support/in-process-router';
import { waitFor } from '../../support/wait-for';
import { ApiServer, KEYS, STATE } from '../../support/api-server';

const { ResetReapplyExcludeType } = proto.api.enums.v1;

interface Temporal {
  readonly server: DevServer;
  readonly connection: Connection;
  readonly native: NativeConnection;
  readonly client: Client;
  stop(): Promise<void>;
}

async function startTemporal(): Promise<Temporal> {
  const cli = await locateTemporalCli({ report: (line) => process.stderr.write(`${line}\n`) });
  const server = await startDevServer({ cli, dbFile: null, port: 0, uiPort: null, namespace: 'default' });
  const connection = await connectTo(server.address);
  const native = await NativeConnection.connect({ address: server.address });
  const stop = async (): Promise<void> => {
    await connection.close();
    await native.close();
    await server.stop();
  };
  return { server, connection, native, client: new Client({ connection }), stop };
}

let temporal: Temporal;
/** As empty as one whose namespace was wiped. */
let wiped: Temporal;
let dir: string;
let clusters = 0;
const closing: (() => Promise<unknown>)[] = [];
const logger = pino({ level: 'silent' });

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  [temporal, wiped] = await Promise.all([startTemporal(), startTemporal()]);
});
afterAll(async () => {
  await Promise.all([temporal.stop(), wiped.stop()]);
});
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'restore-'));
  clusters += 1;
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(dir, { recursive: true, force: true });
});

const at = (name: string) => ({ primary_url: `http://${name}:6333`, replica_urls: [] });

interface System {
  readonly api: ApiServer;
  readonly client: ClusterClient;
  readonly ensured: EnsuredCluster;
  readonly cluster: string;
  readonly file: string;
  readonly temporal: Client;
}

interface SystemOptions {
  readonly on?: Temporal;
  readonly routers?: readonly InProcessRouter[];
  readonly worker?: boolean;
  readonly seedShards?: readonly { primary_url: string; replica_urls: string[] }[];
}

/** What `serve` starts, for the cluster of this test, which may exist already. */
async function serve(options: SystemOptions = {}): Promise<System> {
  const { on = temporal, routers = [], seedShards = [at('s0'), at('s1')] } = options;
  const { connection, native, client } = on;
  const cluster = `restore-${clusters}`;
  const stopping = new AbortController();
  closing.push(async () => stopping.abort());
  if (options.worker !== false) await work(cluster, { native, client });
  const parts = { connection, namespace: 'default', cluster, stopping: stopping.signal, logger };
  const file = join(dir, `published-${cluster}.json`);
  const witness = new Witness({ ...parts, file: new WitnessFile(file, logger) });
  const routerUrls = routers.map((router) => router.url);
  const traces = new ClusterTraces({
    ...parts,
    witness,
    routerUrls,
    askRouter: (url, deadlineMs) => routerMap(url, 'key-of-routers', { deadlineMs }),
  });
  const ensured = await ensureCluster({
    ...parts,
    firstState: () => firstState({ seedShards, stateFile: null }),
    traces,
  });
  const settings = { routerUrls, timings: DEFAULT_TIMINGS, searchAttributes: false };
  const clusterClient = new ClusterClient({ ...parts, traces, recoverWith: settings });
  const witnessedMap = new WitnessedMap({ client: clusterClient, witness, logger });
  const restore = new ClusterRestore({ ...parts, traces, witness });
  const api = await ApiServer.start({
    cluster,
    client: clusterClient,
    settings,
    mapReader: new MapReader({ queryMap: () => witnessedMap.readMap() }),
    restoreCluster: (given) => restore.restore(given),
  });
  closing.push(() => api.close());
  return { api, client: clusterClient, ensured, cluster, file, temporal: client };
}

async function work(cluster: string, { native, client }: Pick<Temporal, 'native' | 'client'>): Promise<void> {
  const activities = createActivities({ shardKey: null, client, logger });
  const worker: Worker = await createWorker({ connection: native, namespace: 'default', cluster, activities });
  const run = worker.run();
  closing.push(async () => {
    worker.shutdown();
    await run;
  });
}

const mapOf = async ({ api }: System): Promise<ShardMap> => {
  const answer = await api.call('/cluster/map');
  expect(answer).toMatchObject({ status: 200 });
  return answer.json as unknown as ShardMap;
};

const add = async ({ api }: System, name: string): Promise<ShardMap> => {
  const answer = await api.call('/cluster/shards', { method: 'POST', body: at(name) });
  expect(answer.status).toBe(200);
  return answer.json as unknown as ShardMap;
};

const restore = ({ api }: System, body: unknown, key: string = KEYS.admin) =>
  api.call('/cluster/restore', { method: 'POST', body, key });

const terminate = ({ temporal: client, cluster }: System): Promise<unknown> =>
  client.workflow.getHandle(clusterWorkflowId(cluster)).terminate('by a test');

const byOperation = (operationId: string): ClusterTransition[] => [
  { type: 'reserve', operationId, request: { kind: 'grow', shards: [at('joiner')], fromStandby: false } },
  { type: 'announce', operationId },
];

describe('a cluster whose workflow was terminated', () => {
  it('is not ready and says what to do, while its last map is served as stale', async () => {
    const system = await serve();
    const map = await mapOf(system);
    await terminate(system);
    const ready = await system.api.call('/readyz', { key: null });
    expect(ready).toMatchObject({ status: 503, json: { code: 'ClusterClosed' } });
    expect(ready.json['detail']).toContain('POST /cluster/restore');
    const stale = await system.api.call('/cluster/map');
    expect(stale.json).toEqual(map);
    expect(stale.headers.get('coordinator-map-stale')).toMatch(/reason=ClusterClosed/);
  });

  it('is not begun at version 0 by the next start, and a restore brings map, ids, lock, records and policy back, one version above', async () => {
    const first = await serve();
    await add(first, 's2');
    await first.client.applyTransition({ type: 'replacePolicy', policy: { ...DEFAULT_POLICY, highWaterPoints: 7 } });
    for (const transition of byOperation('grow-a')) await first.client.applyTransition(transition);
    const before: ClusterState = await first.client.queryState();
    await terminate(first);

    const system = await serve({ worker: false });
    expect(system.ensured).toBe('closed');
    expect(await system.api.call('/readyz')).toMatchObject({ status: 503, json: { code: 'ClusterClosed' } });
    expect((await system.api.call('/cluster/map')).status).toBe(503);

    const answer = await restore(system, { last_known: true });
    expect(answer.status).toBe(200);
    expect(restoreAnswerSchema.parse(answer.json)).toMatchObject({
      map: { ...before.map, version: before.map.version + 1 },
      next_id: before.nextId,
      source: expect.stringContaining('cluster workflow'),
      note: expect.stringContaining('Operation grow-a holds the lock'),
    });
    expect(await system.client.queryState()).toEqual({
      ...before,
      epoch: before.epoch + EPOCHS_LEFT_OUT,
      map: { ...before.map, version: before.map.version + 1 },
    });
    expect((await system.api.call('/readyz')).status).toBe(200);
    expect(await mapOf(system)).toEqual(answer.json['map']);
  });

  it('is restored by one of several restores at once, and by none while it runs', async () => {
    const system = await serve();
    await mapOf(system);
    expect(await restore(system, { last_known: true })).toMatchObject({ status: 409, json: { code: 'ClusterExists' } });
    await terminate(system);
    const answers = await Promise.all(Array.from({ length: 3 }, () => restore(system, { last_known: true })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409]);
    const refused = answers.filter(({ status }) => status === 409).map(({ json }) => json['code']);
    expect(refused).toEqual(['ClusterExists', 'ClusterExists']);
    expect((await mapOf(system)).version).toBe(2);
  });

  it('takes a state from the request, above every version and id that is known', async () => {
    const system = await serve();
    await add(system, 's2');
    await mapOf(system);
    await terminate(system);
    const given = { next_id: 1, map: { version: 0, shards: [{ id: 0, ...at('S9') }], joining: [], leaving: [] } };
    const answer = await restore(system, { state: given });
    expect(answer.json).toMatchObject({
      map: { version: 3, shards: [{ id: 0, primary_url: 'http://s9:6333' }] },
      next_id: 3,
      source: 'request',
    });
    expect((await add(system, 's4')).shards.map(({ id }) => id)).toEqual([0, 3]);
    expect((await mapOf(system)).version).toBe(4);
  });

  it('is restored from the witness when its own history is gone', async () => {
    const system = await serve();
    await add(system, 's2');
    const map = await mapOf(system);
    const { workflowService } = temporal.connection;
    const workflowExecution = { workflowId: clusterWorkflowId(system.cluster) };
    await workflowService.deleteWorkflowExecution({ namespace: 'default', workflowExecution });
    await waitFor('it is gone', async () => {
      const { json } = await system.api.call('/readyz');
      return json['code'] === 'ClusterLost';
    });
    const answer = await restore(system, { last_known: true });
    expect(answer.json).toMatchObject({ map: { ...map, version: 3 }, next_id: 3 });
    expect(answer.json['source']).toContain(witnessWorkflowId(system.cluster));
    expect(answer.json['note']).toContain('the autoscale policy comes from the settings again');
  });
});

describe('a cluster workflow that was reset', () => {
  /** To its first task: everything after it is forgotten, unless Temporal is left to repeat the updates, as it does by default. */
  async function rewind({ temporal: client, cluster }: System, { repeatsUpdates = false } = {}): Promise<void> {
    const workflowId = clusterWorkflowId(cluster);
    const { events = [] } = await client.workflow.getHandle(workflowId).fetchHistory();
    const first = events!.find((event) => event.workflowTaskCompletedEventAttributes != null);
    await temporal.connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
      reason: 'by a test',
      requestId: `${cluster}-${Date.now()}`,
      workflowTaskFinishEventId: first!.eventId!,
      resetReapplyExcludeTypes: repeatsUpdates ? [] : [ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE],
    });
  }

  it('is noticed by the next read of the map and pushed past the witness, with no id given out again', async () => {
    const system = await serve();
    await mapOf(system);
    await add(system, 's2');
    await system.api.call('/cluster/shards/2', { method: 'DELETE' });
    const changed = await add(system, 's3');
    await mapOf(system);
    expect(changed.version).toBe(4);

    await rewind(system);
    expect((await system.client.queryMap()).version).toBe(1);
    const served = await mapOf(system);
    expect(served).toEqual({ ...changed, version: 5 });
    expect((await add(system, 's4')).shards.map(({ id }) => id)).toEqual([0, 1, 3, 4]);
  });

  it('is as it was when Temporal repeats its updates, and nothing is pushed', async () => {
    const system = await serve();
    await add(system, 's2');
    await system.api.call('/cluster/shards/2', { method: 'DELETE' });
    const changed = await add(system, 's3');
    await mapOf(system);
    await rewind(system, { repeatsUpdates: true });
    expect(await mapOf(system)).toEqual(changed);
    expect((await add(system, 's4')).version).toBe(changed.version + 1);
  });

  it('is noticed before a change is made on top of it', async () => {
    const system = await serve();
    await add(system, 's2');
    await mapOf(system);
    await rewind(system);
    const changed = await add(system, 's3');
    expect(changed).toMatchObject({ version: 4, shards: [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }] });
  });

  it('is noticed by an API that has served nothing yet', async () => {
    const first = await serve();
    await add(first, 's2');
    await mapOf(first);
    await rewind(first);
    expect((await mapOf(await serve({ worker: false }))).version).toBe(3);
  });
});

describe('a cluster whose namespace was wiped', () => {
  /** A router that was given `map`, and whose coordinator is gone. */
  async function routerHolding(map: ShardMap): Promise<InProcessRouter> {
    const coordinator = await ApiServer.start();
    coordinator.client.state = { ...STATE, map };
    const options = { coordinatorUrl: coordinator.url, shardUrls: [], shardKey: KEYS.read, pollMs: 60_000 };
    const router = await startRouter(options);
    await coordinator.close();
    closing.push(() => router.stop());
    expect(router.map).toEqual(map);
    return router;
  }
  const MAP_7: ShardMap = {
    version: 7,
    shards: [
      { id: 0, ...at('s0') },
      { id: 4, ...at('s4') },
    ],
    joining: [],
    leaving: [],
  };

  it('is not created from the settings when a router holds a later map, and is restored from that, one version above', async () => {
    const system = await serve({ on: wiped, routers: [await routerHolding(MAP_7)] });
    expect(system.ensured).toBe('lost');
    const ready = await system.api.call('/readyz');
    expect(ready).toMatchObject({ status: 503, json: { code: 'ClusterLost' } });
    expect(ready.json['detail']).toMatch(/router http:\S+ holds version 7/);
    expect(await system.api.call('/cluster/map')).toMatchObject({ status: 503, json: { code: 'ClusterLost' } });

    const answer = await restore(system, { last_known: true });
    expect(answer.json).toMatchObject({ map: { ...MAP_7, version: 8 }, next_id: 1_005 });
    expect(answer.json['note']).toMatch(/A router does not know the next id: it is 1005/);
    expect(await mapOf(system)).toEqual({ ...MAP_7, version: 8 });
    expect((await system.api.call('/readyz')).status).toBe(200);
    expect((await add(system, 's5')).shards.map(({ id }) => id)).toEqual([0, 4, 1_005]);
  });

  it('is noticed by the witness’s file alone, which brings next id, lock and list of routers back', async () => {
    const before = await serve();
    await before.client.applyTransition({ type: 'setRouters', entries: ['http://r7:6333'] });
    for (const transition of byOperation('grow-a')) await before.client.applyTransition(transition);
    const map = await mapOf(before);
    expect(JSON.parse(readFileSync(before.file, 'utf8'))).toMatchObject({ next_id: 3, map });

    const system = await serve({ on: wiped });
    expect(system.ensured).toBe('lost');
    const ready = await system.api.call('/readyz');
    expect(ready.json).toMatchObject({
      code: 'ClusterLost',
      detail: expect.stringContaining(`file ${system.file} holds version 2`),
    });
    const answer = await restore(system, { last_known: true });
    expect(answer.json).toMatchObject({
      map: { ...map, version: 3 },
      next_id: 3,
      source: expect.stringContaining(system.file),
    });
    expect(await system.client.queryState()).toMatchObject({
      lock: { operationId: 'grow-a', stage: 'announced' },
      routers: { entries: ['http://r7:6333'], isByHand: true },
    });
    expect(JSON.parse(readFileSync(system.file, 'utf8'))).toMatchObject({ map: { version: 3 } });
  });

  it('is not taken for a new one when its file is damaged, or when no settings are given', async () => {
    writeFileSync(join(dir, `published-restore-${clusters}.json`), '{');
    const damaged = await serve({ on: wiped });
    expect(damaged.ensured).toBe('lost');
    expect((await damaged.api.call('/readyz')).json['detail']).toMatch(/exists and cannot be read/);
    const restored = await restore(damaged, { last_known: true });
    expect(restored).toMatchObject({ status: 409, json: { code: 'NoKnownState' } });

    const router = await routerHolding(MAP_7);
    const lost = await serve({ on: wiped, routers: [router], seedShards: [], worker: false });
    expect(lost.ensured).toBe('lost');
  });
});
