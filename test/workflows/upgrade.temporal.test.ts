/** Two builds of the worker side by side, under Worker Versioning: an operation ends on the build that it began on. */
import { deploymentName } from '../../src/contract/ids';
import pino from 'pino';
import { watchStanding } from '../../src/temporal/deployment';
import { ClusterFixture, refusalOf, startTemporal, type TemporalForTests } from '../support/cluster-fixture';
import { READING } from '../support/shard-faults';
import { waitFor } from '../support/wait-for';

const POINTS = 600;

jest.setTimeout(120_000);
let temporal: TemporalForTests;
let cluster: ClusterFixture;

beforeAll(async () => {
  temporal = await startTemporal();
});
afterAll(() => temporal.stop());
beforeEach(async () => {
  cluster = await ClusterFixture.start(temporal, 'upgrade', { points: POINTS });
});
afterEach(() => cluster.stop());

/** As `temporal worker deployment set-current-version` does. */
async function promote(buildId: string): Promise<void> {
  await waitFor(`${buildId} can be promoted`, async () => {
    try {
      await temporal.client.workflowService.setWorkerDeploymentCurrentVersion({
        namespace: 'default',
        deploymentName: deploymentName(cluster.name),
        buildId,
        ignoreMissingTaskQueues: true,
      });
      return true;
    } catch {
      // It has not polled yet.
      return false;
    }
  });
}

/** The build that the workflow's last task ran on, or null. */
async function buildOf(workflow: { describe(): Promise<{ raw: { workflowExecutionInfo?: unknown } }> }) {
  const info = (await workflow.describe()).raw.workflowExecutionInfo as {
    versioningInfo?: { deploymentVersion?: { buildId?: string } };
  };
  return info.versioningInfo?.deploymentVersion?.buildId ?? null;
}

/** As a worker does from its start on. Returns what it logs, until `isTold`. */
async function standing(buildId: string | null, isTold: RegExp): Promise<string> {
  let logged = '';
  const ending = new AbortController();
  const watched = watchStanding({
    connection: temporal.connection,
    namespace: 'default',
    cluster: cluster.name,
    buildId,
    logger: pino({}, { write: (line: string) => void (logged += line) }),
    signal: ending.signal,
    intervalMs: 200,
  });
  await waitFor(`the log matches ${isTold.source}`, () => Promise.resolve(isTold.test(logged))).finally(() =>
    ending.abort(),
  );
  await watched;
  return logged;
}

it('ends an operation on the build that it began on, and takes the cluster over to the new one', async () => {
  let stopFirst = await cluster.startBuild('build-1');
  await standing('build-1', /this build is the current one/);
  await cluster.stopWorker();
  await cluster.map();

  const held = cluster.donors[0]!.faults.add({ match: READING, fault: { kind: 'refuse' } });
  await cluster.announce('a');
  await cluster.inPhase('a', 'copy');
  const stopSecond = await cluster.startBuild('build-2');
  await standing('build-2', /another build is current.*/);
  expect(await standing(null, /gets no workflows/)).toContain('--unversioned');
  await promote('build-2');
  expect(await refusalOf(cluster.announceDrain('b', 0))).toBe('OperationInProgress');
  expect(await buildOf(cluster.operation('b', 'drain'))).toBe('build-2');

  // Only its own build goes on with it.
  await stopFirst();
  held.remove();
  stopFirst = await cluster.startBuild('build-1');
  await cluster.operation('a').result();
  expect(await buildOf(cluster.operation('a'))).toBe('build-1');
  expect(await buildOf(cluster.cluster)).toBe('build-2');
  expect(await cluster.misplaced('docs')).toEqual([]);
  await stopFirst();

  await cluster.announceDrain('c', 2);
  await cluster.operation('c', 'drain').result();
  expect(await buildOf(cluster.operation('c', 'drain'))).toBe('build-2');
  expect(await cluster.misplaced('docs')).toEqual([]);
  await stopSecond();
});

it('goes back to the build before, in the middle of an operation', async () => {
  const stopFirst = await cluster.startBuild('build-1');
  await standing('build-1', /this build is the current one/);
  await cluster.stopWorker();
  const stopSecond = await cluster.startBuild('build-2');
  await promote('build-2');

  const held = cluster.donors[0]!.faults.add({ match: READING, fault: { kind: 'refuse' } });
  await cluster.announce('a');
  await cluster.inPhase('a', 'copy');
  await promote('build-1');
  held.remove();
  await cluster.operation('a').result();
  expect(await buildOf(cluster.operation('a'))).toBe('build-2');
  expect(await buildOf(cluster.cluster)).toBe('build-1');
  await stopSecond();

  await cluster.announceDrain('b', 2);
  await cluster.operation('b', 'drain').result();
  expect(await cluster.misplaced('docs')).toEqual([]);
  expect((await cluster.map()).shards).toHaveLength(2);
  await stopFirst();
});

it('promotes no build by itself once a choice was made, also when it was taken back', async () => {
  const stop = await cluster.startBuild('build-1');
  await standing('build-1', /this build is the current one/);
  await promote('');
  expect(await standing('build-1', /set-current-version/)).not.toContain('this build is the current one');
  // The worker without a build runs it again.
  const { version } = await cluster.map();
  await stop();
  expect(version).toBe(1);
});
