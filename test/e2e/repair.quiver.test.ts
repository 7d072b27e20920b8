import { randomUUID } from 'node:crypto';
import { PlacementPlan } from '../../src/domain/placement-plan';
import { placementSpec, type ShardMap } from '../../src/domain/shard-map';
import type { OperationView } from '../../src/wire/coordinator-api';
import { describeWithQuiver } from '../support/real-quiver';
import { sharedTemporal } from '../support/temporal';
import { ClusterUnderTest, COLLECTIONS } from '../support/cluster-under-test';
import { expectGrown, expectNothingRefused, expectNothingWrong } from '../support/expectations';

const TEST_TIMEOUT_MS = 240_000;

describeWithQuiver('a shard that is added by POST /cluster/shards, without a move', () => {
  let cluster: ClusterUnderTest;

  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: await sharedTemporal() });
  });

  afterAll(() => cluster.dispose());

  async function post<T>(path: string, body: object): Promise<T> {
    const headers = { 'idempotency-key': randomUUID() };
    const reply = await cluster.call('POST', path, { headers, body: JSON.stringify(body) });
    expect([path, reply.status]).toEqual([path, 200]);
    return (await reply.json()) as T;
  }

  async function operate(path: string): Promise<OperationView> {
    const view = await cluster.operate(path);
    expect(view).toMatchObject({ status: 'succeeded' });
    return view;
  }

  test(
    'is what a check finds and a repair mends, while clients write and delete what lies where it belongs',
    async () => {
      expectNothingWrong(await cluster.verify());
      const map = await post<ShardMap>('/cluster/shards', { primary_url: cluster.joiner.url });
      expect(map.joining).toEqual([]);

      const checked = (await operate('/cluster/check')).findings;
      expect(checked?.found.totals).toMatchObject({ collections_missing: COLLECTIONS.length });
      expect(checked?.found.totals.only_here).toBeGreaterThan(1_000);
      expect(checked?.found.samples.length).toBeGreaterThan(0);

      // What the new shard owns cannot be read or deleted before it is there: Quiver itself loses such a delete.
      const plan = new PlacementPlan(placementSpec(map));
      const added = map.shards.find((shard) => shard.primary_url === cluster.joiner.url)!.id;
      cluster.check.start((id) => plan.ownerOf(Buffer.from(id)) !== added);
      const repaired = (await operate('/cluster/repair')).findings;
      expect(repaired?.mended.moved).toBe(checked?.found.totals.only_here);
      const during = await cluster.verify('every');
      expectNothingWrong(during);
      expectNothingRefused(during);

      const { findings } = await operate('/cluster/check');
      expect(findings?.found.totals).toMatchObject({ agreeing: 0, differing: 0, only_here: 0, conflicting: 0 });
      cluster.check.start();
      const after = await cluster.verify('every');
      expectNothingWrong(after);
      expectNothingRefused(after);
      await expectGrown(cluster);
    },
    TEST_TIMEOUT_MS,
  );
});
