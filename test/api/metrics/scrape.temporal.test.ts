/** The page as Prometheus reads it, of the built program: an API and a worker, while a grow waits, copies and ends. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlacementPlan } from '../../../src/domain/placement-plan';
import { pointJson } from '../../support/cluster-fixture';
import { startCoordinator, type CoordinatorProcess } from '../../support/coordinator-process';
import { freePort } from '../../support/free-port';
import { InProcessRouter } from '../../support/in-process-router';
import { SHARD_KEY, startShard, type InProcessShard } from '../../support/in-process-shard';
import { hasPromtool, promtool, samplesIn, valueIn } from '../../support/promtool';
import { sharedTemporal } from '../../support/temporal';
import { waitFor } from '../../support/wait-for';

const KEY = 'key-of-admin';
const POINTS = 400;

let dir: string;
let shards: InProcessShard[];
const started: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'scrape-'));
  shards = [await startShard(), await startShard(), await startShard()];
  started.push(...shards);
  const plan = new PlacementPlan({ shards: [0, 1], joining: [], leaving: [] });
  const donors = shards.slice(0, 2);
  for (const donor of donors) donor.create({ name: 'docs', dim: 4, metric: 'l2', index: 'hnsw' });
  for (let n = 0; n < POINTS; n++) donors[plan.ownerOf(Buffer.from(`p${n}`))]?.put('docs', pointJson(`p${n}`, n));
});
afterEach(async () => {
  for (const each of started.splice(0).reverse()) await each.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(role: 'api' | 'worker', env: Record<string, string>): Promise<CoordinatorProcess> {
  const process = await startCoordinator({ role, env, cwd: dir });
  started.push(process);
  return process;
}

async function scrape(url: string): Promise<string> {
  const answer = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${KEY}` } });
  if (!answer.ok) throw new Error(`expected the page, got ${answer.status}`);
  return answer.text();
}

describe('the page of metrics', () => {
  it('follows a grow on the API, and shows the library of Temporal on the worker', async () => {
    const { address } = await sharedTemporal();
    const [routerPort, metricsPort] = [await freePort(), await freePort()];
    const routerUrl = `http://127.0.0.1:${routerPort}`;
    const env = {
      TEMPORAL_ADDRESS: address,
      COORDINATOR_CLUSTER: `scrape-${randomUUID().slice(0, 8)}`,
      COORDINATOR_DATA_DIR: join(dir, 'data'),
      COORDINATOR_ROUTER_URLS: routerUrl,
      COORDINATOR_IN_FLIGHT_MS: '0',
      COORDINATOR_WARM_UP_MS: '0',
      QUIVER_REST_ADDR: '127.0.0.1:0',
      QUIVER_API_KEYS: KEY,
      QUIVER_CLUSTER_SHARDS: shards
        .slice(0, 2)
        .map(({ url }) => url)
        .join(),
      QUIVER_CLUSTER_SHARD_KEY: SHARD_KEY,
    };
    await start('worker', { ...env, COORDINATOR_METRICS_ADDR: `127.0.0.1:${metricsPort}` });
    const api = await start('api', env);
    const router = new InProcessRouter({
      coordinatorUrl: api.url,
      shardUrls: shards.slice(0, 2).map(({ url }) => url),
      shardKey: KEY,
      pollMs: 50,
      port: routerPort,
    });
    started.push(router);
    await router.listen();
    await waitFor('the router holds the map', () => router.map.version === 1);

    const calm = await waitFor('the points of both shards are told', async () => {
      const page = await scrape(api.url);
      return samplesIn(page).filter(({ name }) => name === 'coordinator_shard_points').length === 2 && page;
    });
    const points = samplesIn(calm).filter(({ name }) => name === 'coordinator_shard_points');
    expect(points.reduce((sum, { value }) => sum + value, 0)).toBe(POINTS);
    expect([valueIn(calm, 'coordinator_map_version'), valueIn(calm, 'coordinator_map_fresh')]).toEqual([1, 1]);
    expect(valueIn(calm, 'coordinator_witness_age_seconds')).toBeLessThan(60);
    expect(samplesIn(calm).filter(({ name }) => name === 'coordinator_operation_running')).toEqual([]);

    router.isPollingPaused = true;
    const grow = await fetch(`${api.url}/cluster/shards/grow`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${KEY}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': 'k',
        'X-Request-Id': 'r',
      },
      body: JSON.stringify({ primary_url: shards[2]?.url }),
    });
    expect(grow.status).toBe(200);
    const waits = { kind: 'grow', phase: 'await-routers' };
    const waiting = await waitFor(
      'the grow waits for the router that lags',
      async () => {
        const page = await scrape(api.url);
        const lag = valueIn(page, 'coordinator_router_lag_versions', { router: `127.0.0.1:${routerPort}` });
        return (valueIn(page, 'coordinator_operation_waiting_seconds', waits) ?? 0) > 0 && lag === 1 && page;
      },
      40_000,
    );
    expect(valueIn(waiting, 'coordinator_operation_running', waits)).toBe(1);
    expect(valueIn(waiting, 'coordinator_shards', { role: 'joining' })).toBe(1);

    router.isPollingPaused = false;
    const ended = await waitFor(
      'the end is counted',
      async () => {
        const page = await scrape(api.url);
        const labels = { kind: 'grow', end: 'succeeded' };
        return valueIn(page, 'coordinator_operations_ended_total', labels) === 1 && page;
      },
      60_000,
    );
    expect(valueIn(ended, 'coordinator_operation_points_moved_total', { kind: 'grow' })).toBe(
      shards[2]?.ids('docs').length,
    );
    expect(samplesIn(ended).filter(({ name }) => name === 'coordinator_operation_running')).toEqual([]);
    expect(
      samplesIn(ended)
        .filter(({ name }) => name === 'coordinator_scans')
        .map(({ labels }) => labels['shard'])
        .sort(),
    ).toEqual(['0', '1']);
    const posted = { method: 'POST', route: '/cluster/shards/grow', code: '200' };
    expect(valueIn(ended, 'coordinator_http_requests_total', posted)).toBe(1);
    expect(valueIn(ended, 'process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(samplesIn(ended).filter(({ name }) => name.startsWith('temporal_'))).toEqual([]);

    const line = await api.awaitLog('change asked for');
    expect(line).toMatchObject({ audit: true, who: 'key-1', operationId: 'grow-k', status: 200, requestId: 'r' });

    const ofWorker = await scrape(`http://127.0.0.1:${metricsPort}`);
    const completed = { task_queue: `coordinator/${env.COORDINATOR_CLUSTER}` };
    const tasks = samplesIn(ofWorker).filter(
      ({ name, labels }) =>
        name === 'temporal_workflow_completed_total' && labels['task_queue'] === completed.task_queue,
    );
    expect(tasks.map(({ labels }) => labels['workflow_type'])).toContain('grow');
    expect(ofWorker).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-/);
    expect((await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${metricsPort}/other`)).status).toBe(404);
    if (hasPromtool) {
      expect(promtool(['check', 'metrics'], { input: ended })).toBeNull();
      expect(promtool(['check', 'metrics'], { input: ofWorker })).toBeNull();
    }
  });
});
