/**
 * Records one history per workflow and path into histories/<release>/, on a real Temporal and shards in this process:
 *
 *     npx tsx test/replay/record-histories.ts
 *
 * To be run once per release, and committed: every later version must replay them (replay.test.ts), or carry a patch.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import type { ClusterTransition } from '../../src/contract/cluster';
import { DEFAULT_POLICY } from '../../src/domain/autoscale-policy';
import { witnessedPart } from '../../src/domain/witnessed';
import { cancelUpdate, witnessUpdate, transitionUpdate } from '../../src/contract/messages';
import { evaluationWorkflowId, WITNESS_WORKFLOW, witnessWorkflowId, taskQueue } from '../../src/contract/ids';
import { ClusterFixture, startTemporal, type TemporalForTests } from '../support/cluster-fixture';
import { PrivateTemporal } from '../support/temporal';

const RELEASE = '0.3';
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
    const isOfThisMachine =
      key === 'stackTrace' || key === 'identity' || (key === 'name' && String(inner).includes('@'));
    if (isOfThisMachine) (value as Record<string, unknown>)[key] = '';
    else anonymous(inner);
  }
  return value;
}

async function ended(handle: WorkflowHandle): Promise<void> {
  await handle.result().catch(() => undefined);
}

async function withCluster(
  temporal: TemporalForTests,
  name: string,
  work: (cluster: ClusterFixture) => Promise<void>,
): Promise<void> {
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
