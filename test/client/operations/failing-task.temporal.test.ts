/** A workflow that no build here can run, as after an upgrade that went wrong: Temporal tries its task again and again. */
import pino from 'pino';
import { ClusterClient } from '../../../src/client/cluster-client';
import { operationIdOf, operationWorkflowId, taskQueue } from '../../../src/contract/ids';
import type { ClusterFixture, TemporalForTests } from '../../support/cluster-fixture';
import { useCluster } from '../../support/use-cluster';
import { waitFor } from '../../support/wait-for';

let cluster: ClusterFixture;
let temporal: TemporalForTests;
useCluster('failing-task', { points: 0 }, (started, on) => {
  cluster = started;
  temporal = on;
});

it('is told with its workflow, how often and since when, and not of one that runs', async () => {
  const { connection, options } = temporal.client;
  const logger = pino({ level: 'silent' });
  const client = new ClusterClient({
    connection,
    namespace: options.namespace,
    cluster: cluster.name,
    logger,
    recoverWith: null,
  });
  const workflowId = operationWorkflowId(cluster.name, 'grow', 'bad');
  const beganAtMs = Date.now();
  const handle = await temporal.client.workflow.start('aWorkflowOfAnotherBuild', {
    workflowId,
    taskQueue: taskQueue(cluster.name),
  });
  try {
    const operationId = operationIdOf('grow', 'bad');
    const { isRunning, failingTask } = await waitFor(
      'the task has failed some times',
      async () => {
        const described = await client.describeOperation(operationId);
        return described.failingTask === null ? null : described;
      },
      90_000,
    );
    expect({ isRunning, workflowId: failingTask?.workflowId }).toEqual({ isRunning: true, workflowId });
    expect(failingTask!.failures).toBeGreaterThanOrEqual(2);
    expect(Math.abs(failingTask!.sinceMs - beganAtMs)).toBeLessThan(30_000);
    expect(failingTask!.reason).toContain(workflowId);
    expect(await client.clusterFailingTask()).toBeNull();
  } finally {
    await handle.terminate();
  }
}, 120_000);
