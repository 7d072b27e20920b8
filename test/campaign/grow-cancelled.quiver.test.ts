import { GROW_PHASES } from '../../src/domain/progress';
import { describeWithQuiver } from '../support/real-quiver';
import { sharedTemporal } from '../support/temporal';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 120_000;
const BEFORE_THE_FLIP = GROW_PHASES.slice(0, GROW_PHASES.indexOf('promote'));

/** One cluster for all of them: each must leave it so that the next one finds it as the first did. */
describeWithQuiver('a grow that is cancelled', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: await sharedTemporal(), shardDelayMs: 250 });
  });

  // The verification stops the clients.
  beforeEach(() => cluster.check.start());

  afterAll(() => cluster.dispose());

  // INV-7
  test.each(BEFORE_THE_FLIP)(
    'leaves cluster and joiner as they were, when that happens in the phase %s',
    async (phase) => {
      const before = await cluster.currentMap();
      const { operationId } = cluster.grow();
      expect(await cluster.enters(operationId, phase)).toMatchObject({ point_of_no_return_passed: false });
      expect((await cluster.cancel(operationId)).status).toBe(200);
      const ended = await cluster.ends(operationId);
      expect(ended).toMatchObject({ status: 'cancelled', cancel_requested: true, point_of_no_return_passed: false });
      expect(await cluster.joinersCollections()).toEqual([]);
      const report = await cluster.verify();
      expectNothingWrong(report);
      expectNothingRefused(report);
      const { version, ...after } = await cluster.currentMap();
      expect(after).toEqual({ shards: before.shards, joining: [], leaving: [] });
      const wasAnnounced = cluster.map.versions.includes(before.version + 1);
      // A version that lives shorter than the pause between two reads may not have been seen.
      expect(wasAnnounced ? [2] : [0, 2]).toContain(version - before.version);
      expect(cluster.map.faults).toEqual([]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'is refused with the reason after the flip, and succeeds all the same, after all those that were cancelled',
    async () => {
      const { operationId } = cluster.grow();
      await cluster.enters(operationId, 'await-routers-after');
      const refusal = await cluster.cancel(operationId);
      expect(refusal.status).toBe(409);
      expect(await refusal.json()).toMatchObject({ code: 'PointOfNoReturnPassed' });
      expect(await cluster.ends(operationId)).toMatchObject({ status: 'succeeded', cancel_requested: false });
      expectNothingWrong(await cluster.verify());
      await expectGrown(cluster);
    },
    TEST_TIMEOUT_MS,
  );
});
