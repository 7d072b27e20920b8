/**
 * Records one history per workflow and path into histories/<release>/, on a real Temporal and shards in this process:
 *
 *     npx tsx test/replay/record-histories.ts [scene...]
 *
 * To be run once per release, and committed: every later version must replay them (replay.test.ts), or carry a patch.
 * A new scene is recorded by its name, so that the others stay as they are.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import { pino } from 'pino';
import { ClusterClient } from '../../src/client/cluster-client';
import { HooksClient } from '../../src/client/hooks-client';
import { PlanClient } from '../../src/client/operations/plan-client';
import type { ClusterTransition } from '../../src/contract/cluster';
import { DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { witnessedPart } from '../../src/domain/witnessed';
import { NO_CLUSTER_LIMITS } from '../../src/domain/work-limits';
import {
  cancelUpdate,
  clusterLimitsUpdate,
  limitUpdate,
  pauseUpdate,
  resumeUpdate,
  transitionUpdate,
  witnessUpdate,
} from '../../src/contract/messages';
import {
  evaluationWorkflowId,
  hooksWorkflowId,
  planWorkflowId,
  taskQueue,
  WITNESS_WORKFLOW,
  witnessWorkflowId,
} from '../../src/contract/ids';
import { ClusterFixture, startTemporal, type TemporalForTests } from '../support/cluster-fixture';
import { PrivateTemporal } from '../support/temporal';
import { waitFor } from '../support/wait-for';

/** The one that the next release will be. */
const RELEASE = '0.3';
const logger = pino({ level: 'silent' });
const SLOW = { kind: 'slow', ms: 1_500 } as const;
/** UNAVAILABLE of gRPC. */
const AWAY = { kind: 'status', status: 14 } as const;

async function save(handle: WorkflowHandle, name: string): Promise<void> {
  const history = anonymous(await handle.fetchHistory());
  writeFileSync(
    join(__dirname, 'histories', RELEASE, `${name}.binpb`),
    proto.api.history.v1.History.encode(history).finish(),
  );
  console.log(`${name}: ${history.events?.length ?? 0} events`);
}

/** Without what tells of the machine that recorded it; a replay needs neither. */
function anonymous<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  for (const [key, inner] of Object.entries(value)) {
    if (inner instanceof Uint8Array) (value as Record<string, unknown>)[key] = withoutHost(inner);
    const isOfThisMachine =
      key === 'stackTrace' || key === 'identity' || (key === 'name' && String(inner).includes('@'));
    if (isOfThisMachine) (value as Record<string, unknown>)[key] = '';
    else anonymous(inner);
  }
  return value;
}

/** Results of activities say which worker they are of. */
function withoutHost(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.replaceAll(`"worker":"${hostname()}"`, '"worker":"recorder"'), 'latin1');
}

async function ended(handle: WorkflowHandle): Promise<void> {
  await handle.result().catch(() => undefined);
}

const chosen = process.argv.slice(2);

async function withCluster(
  temporal: TemporalForTests,
  name: string,
  work: (cluster: ClusterFixture) => Promise<void>,
): Promise<void> {
  if (chosen.length > 0 && !chosen.includes(name)) return;
  const cluster = await ClusterFixture.start(temporal, name, { points: 300 });
  try {
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

async function main(): Promise<void> {
  const server = await PrivateTemporal.start();
  const temporal = await startTemporal(server);
  await withCluster(temporal, 'succeeded', async (cluster) => {
    await cluster.announce('a');
    await ended(cluster.operation('a'));
    await save(cluster.operation('a'), 'grow-succeeded');
    await cluster.announce('again').catch(() => undefined);
    await ended(cluster.operation('again'));
    await save(cluster.operation('again'), 'grow-refused');
    await save(cluster.cluster, 'cluster');
  });
  await withCluster(temporal, 'cancelled', async (cluster) => {
    const held = cluster.joiner.faults.add({ match: { method: 'GRPC', path: /UpsertStream/ }, fault: AWAY });
    await cluster.announce('a');
    await held.struck;
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'recorded' }] });
    await ended(cluster.operation('a'));
    await save(cluster.operation('a'), 'grow-cancelled');
  });
  await withCluster(temporal, 'waiting', async (cluster) => {
    cluster.donors[0]?.faults.add({
      match: { method: 'GRPC', path: /Replicate/, nth: 1, times: 5 },
      fault: { kind: 'refuse' },
    });
    await cluster.announce('a', { historyEventsMax: 40 });
    const { runId } = await cluster.operation('a').describe();
    await ended(cluster.operation('a'));
    await save(cluster.operation('a'), 'grow-continued-last-run');
    const first = temporal.client.workflow.getHandle(cluster.operation('a').workflowId, runId);
    await save(first, 'grow-continued-first-run');
  });
  await withCluster(temporal, 'shrinking', async (cluster) => {
    await cluster.announceDrain('a', 1);
    await ended(cluster.operation('a', 'drain'));
    await save(cluster.operation('a', 'drain'), 'drain-succeeded');
  });
  await withCluster(temporal, 'undrained', async (cluster) => {
    const held = cluster.donors[0]!.faults.add({ match: { method: 'GRPC', path: /UpsertStream/ }, fault: AWAY });
    await cluster.announceDrain('a', 1);
    await held.struck;
    await cluster.operation('a', 'drain').executeUpdate(cancelUpdate, { args: [{ reason: 'recorded' }] });
    await ended(cluster.operation('a', 'drain'));
    await save(cluster.operation('a', 'drain'), 'drain-cancelled');
  });
  await withCluster(temporal, 'terminated', async (cluster) => {
    const timings = { ...cluster.input('').timings, attemptMs: 1_500 };
    const held = cluster.joiner.faults.add({ match: { method: 'GRPC', path: /UpsertStream/ }, fault: AWAY });
    await cluster.announce('a', { timings });
    await held.struck;
    await cluster.operation('a').terminate('recorded');
    held.remove();
    await cluster.lookAfterLock();
    await ended(cluster.operation('grow-a.1', 'recover'));
    await save(cluster.operation('grow-a.1', 'recover'), 'recover-undone');
    for (const donor of cluster.donors) donor.faults.add({ match: { method: 'DELETE', times: 1 }, fault: SLOW });
    await cluster.announce('b', { timings });
    await cluster.inPhase('b', 'drop');
    await cluster.operation('b').terminate('recorded');
    await cluster.lookAfterLock();
    await ended(cluster.operation('grow-b.1', 'recover'));
    await save(cluster.operation('grow-b.1', 'recover'), 'recover-finished');
  });
  await withCluster(temporal, 'repaired', async (cluster) => {
    const change = { change: 'add', shard: cluster.address(cluster.joiner) } as const;
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [{ type: 'changeByHand', change, key: null }] });
    const request = { collections: null, leftovers: [], prefer: [] };
    for (const kind of ['check', 'repair'] as const) {
      await cluster.begin(kind, { ...cluster.input('a'), request });
      await ended(cluster.operation('a', kind));
      await save(cluster.operation('a', kind), kind);
    }
  });
  await withCluster(temporal, 'scaled', async (cluster) => {
    const policy = { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 1 };
    const transitions: readonly ClusterTransition[] = [
      { type: 'replacePolicy', policy },
      { type: 'addStandby', address: cluster.address(cluster.joiner) },
    ];
    for (const transition of transitions) await cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
    const { routerUrls, timings, searchAttributes } = cluster.input('');
    const handle = await temporal.client.workflow.start('autoscale', {
      taskQueue: taskQueue(cluster.name),
      workflowId: evaluationWorkflowId(cluster.name, 'recorded'),
      args: [{ cluster: cluster.name, settings: { routerUrls, timings, searchAttributes }, dryRun: false }],
    });
    await ended(handle);
    await save(handle, 'autoscale');
  });
  await withCluster(temporal, 'published', async (cluster) => {
    const handle = await temporal.client.workflow.start(WITNESS_WORKFLOW, {
      taskQueue: taskQueue(cluster.name),
      workflowId: witnessWorkflowId(cluster.name),
      args: [{ kept: null }],
    });
    await handle.executeUpdate(witnessUpdate, { args: [witnessedPart(await cluster.state())] });
    await save(handle, 'published');
  });
  await withCluster(temporal, 'paused', async (cluster) => {
    const slow = cluster.joiner.faults.add({ match: { method: 'GRPC', path: /UpsertStream/ }, fault: SLOW });
    await cluster.announce('a');
    await slow.struck;
    const grow = cluster.operation('a');
    await grow.executeUpdate(pauseUpdate, { args: [{ reason: 'recorded', untilMs: null, by: 'ops' }] });
    cluster.joiner.faults.clear();
    await waitFor('it stands still', async () => (await cluster.progress('a')).pause?.holds === true);
    await grow.executeUpdate(resumeUpdate);
    await ended(grow);
    await save(grow, 'grow-paused');
  });
  await withCluster(temporal, 'throttled', async (cluster) => {
    await cluster.announce('a', { timings: { ...cluster.input('').timings, graceMs: 1_500 } });
    const grow = cluster.operation('a');
    const limits = { maxRowsPerS: 20, deleteShare: 0.5 };
    await grow.executeUpdate(limitUpdate, { args: [limits] });
    await waitFor('some rows', () => cluster.joiner.ids('docs').length > 0);
    await waitFor(
      'a step that tells what slows it',
      async () => ((await cluster.progress('a')).slowed ?? []).length > 0,
    );
    await grow.executeUpdate(limitUpdate, { args: [{ maxRowsPerS: null }] });
    await ended(grow);
    await save(grow, 'grow-throttled');
  });
  await withCluster(temporal, 'hours', async (cluster) => {
    const time = (inHours: number): string => new Date(Date.now() + inHours * 3_600_000).toISOString().slice(11, 16);
    const closed = { ...NO_CLUSTER_LIMITS, maxRowsPerS: 10_000, activeFrom: time(2), activeTo: time(3) };
    const transitions: readonly ClusterTransition[] = [
      { type: 'seedLimits', limits: { ...closed, activeFrom: null, activeTo: null } },
      { type: 'replaceLimits', limits: closed },
    ];
    for (const transition of transitions) await cluster.cluster.executeUpdate(transitionUpdate, { args: [transition] });
    await cluster.announce('a');
    const grow = cluster.operation('a');
    await waitFor('the hold', async () => (await cluster.progress('a')).waiting?.reason.includes('UTC') === true);
    const open: ClusterTransition = { type: 'replaceLimits', limits: NO_CLUSTER_LIMITS };
    await cluster.cluster.executeUpdate(transitionUpdate, { args: [open] });
    await grow.executeUpdate(clusterLimitsUpdate, { args: [NO_CLUSTER_LIMITS] });
    await ended(grow);
    await save(grow, 'grow-held-by-hours');
    await save(cluster.cluster, 'cluster-limited');
  });
  await withCluster(temporal, 'planned', async (cluster) => {
    const of = { connection: temporal.connection, namespace: 'default', cluster: cluster.name, logger };
    const planner = new PlanClient({ ...of, client: new ClusterClient({ ...of, recoverWith: null }) });
    const { routerUrls, timings, searchAttributes } = cluster.input('');
    const request = { shards: [cluster.address(cluster.joiner)], allowNonempty: false };
    await planner.plan({ kind: 'grow', request }, { routerUrls, timings, searchAttributes });
    const id = await waitFor('the plan in the list of workflows', async () => {
      for await (const { workflowId, status } of temporal.client.workflow.list({ query: `WorkflowType = 'plan'` }))
        if (status.name === 'COMPLETED' && workflowId.startsWith(planWorkflowId(cluster.name, ''))) return workflowId;
      return null;
    });
    await save(temporal.client.workflow.getHandle(id), 'plan-grow');
  });
  await withCluster(temporal, 'told', async (cluster) => {
    const told: string[] = [];
    const receiver = createServer((request, response) => {
      request.resume().on('end', () => {
        told.push(String(request.headers['coordinator-delivery']));
        // The first one is tried again.
        response.writeHead(told.length === 1 ? 500 : 200).end();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const client = new HooksClient({ connection: temporal.connection, namespace: 'default', cluster: cluster.name });
    await client.replace([{ url, events: ['operation.started', 'operation.ended'] }]);
    const hooks = temporal.client.workflow.getHandle(hooksWorkflowId(cluster.name));
    const finished = async (type: string): Promise<number> =>
      ((await hooks.fetchHistory()).events ?? []).filter(
        ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === type,
      ).length;
    await waitFor('it knows what was there before', async () => (await finished('awaitHookNews')) > 1);
    await cluster.announce('a');
    await ended(cluster.operation('a'));
    await waitFor('both are told', () => new Set(told).size === 2 && told.length === 3);
    await client.replace([]);
    await save(hooks, 'hooks');
    await hooks.terminate();
    receiver.closeAllConnections();
    receiver.close();
  });
  await temporal.stop();
  await server.dispose();
}

void main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
