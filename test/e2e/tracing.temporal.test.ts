/** The built program with and without tracing: a grow, its spans in a collector, and what its shards were sent. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { pointJson } from '../support/cluster-fixture';
import { startCoordinator, type CoordinatorProcess } from '../support/coordinator-process';
import { SHARD_KEY, startShard, type InProcessShard } from '../support/in-process-shard';
import type { Attempt } from '../support/shard-faults';
import { SpanCollector } from '../support/span-collector';
import { sharedTemporal } from '../support/temporal';
import { waitFor } from '../support/wait-for';

const KEY = 'key-of-admin';
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const POINTS = 400;

let dir: string;
let shards: InProcessShard[];
const started: { stop(): Promise<unknown> }[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tracing-'));
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

async function startCollector(options?: { hangs: boolean }): Promise<SpanCollector> {
  const collector = await SpanCollector.start(options);
  started.push(collector);
  return collector;
}

/** Writes down at its end which packages of OpenTelemetry it has loaded. */
const loadedFile = (): string => join(dir, 'loaded.json');
function watchOfPackages(): string {
  const file = join(dir, 'watch.cjs');
  const written = JSON.stringify(loadedFile());
  const write = `require('node:fs').writeFileSync(${written}, JSON.stringify(Object.keys(require.cache)))`;
  writeFileSync(file, `if (require('node:worker_threads').isMainThread) process.on('exit', () => ${write});`);
  return file;
}

/** Without the API, which does nothing by itself, and which the library of the metrics loads. */
function loadedPackages(): Set<string> {
  const files = JSON.parse(readFileSync(loadedFile(), 'utf8')) as string[];
  const names = files.flatMap((file) => /node_modules\/(@opentelemetry\/[^/]+)/.exec(file)?.[1] ?? []);
  return new Set(names.filter((name) => name !== '@opentelemetry/api'));
}

async function serve(environment: Record<string, string>): Promise<CoordinatorProcess> {
  const { address } = await sharedTemporal();
  const coordinator = await startCoordinator({
    role: 'serve',
    cwd: dir,
    env: {
      NODE_OPTIONS: `--require=${watchOfPackages()}`,
      TEMPORAL_ADDRESS: address,
      COORDINATOR_CLUSTER: `tracing-${randomUUID().slice(0, 8)}`,
      COORDINATOR_DATA_DIR: join(dir, 'data'),
      COORDINATOR_IN_FLIGHT_MS: '0',
      COORDINATOR_WARM_UP_MS: '0',
      QUIVER_REST_ADDR: '127.0.0.1:0',
      QUIVER_API_KEYS: KEY,
      QUIVER_CLUSTER_SHARDS: shards
        .slice(0, 2)
        .map(({ url }) => url)
        .join(),
      QUIVER_CLUSTER_SHARD_KEY: SHARD_KEY,
      OTEL_BSP_SCHEDULE_DELAY: '50',
      ...environment,
    },
  });
  started.push(coordinator);
  return coordinator;
}

async function grow({ url }: CoordinatorProcess): Promise<void> {
  const headers = { Authorization: `Bearer ${KEY}` };
  const answer = await fetch(`${url}/cluster/shards/grow`, {
    method: 'POST',
    headers: {
      ...headers,
      'Content-Type': 'application/json',
      'Idempotency-Key': 'k',
      traceparent: `00-${TRACE_ID}-${CALLER}-01`,
    },
    body: JSON.stringify({ primary_url: shards[2]?.url }),
  });
  expect([answer.status, await answer.text()]).toEqual([200, expect.any(String)]);
  await waitFor(
    'the grow succeeded',
    async () => {
      const seen = await fetch(`${url}/cluster/operations/grow-k`, { headers });
      const { status } = (await seen.json()) as { status: string };
      if (status === 'failed') throw new Error('the grow failed');
      return status === 'succeeded';
    },
    60_000,
  );
}

const requests = (): Attempt[] => shards.flatMap((shard) => shard.requests);

it('a grow is one trace: the request, each step, and each call of a shard, also those of the thread that moves rows', async () => {
  const collector = await startCollector();
  const coordinator = await serve({ COORDINATOR_TRACING: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await grow(coordinator);
  expect(await coordinator.stop()).toEqual({ code: 0, signal: null });

  const spans = collector.spans.filter(({ traceId }) => traceId === TRACE_ID);
  const [request] = spans.filter(({ kind }) => kind === 2);
  expect(request).toMatchObject({
    name: 'POST /cluster/shards/grow',
    parentId: CALLER,
    attributes: { 'http.response.status_code': 200, 'coordinator.operation.id': 'grow-k' },
    resource: { 'service.name': 'quiver-coordinator', 'coordinator.role': 'serve' },
  });
  const steps = spans.filter(({ kind }) => kind === 5);
  expect(new Set(steps.map(({ parentId }) => parentId))).toEqual(new Set([request?.spanId]));
  const names = ['identifyShards', 'preflightGrow', 'copyDonor', 'compareDonor', 'changeCluster', 'dropFromDonor'];
  expect(steps.map(({ name }) => name)).toEqual(expect.arrayContaining(names.map((name) => `activity ${name}`)));
  expect(steps.find(({ name }) => name === 'activity copyDonor')?.attributes).toMatchObject({
    'coordinator.phase': 'copy',
    'coordinator.attempt': 1,
    'coordinator.operation.kind': 'grow',
  });

  const spanIds = new Set(steps.map(({ spanId }) => spanId));
  const traced = requests().filter(({ traceparent = '' }) => spanIds.has(traceparent.split('-')[2] ?? ''));
  const calls = traced.map(({ method, path }) => (method === 'GRPC' ? path.replace(/^.*\//, '') : method));
  expect(calls).toEqual(expect.arrayContaining(['GET', 'POST', 'Replicate', 'UpsertStream']));
  // Only what nobody asked for is of no trace, or of one of its own.
  expect(requests().filter(({ method, path }) => method === 'GRPC' && /Replicate|Upsert/.test(path))).toEqual(
    traced.filter(({ method, path }) => method === 'GRPC' && /Replicate|Upsert/.test(path)),
  );

  const sent = Buffer.concat(collector.bodies).toString('latin1');
  const secrets = [KEY, SHARD_KEY, 'p17', 'docs', ...shards.map(({ url }) => url.replace('http://', ''))];
  expect(secrets.filter((secret) => sent.includes(secret))).toEqual([]);
  const audit = coordinator.log.find((line) => line['audit'] === true);
  expect(audit).toMatchObject({ trace_id: TRACE_ID, span_id: request?.spanId });
  expect(loadedPackages()).toContain('@opentelemetry/sdk-trace-base');
});

it('a collector that hangs neither fails a grow nor holds up the stop', async () => {
  const collector = await startCollector({ hangs: true });
  const coordinator = await serve({ COORDINATOR_TRACING: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await grow(coordinator);
  expect(collector.requests).toBeGreaterThan(0);
  expect(await coordinator.stop()).toEqual({ code: 0, signal: null });
});

it('without the setting nothing is sent and nothing is loaded, whatever the environment and the caller say', async () => {
  const collector = await startCollector();
  const coordinator = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await grow(coordinator);
  expect(await coordinator.stop()).toEqual({ code: 0, signal: null });
  expect(collector.requests).toBe(0);
  expect(requests().filter(({ traceparent }) => traceparent !== undefined)).toEqual([]);
  expect(coordinator.log.filter((line) => line['trace_id'] !== undefined)).toEqual([]);
  expect(loadedPackages()).toEqual(new Set());
});
