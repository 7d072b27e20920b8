import { Client, Connection } from '@temporalio/client';
import { DRAIN_PHASES, GROW_PHASES, type Phase } from '../../src/domain/progress';
import { operationWorkflowId, parseOperationId } from '../../src/contract/ids';
import { describeWithQuiver } from '../support/real-quiver';
import { sharedTemporal, type TemporalTarget } from '../support/temporal';
import { waitFor } from '../support/wait-for';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 180_000;
const RECOVERY_TIMEOUT_MS = 120_000;

/**
 * As somebody does in the Web UI who does not know what it means. Nobody asks for the recovery: the routers' polls of the map find the
 * dead lock, or the reader of the map that every cluster under test has.
 */
describeWithQuiver('an operation that is terminated', () => {
  let temporal: TemporalTarget;
  let client: Client;
  let connection: Connection;
  let cluster: ClusterUnderTest;
  const name = `terminated-${process.pid}`;

  beforeAll(async () => {
    temporal = await sharedTemporal();
    connection = await Connection.connect({ address: temporal.address });
    client = new Client({ connection, namespace: temporal.namespace });
    // A recovery waits for as long as an attempt of the dead operation may live.
    const env = { COORDINATOR_CLUSTER: name, COORDINATOR_ATTEMPT_MS: '5000', COORDINATOR_IN_FLIGHT_MS: '2000' };
    cluster = await ClusterUnderTest.start({ temporal, shards: 3, shardDelayMs: 200, env });
  });

  beforeEach(() => cluster.check.start());

  afterAll(async () => {
    await cluster.dispose();
    await connection.close();
  });

  async function terminate(operationId: string): Promise<void> {
    const { kind, key } = parseOperationId(operationId)!;
    await client.workflow.getHandle(operationWorkflowId(name, kind, key)).terminate('by a test');
  }

  async function recovered(operationId: string): Promise<void> {
    await waitFor(
      `the recovery of ${operationId} has ended`,
      async () => {
        const recovery = (await cluster.operations()).find((each) => each.id === `recover-${operationId}.1`);
        return recovery?.status === 'succeeded';
      },
      RECOVERY_TIMEOUT_MS,
    );
    const view = await cluster.operation(operationId);
    expect(view).toMatchObject({ status: 'failed' });
    const report = await cluster.verify();
    expectNothingWrong(report);
    expectNothingRefused(report);
    expect(cluster.map.faults).toEqual([]);
    expect(await cluster.currentMap()).toMatchObject({ joining: [], leaving: [] });
  }

  const shardCount = async (): Promise<number> => (await cluster.currentMap()).shards.length;
  const joinerId = async (): Promise<number | null> =>
    (await cluster.currentMap()).shards.find((shard) => shard.primary_url === cluster.joiner.url)?.id ?? null;

  const until = <P extends Phase>(phases: readonly P[], flip: P): readonly P[] => phases.slice(0, phases.indexOf(flip));
  const behind = <P extends Phase>(phases: readonly P[], flip: P): readonly P[] =>
    phases.slice(phases.indexOf(flip) + 1);

  test.each(until(GROW_PHASES, 'promote'))(
    'is undone when it was a grow in the phase %s',
    async (phase) => {
      const { operationId } = cluster.grow();
      await cluster.enters(operationId, phase);
      await terminate(operationId);
      await recovered(operationId);
      expect(await shardCount()).toBe(3);
      expect(await cluster.joinersCollections()).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test.each(behind(GROW_PHASES, 'promote'))(
    'is finished when it was a grow in the phase %s, and its shard can be drained again',
    async (phase) => {
      const { operationId } = cluster.grow();
      await cluster.enters(operationId, phase);
      await terminate(operationId);
      await recovered(operationId);
      expect(await shardCount()).toBe(4);
      const { operationId: drain } = cluster.drain((await joinerId())!);
      expect(await cluster.ends(drain)).toMatchObject({ status: 'succeeded' });
    },
    TEST_TIMEOUT_MS,
  );

  test.each(until(DRAIN_PHASES, 'remove'))(
    'is undone when it was a drain in the phase %s',
    async (phase) => {
      const { operationId } = cluster.drain(1);
      await cluster.enters(operationId, phase);
      await terminate(operationId);
      await recovered(operationId);
      expect(await shardCount()).toBe(3);
    },
    TEST_TIMEOUT_MS,
  );

  test.each(behind(DRAIN_PHASES, 'remove'))(
    'is finished when it was a drain in the phase %s, and its shard can join again',
    async (phase) => {
      expect(await cluster.ends(cluster.grow().operationId)).toMatchObject({ status: 'succeeded' });
      const { operationId } = cluster.drain((await joinerId())!);
      await cluster.enters(operationId, phase);
      await terminate(operationId);
      await recovered(operationId);
      expect(await shardCount()).toBe(3);
      expect(await cluster.joinersCollections()).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );
});
