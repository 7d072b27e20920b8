import { ClusterLook } from '../../../src/api/metrics/cluster-look';
import { ApiMetricsPage } from '../../../src/api/metrics/page';
import { ClientError } from '../../../src/client/calls/errors';
import type { ClusterState, OperationRecord } from '../../../src/domain/cluster-state';
import type { OperationProgress } from '../../../src/domain/progress';
import { newOperationState } from '../../../src/contract/operation-state';
import { ApiServer, KEYS, STATE } from '../../support/api-server';
import { EventReader } from '../../support/event-reader';
import { waitFor } from '../../support/wait-for';
import { hasPromtool, PROMTOOL, promtool, samplesIn, valueIn } from '../../support/promtool';

const SECRET = 'key-5f1e77';

const RECORD: OperationRecord = {
  operationId: `grow-${SECRET}`,
  kind: 'grow',
  shardIds: [2],
  startedAtMs: Date.now() - 60_000,
  endedAtMs: null,
  end: null,
  pointsMoved: 0,
  message: SECRET,
};
const PROGRESS: OperationProgress = {
  ...newOperationState('grow', RECORD.operationId, RECORD.startedAtMs).progress,
  phase: 'copy',
  pointsDone: 10,
  pointsExpected: 40,
  bytesDone: 1_000,
  bytesExpected: 4_000,
  ratePerSecond: 5,
  waiting: { reason: `shard ${SECRET} does not answer`, sinceMs: Date.now() - 30_000, endsWhen: 'it answers' },
  sources: [
    {
      shardId: 1,
      source: 'follower',
      url: `http://${SECRET}`,
      reason: SECRET,
      scans: 2,
      rowsRead: 50,
      rowsPerSecond: 9,
      stopsMs: [1_500, 250],
    },
    {
      shardId: 0,
      source: 'pages',
      url: 'http://s0',
      reason: 'it has no gRPC',
      scans: 0,
      rowsRead: 0,
      rowsPerSecond: 0,
      stopsMs: [],
    },
  ],
};
const BUSY: ClusterState = {
  ...STATE,
  operations: [RECORD, { ...RECORD, operationId: 'drain-a', kind: 'drain', end: 'failed', endedAtMs: 5 }],
  notices: [
    { key: SECRET, code: 'PointsKept', message: SECRET, operationId: null, sinceMs: 0, lastSeenMs: 0 },
    { key: 'b', code: 'PointsKept', message: SECRET, operationId: null, sinceMs: 0, lastSeenMs: 0 },
  ],
  autoscale: {
    ...STATE.autoscale,
    policy: { ...STATE.autoscale.policy, enabled: true, highWaterPoints: 1_000 },
    standbys: [{ primary_url: 'http://u:p@b', replica_urls: [], addedAtMs: 0, unusable: null }],
    evaluations: [
      {
        atMs: 7_000,
        reason: 'no_standby',
        message: SECRET,
        pointsMax: 1,
        unreadable: [],
        operationId: null,
        refusal: null,
      },
    ],
  },
};

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const scrape = async (): Promise<string> => (await api.call('/metrics', { key: KEYS.read })).text;

/** The page of a cluster in which a grow copies. */
async function busyPage(): Promise<string> {
  api.client.state = BUSY;
  api.client.queryProgress = () => Promise.resolve(PROGRESS);
  api.routers.seen = [
    { url: `http://user:${SECRET}@r0:6333`, version: 1, mapVersion: 4 },
    { url: 'http://r1', version: null, mapVersion: 4 },
  ];
  return scrape();
}

describe('GET /metrics', () => {
  it('needs a key with the role read, and is text that nobody may keep', async () => {
    expect((await api.call('/metrics', { key: null })).status).toBe(401);
    const { status, headers } = await api.call('/metrics', { key: KEYS.read });
    expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      'no-store',
    ]);
    expect((await api.call('/metrics', { method: 'POST' })).status).toBe(405);
  });

  it('needs no key when it is open', async () => {
    const look = new ClusterLook({
      client: api.client,
      mapReader: { readMap: () => Promise.reject(new Error('not asked')), lastRead: () => ({ version: 1, ageMs: 0 }) },
      pointsOf: () => Promise.resolve(null),
      routers: { seen: [] },
      witness: { rememberedAgeMs: null },
    });
    const open = await ApiServer.start({
      metrics: new ApiMetricsPage({ cluster: 'test', role: 'api', isOpen: true, look }),
    });
    const { status, text } = await open.call('/metrics', { key: null });
    expect([status, valueIn(text, 'coordinator_info', { cluster: 'test', role: 'api' })]).toEqual([200, 1]);
    await open.close();
  });

  it('shows the operation that runs, by kind and phase', async () => {
    const page = await busyPage();
    const of = (name: string): number | null =>
      valueIn(page, `coordinator_operation_${name}`, { kind: 'grow', phase: 'copy' });
    expect([of('running'), of('points_done'), of('points_expected'), of('points_per_second')]).toEqual([1, 10, 40, 5]);
    expect([of('done_bytes'), of('expected_bytes'), of('eta_seconds')]).toEqual([1_000, 4_000, null]);
    expect(of('waiting_seconds')).toBeGreaterThanOrEqual(30);
    expect(of('running_seconds')).toBeGreaterThanOrEqual(60);
    expect(valueIn(page, 'coordinator_operations', { kind: 'grow', end: 'running' })).toBe(1);
    expect(valueIn(page, 'coordinator_operations', { kind: 'drain', end: 'failed' })).toBe(1);
  });

  it('shows what slows the operation down, by shard and cause, and nothing of it while nothing does', async () => {
    const name = 'coordinator_operation_slowed';
    expect(samplesIn(await busyPage()).filter((sample) => sample.name.startsWith(name))).toEqual([]);
    await api.close();
    api = await ApiServer.start();
    const slowed = [
      { by: 'delete_latency', shardId: 1, seenMs: 310, boundMs: 120, restShare: 0.25 },
      { by: 'delete_latency', shardId: 1, seenMs: 310, boundMs: 120, restShare: 0.5 },
      { by: 'asked_to_wait', shardId: null, seenMs: 30_000 },
    ] as const;
    api.client.state = BUSY;
    api.client.queryProgress = () => Promise.resolve({ ...PROGRESS, slowed });
    const page = await scrape();
    const [latency, asked] = [
      { shard: '1', by: 'delete_latency' },
      { shard: 'unknown', by: 'asked_to_wait' },
    ];
    expect([valueIn(page, name, latency), valueIn(page, name, asked)]).toEqual([1, 1]);
    expect(valueIn(page, `${name}_rest_ratio`, latency)).toBe(0.5);
    expect(valueIn(page, `${name}_rest_ratio`, asked)).toBeNull();
  });

  it('shows the stops of each scan, and none of a shard that had none', async () => {
    const page = await busyPage();
    const of = { shard: '1', source: 'follower' };
    expect(valueIn(page, 'coordinator_scan_stop_seconds', of)).toBe(0.25);
    expect(valueIn(page, 'coordinator_scan_stop_longest_seconds', of)).toBe(1.5);
    expect(valueIn(page, 'coordinator_scans', of)).toBe(2);
    expect(valueIn(page, 'coordinator_scan_stop_seconds', { shard: '0' })).toBeNull();
    expect(valueIn(page, 'coordinator_scan_stop_longest_seconds', { shard: '0' })).toBeNull();
  });

  it('shows map, shards, routers, policy, notices and witness', async () => {
    const page = await busyPage();
    const values = {
      coordinator_map_version: [{}, 1],
      coordinator_map_fresh: [{}, 1],
      coordinator_state_answered: [{}, 1],
      coordinator_witness_age_seconds: [{}, 1.5],
      coordinator_shards: [{ role: 'owner' }, 2],
      coordinator_shard_points: [{ shard: '1' }, 3],
      coordinator_shard_share_ratio: [{ shard: '1' }, 0.5],
      coordinator_shard_owned_share_ratio: [{ shard: '0' }, 0.5],
      coordinator_router_version: [{ router: 'r0:6333' }, 1],
      coordinator_router_lag_versions: [{ router: 'r0:6333' }, 3],
      coordinator_router_up: [{ router: 'r1' }, 0],
      coordinator_autoscale_enabled: [{}, 1],
      coordinator_autoscale_high_water_points: [{}, 1_000],
      coordinator_autoscale_decision: [{ reason: 'no_standby' }, 1],
      coordinator_autoscale_evaluated_timestamp_seconds: [{}, 7],
      coordinator_autoscale_standbys: [{ usable: 'true' }, 1],
      coordinator_notices: [{ code: 'PointsKept' }, 2],
    } as const;
    const shown = Object.entries(values).map(([name, [labels]]) => [name, valueIn(page, name, labels)]);
    expect(shown).toEqual(Object.entries(values).map(([name, [, value]]) => [name, value]));
    expect(valueIn(page, 'coordinator_notices', { code: 'UnknownRouter' })).toBe(0);
    expect(valueIn(page, 'coordinator_autoscale_decision', { reason: 'grow' })).toBe(0);
  });

  it('has no sample of what is not known, rather than 0', async () => {
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    api.marks.down.add('http://s1:6333');
    const page = await scrape();
    expect([valueIn(page, 'coordinator_state_answered'), valueIn(page, 'coordinator_map_fresh')]).toEqual([0, 0]);
    const unknown = ['map_version', 'map_age_seconds', 'state_age_seconds', 'autoscale_enabled', 'shards', 'notices'];
    const names = samplesIn(page).map(({ name }) => name);
    expect(names.filter((name) => unknown.includes(name.replace('coordinator_', '')))).toEqual([]);

    await api.close();
    api = await ApiServer.start();
    api.marks.down.add('http://s1:6333');
    const partly = await busyPage();
    expect(valueIn(partly, 'coordinator_shard_points', { shard: '0' })).toBe(3);
    expect(valueIn(partly, 'coordinator_shard_points', { shard: '1' })).toBeNull();
    expect(samplesIn(partly).filter(({ name }) => name === 'coordinator_shard_share_ratio')).toEqual([]);
    expect(valueIn(partly, 'coordinator_router_version', { router: 'r1' })).toBeNull();
    expect(valueIn(partly, 'coordinator_autoscale_high_water_bytes')).toBeNull();
  });

  it('holds no id, text or address of an operation, a notice or a standby, and no user of a router', async () => {
    await api.call(`/cluster/operations/${SECRET}`);
    await api.call(`/${SECRET}`);
    await api.call(`/cluster/notices/${SECRET}`, { method: 'DELETE' });
    const page = await busyPage();
    expect(page).not.toContain(SECRET);
    expect(page).not.toMatch(/u:p@/);
  });

  it('answers while the cluster hangs, with what is known', async () => {
    api.client.queryState = () => new Promise(() => undefined);
    const startedMs = Date.now();
    const page = await scrape();
    expect(Date.now() - startedMs).toBeLessThan(3_000);
    expect(valueIn(page, 'coordinator_state_answered')).toBe(0);
  });
});

describe('requests', () => {
  const counted = async (labels: Record<string, string>): Promise<number | null> =>
    valueIn(await scrape(), 'coordinator_http_requests_total', labels);

  it('are counted by method, template of the route and status', async () => {
    await api.call('/cluster/operations/grow-a');
    await api.call('/cluster/operations/grow-b');
    await api.call('/cluster/operations/grow-b', { key: null });
    await api.call('/cluster/shards/7', { method: 'PUT' });
    await api.call('/nothing/here', { method: 'POST' });
    const route = '/cluster/operations/{id}';
    expect(await counted({ method: 'GET', route, code: '404' })).toBe(2);
    expect(await counted({ method: 'GET', route, code: '401' })).toBe(1);
    expect(await counted({ method: 'PUT', route: '/cluster/shards/{id}', code: '405' })).toBe(1);
    expect(await counted({ method: 'POST', route: 'none', code: '404' })).toBe(1);
    const page = await scrape();
    expect(valueIn(page, 'coordinator_http_request_duration_seconds_count', { method: 'GET', route })).toBe(3);
  });

  it('that are held open are counted, and never timed: their callers choose how long they take', async () => {
    const timed = async (route: string): Promise<number | null> =>
      valueIn(await scrape(), 'coordinator_http_request_duration_seconds_count', { method: 'GET', route });
    const map = '/cluster/map';
    const etag = (await api.call(map)).headers.get('etag') ?? '';
    await api.call(map, { headers: { Prefer: 'wait=1', 'If-None-Match': etag } });
    expect(await counted({ method: 'GET', route: map, code: '304' })).toBe(1);
    expect(await timed(map)).toBeNull();

    const events = '/cluster/events';
    const reader = await EventReader.open(`${api.url}${events}`, { key: KEYS.read });
    reader.close();
    await waitFor('the end of the stream', async () => (await counted({ route: events, code: '200' })) === 1);
    expect(await timed(events)).toBeNull();
    // One that was refused was held by nobody.
    await api.call(events, { key: null });
    expect(await timed(events)).toBe(1);
  });

  it('have no series for a method that somebody made up', async () => {
    await fetch(`${api.url}/cluster/shards`, { method: 'PROPFIND' });
    const methods = new Set(samplesIn(await scrape()).map(({ labels }) => labels['method']));
    expect([...methods].sort()).toEqual(['other', undefined].sort());
  });

  it('that poll the map are counted by their status, once each', async () => {
    for (let n = 0; n < 3; n++) await api.call('/cluster/map');
    const etag = (await api.call('/cluster/map')).headers.get('etag') ?? '';
    await api.call('/cluster/map', { headers: { 'If-None-Match': etag } });
    await api.call('/cluster/map', { key: 'wrong' });
    const route = '/cluster/map';
    expect(await counted({ route, code: '200' })).toBe(4);
    expect(await counted({ route, code: '304' })).toBe(1);
    expect(await counted({ route, code: '401' })).toBe(1);
    await api.call('/cluster/map');
    expect(await counted({ route, code: '200' })).toBe(5);
    await api.call('/cluster/map?poll=1');
    expect(await counted({ route, code: '200' })).toBe(6);
  });
});

(hasPromtool ? it : it.skip)(`the page passes ${PROMTOOL}`, async () => {
  for (let n = 0; n < 2; n++) await api.call('/cluster/operations/grow-a');
  await api.call('/cluster/map');
  const look = new ClusterLook({
    client: api.client,
    mapReader: { readMap: () => Promise.reject(new Error('not asked')), lastRead: () => ({ version: 1, ageMs: 0 }) },
    pointsOf: () => Promise.resolve(null),
    routers: api.routers,
    witness: { rememberedAgeMs: null },
  });
  const withProcess = new ApiMetricsPage({ cluster: 'test', role: 'api', showsProcess: true, look });
  for (const input of [await busyPage(), await withProcess.render()]) {
    expect(promtool(['check', 'metrics'], { input })).toBeNull();
  }
});
