import { describeWithQuiver, type RealQuiver } from '../support/real-quiver';
import { PrivateTemporal } from '../support/temporal';
import { waitFor } from '../support/wait-for';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 240_000;
/** One before points move for good, one that allows the flip, one behind it. */
const PHASES = ['copy', 'reconcile', 'drop'];

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

    async function growWith(inPhase: (operationId: string) => Promise<void>): Promise<void> {
      const { operationId, answered } = cluster.grow();
      await answered;
      for (const phase of PHASES) {
        await cluster.enters(operationId, phase);
        await inPhase(operationId);
      }
      expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
    }

    test(
      'loses nothing, and no client and no router notices, when it is Temporal',
      async () => {
        await growWith(async () => {
          await temporal.kill();
          await temporal.start();
        });
        const report = await cluster.verify();
        expectNothingWrong(report);
        expectNothingRefused(report);
        // The map was answered all the while: the last known one, marked as stale.
        await expectGrown(cluster);
      },
      TEST_TIMEOUT_MS,
    );

    test(
      'loses nothing, no client notices, and the map goes on from where it was, when it is the API',
      async () => {
        await growWith(async () => {
          cluster.map.isApiDown = true;
          await cluster.api.restart();
          cluster.map.isApiDown = false;
        });
        const report = await cluster.verify();
        expectNothingWrong(report);
        expectNothingRefused(report);
        await expectGrown(cluster);
      },
      TEST_TIMEOUT_MS,
    );

    // Clients do notice when a shard is gone. Nothing that was acknowledged may be lost all the same.
    test.each(['donor', 'joiner'] as const)(
      'loses nothing when it is a %s, and says meanwhile what it waits for',
      async (who) => {
        const victim = quiverOf(cluster, who);
        await growWith(async (operationId) => {
          await victim.kill();
          // INV-9
          const waiting = await waitFor('the operation says that it waits for the shard', async () => {
            const view = await cluster.operation(operationId);
            return view?.waiting?.reason.includes('http') === true ? view.waiting : null;
          });
          expect(waiting.ends_when).not.toBe('');
          await victim.start();
        });
        expectNothingWrong(await cluster.verify());
        await expectGrown(cluster);
      },
      TEST_TIMEOUT_MS,
    );
  },
);

function quiverOf(cluster: ClusterUnderTest, who: 'donor' | 'joiner'): RealQuiver {
  const member = who === 'donor' ? cluster.donors[0] : cluster.joiner;
  if (member === undefined) throw new Error('the cluster has two donors');
  return member.quiver;
}
