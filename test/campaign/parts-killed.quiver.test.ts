import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';
import { describeWithQuiver, type RealQuiver } from '../support/real-quiver';
import { sample } from '../support/sample';
import { PrivateTemporal } from '../support/temporal';
import { waitFor } from '../support/wait-for';

const TEST_TIMEOUT_MS = 240_000;
/** One before points move for good, one that allows the flip, one after it. */
const PHASES = ['copy', 'reconcile', 'drop'];
const PARTS = ['Temporal', 'the API', 'a donor', 'the joiner'] as const;

describeWithQuiver(
  'a grow during which a part is killed (SIGKILL) and started again, in copy, reconcile and drop',
  () => {
    let temporal: PrivateTemporal;
    let cluster: ClusterUnderTest;

    beforeAll(async () => {
      temporal = await PrivateTemporal.start();
    });
    afterAll(() => temporal.dispose());
    beforeEach(async () => {
      cluster = await ClusterUnderTest.start({ temporal, shardDelayMs: 200 });
    });
    afterEach(() => cluster.dispose());

    const killTemporal = async (): Promise<void> => {
      await temporal.kill();
      await temporal.start();
    };
    const killApi = async (): Promise<void> => {
      cluster.map.isApiDown = true;
      await cluster.api.restart();
      cluster.map.isApiDown = false;
    };
    const killShard = async (victim: RealQuiver | undefined, operationId: string): Promise<void> => {
      await victim?.kill();
      // INV-9
      const waiting = await waitFor('the operation says that it waits for the shard', async () => {
        const view = await cluster.operation(operationId);
        return view?.waiting?.reason.includes('http') === true ? view.waiting : null;
      });
      expect(waiting.ends_when).not.toBe('');
      await victim?.start();
    };
    const kill: Record<(typeof PARTS)[number], (operationId: string) => Promise<void>> = {
      Temporal: killTemporal,
      'the API': killApi,
      'a donor': (operationId) => killShard(cluster.donors[0]?.quiver, operationId),
      'the joiner': (operationId) => killShard(cluster.joiner.quiver, operationId),
    };

    test.each(sample('parts killed', PARTS))(
      'loses nothing when it is %s',
      async (part) => {
        const { operationId, answered } = cluster.grow();
        await answered;
        for (const phase of PHASES) {
          await cluster.enters(operationId, phase);
          await kill[part](operationId);
        }
        expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
        const report = await cluster.verify();
        expectNothingWrong(report);
        // Clients notice when a shard is gone. Without Temporal the last known map is answered, marked as stale.
        if (part === 'Temporal' || part === 'the API') expectNothingRefused(report);
        await expectGrown(cluster);
      },
      TEST_TIMEOUT_MS,
    );
  },
);
