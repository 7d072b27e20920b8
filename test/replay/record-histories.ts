/**
 * Records one history per workflow and path into histories/, on a real Temporal and shards in this process:
 *
 *     npx tsx test/replay/record-histories.ts
 *
 * To be run once per release, and committed: every later version must replay them (replay.test.ts), or carry a patch.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { temporal as proto } from '@temporalio/proto';
import { cancelUpdate } from '../../src/workflows/messages';
import { ClusterFixture, startTemporal, type TemporalForTests } from '../workflows/cluster-fixture';

const RELEASE = '0.1';

async function save(handle: WorkflowHandle, name: string): Promise<void> {
  const history = anonymous(await handle.fetchHistory());
  writeFileSync(
    join(__dirname, 'histories', `${name}-${RELEASE}.binpb`),
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
  const cluster = await ClusterFixture.start(temporal, name, 300);
  try {
    await work(cluster);
  } finally {
    await cluster.stop();
  }
}

async function main(): Promise<void> {
  const temporal = await startTemporal();
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
    const held = cluster.joiner.faults.add({
      match: { method: 'POST', path: /points/ },
      fault: { kind: 'status', status: 503 },
    });
    await cluster.announce('a');
    await held.struck;
    await cluster.operation('a').executeUpdate(cancelUpdate, { args: [{ reason: 'recorded' }] });
    await ended(cluster.operation('a'));
    await save(cluster.operation('a'), 'grow-cancelled');
  });
  await withCluster(temporal, 'waiting', async (cluster) => {
    cluster.donors[0]?.faults.add({
      match: { method: 'POST', path: /fetch/, nth: 1, times: 5 },
      fault: { kind: 'refuse' },
    });
    await cluster.announce('a', { historyEventsMax: 40 });
    const { runId } = await cluster.operation('a').describe();
    await ended(cluster.operation('a'));
    await save(cluster.operation('a'), 'grow-continued-last-run');
    const first = temporal.client.workflow.getHandle('grow/waiting/a', runId);
    await save(first, 'grow-continued-first-run');
  });
  await temporal.stop();
}

void main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
