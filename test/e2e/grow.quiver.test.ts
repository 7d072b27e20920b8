import { describeWithQuiver } from '../support/real-quiver';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

describeWithQuiver('a grow of a cluster that is written to', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: null });
  });

  afterAll(() => cluster.dispose());

  test('loses nothing, brings nothing back, misplaces nothing and lets no client notice', async () => {
    const { operationId, answered } = cluster.grow();
    expect((await answered).joining).toHaveLength(1);
    const operation = await cluster.ends(operationId);
    expect(operation).toMatchObject({ status: 'succeeded', attempts: 0, outcome: { points_kept: 0 } });
    const report = await cluster.verify('every');
    expectNothingWrong(report);
    expectNothingRefused(report);
    await expectGrown(cluster);
    expect(cluster.map.versions).toEqual([1, 2, 3]);
    const onJoiner = report.checked.pointsByShard[2] ?? 0;
    expect(onJoiner).toBeGreaterThan(report.checked.pointsOnShards / 4);
    expect(onJoiner).toBeLessThan(report.checked.pointsOnShards / 2);
  });
});
