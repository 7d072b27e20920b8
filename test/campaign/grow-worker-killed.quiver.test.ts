import { GROW_PHASES } from '../../src/domain/progress';
import { describeWithQuiver } from '../support/real-quiver';
import { PrivateTemporal } from '../support/temporal';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

/** Every kill is missed only after a heartbeat time-out, and what the killed worker may still be writing is waited for. */
const TEST_TIMEOUT_MS = 240_000;
/** Grows over which the phases are dealt out: the worker has recovered from one kill before the next one comes. */
const GROWS = 3;
const PHASES_BY_GROW = Array.from({ length: GROWS }, (_, grow) =>
  GROW_PHASES.filter((_phase, index) => index % GROWS === grow),
);

describeWithQuiver('a grow whose worker is killed (SIGKILL) and started again', () => {
  let temporal: PrivateTemporal;
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    temporal = await PrivateTemporal.start();
  });

  afterAll(() => temporal.dispose());

  beforeEach(async () => {
    cluster = await ClusterUnderTest.start({ temporal, shardDelayMs: 150 });
  });

  afterEach(() => cluster.dispose());

  test.each(PHASES_BY_GROW.map((phases) => ({ phases, title: phases.join(', ') })))(
    'loses nothing, and no client notices, when that happens in each of the phases $title',
    async ({ phases }) => {
      const { operationId, answered } = cluster.grow();
      for (const phase of phases) {
        await cluster.enters(operationId, phase);
        await cluster.worker.restart();
      }
      expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', outcome: { points_kept: 0 } });
      expect((await answered).version).toBe(1);
      const report = await cluster.verify();
      expectNothingWrong(report);
      expectNothingRefused(report);
      await expectGrown(cluster);
    },
    TEST_TIMEOUT_MS,
  );
});
