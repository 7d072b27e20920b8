import { describeWithQuiver } from '../support/real-quiver';
import { sharedTemporal } from '../support/temporal';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectDrained, expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 600_000;
const ROUNDS = 1;

describeWithQuiver('a cluster that is written to', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: await sharedTemporal() });
  });

  afterAll(() => cluster.dispose());

  test(
    'loses, revives and misplaces nothing while it grows by a machine and is drained of it again',
    async () => {
      const ids = new Set<number>();
      for (let round = 0; round < ROUNDS; round++) {
        cluster.check.start();
        const grow = cluster.grow();
        const [id] = (await grow.answered).joining as [number];
        expect(ids.has(id)).toBe(false);
        ids.add(id);
        expect(await cluster.ends(grow.operationId)).toMatchObject({
          status: 'succeeded',
          outcome: { points_kept: 0 },
        });
        const drain = cluster.drain(id);
        expect((await drain.answered).leaving).toEqual([id]);
        expect(await cluster.ends(drain.operationId)).toMatchObject({
          status: 'succeeded',
          outcome: { points_kept: 0 },
        });
        const report = await cluster.verify(round === ROUNDS - 1 ? 'every' : 'written');
        expectNothingWrong(report);
        expectNothingRefused(report);
        await expectDrained(cluster, cluster.joiner);
      }
      // INV-1: one version more with every change, and none that comes twice.
      expect(cluster.map.versions).toEqual(Array.from({ length: 4 * ROUNDS + 1 }, (_, version) => version));
    },
    TEST_TIMEOUT_MS,
  );
});
