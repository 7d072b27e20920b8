import type { CoordinatorActivities } from '../../../src/contract/activities';
import { startShard, type InProcessShard } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
let leftover: InProcessShard;
beforeEach(async () => {
  cluster = await MovingCluster.start();
  leftover = await startShard();
});
afterEach(async () => {
  await cluster.stop();
  await leftover.stop();
});

type InspectInput = Parameters<CoordinatorActivities['inspectCollections']>[0];

const parties = () => ({
  placement: { shards: [0, 1, 2], joining: [], leaving: [] },
  shards: cluster.move.shards,
  leftovers: [{ primary_url: leftover.url, replica_urls: [] }],
});
const input = (change: Partial<InspectInput> = {}): InspectInput => ({
  ...parties(),
  collections: null,
  creates: false,
  settleMs: 500,
  ...change,
});
const ALIKE = { collection: COLLECTION, notCompared: null, missingOn: [], otherSchemaOn: [], rows: 0 };

describe('inspectCollections', () => {
  it('finds nothing wrong, and waits for nothing, where all shards are alike and a leftover lacks it', async () => {
    cluster.shards[1]!.put(COLLECTION, point('POINTDATA-a'), point('POINTDATA-b'));
    const { result } = await cluster.run('inspectCollections', input());
    expect(result).toEqual({ collections: [{ ...ALIKE, rows: 2 }], created: 0, lateWritesUntilMs: 0 });
    expect(cluster.clock.sleptMs).toEqual([]);
  });

  it('tells where a collection is missing, and creates it there alike only when told to', async () => {
    const schema = { ...SCHEMA, name: 'other', filterable: [{ path: 'value', field_type: 'numeric' }] };
    for (const id of [0, 2]) cluster.shards[id]!.create(schema);
    const looked = await cluster.run('inspectCollections', input());
    expect(looked.result).toMatchObject({
      created: 0,
      collections: [ALIKE, { collection: 'other', missingOn: ['1'] }],
    });
    expect(cluster.shards[1]!.collections()).toEqual([COLLECTION]);
    const created = await cluster.run('inspectCollections', input({ creates: true }));
    expect(created.result).toMatchObject({
      created: 1,
      collections: [ALIKE, { collection: 'other', missingOn: ['1'] }],
    });
    const again = await cluster.run('inspectCollections', input({ creates: true }));
    expect(again.result.collections[1]).toMatchObject({ missingOn: [], otherSchemaOn: [], notCompared: null });
    expect(leftover.collections()).toEqual([]);
  });

  it('does not create what a client creates by itself meanwhile, and does not report it', async () => {
    for (const id of [0, 1]) cluster.shards[id]!.create({ ...SCHEMA, name: 'other' });
    cluster.clock.onSleep = () => cluster.joiner.create({ ...SCHEMA, name: 'other' });
    const { result } = await cluster.run('inspectCollections', input({ creates: true }));
    expect(result).toMatchObject({ created: 0, collections: [ALIKE, { ...ALIKE, collection: 'other' }] });
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('names the shards whose settings differ from most, and creates nothing then', async () => {
    for (const [id, dim] of [2, 3].entries()) cluster.shards[id]!.create({ ...SCHEMA, name: 'other', dim });
    leftover.create({ ...SCHEMA, name: 'other', dim: 3 });
    const { result } = await cluster.run('inspectCollections', input({ creates: true }));
    expect(result.created).toBe(0);
    expect(result.collections[1]).toMatchObject({
      notCompared: 'other_schema',
      missingOn: ['2'],
      otherSchemaOn: ['0'],
    });
  });

  it('creates with the flag that only gRPC tells, and names shards that are told to differ in it', async () => {
    const binary = { ...SCHEMA, index: 'disk_vamana', binary: true };
    for (const id of [0, 1]) cluster.shards[id]!.create({ ...binary, name: 'quantized' });
    for (const id of [0, 1, 2]) cluster.shards[id]!.create({ ...binary, name: 'mixed', binary: id !== 1 });
    const { result } = await cluster.run('inspectCollections', input({ creates: true }));
    expect(result.created).toBe(1);
    expect(result.collections[1]).toMatchObject({ notCompared: 'other_schema', otherSchemaOn: ['1'] });
    const again = await cluster.run('inspectCollections', input({ creates: true }));
    expect(again.result).toMatchObject({ created: 0, collections: [ALIKE, {}, { notCompared: null }] });
  });

  it('compares no documents of several vectors where gRPC does not answer, and no collection that only leftovers have, and says why', async () => {
    for (const shard of cluster.shards) shard.create({ ...SCHEMA, name: 'multi', index: 'colbert', multivector: true });
    cluster.shards[1]!.putDocument('multi', 'POINTDATA-a', [[1, 2]]);
    await cluster.shards[1]!.closeGrpc();
    leftover.create({ ...SCHEMA, name: 'old' });
    const { result } = await cluster.run('inspectCollections', input({ creates: true }));
    expect(result.created).toBe(0);
    expect(result.collections).toMatchObject([
      ALIKE,
      { collection: 'multi', notCompared: 'multivector' },
      { collection: 'old', notCompared: 'only_on_leftovers', missingOn: ['0', '1', '2'] },
    ]);
  });

  it('looks only at the requested collections, and refuses a name that no shard has', async () => {
    for (const shard of cluster.shards) shard.create({ ...SCHEMA, name: 'other' });
    const { result } = await cluster.run('inspectCollections', input({ collections: ['other'] }));
    expect(result.collections.map(({ collection }) => collection)).toEqual(['other']);
    const failure = await cluster.failure('inspectCollections', input({ collections: ['dosc'] }));
    expect(failure).toMatchObject({ type: 'InvalidRequest', nonRetryable: true });
  });

  it('fails when a shard cannot be asked: unknown is not "has none"', async () => {
    await leftover.stop();
    expect(await cluster.failure('inspectCollections', input())).toMatchObject({ type: 'Unreachable' });
  });
});
