import { comparing } from '../../support/comparing';
import { COLLECTION, MovingCluster, SCHEMA } from '../../support/moving-cluster';
import { LOOKING } from '../../support/shard-faults';

let cluster: MovingCluster;
afterEach(() => cluster.stop());
const { pass, expectSame, copied, run, copy } = comparing(() => cluster);

describe('a donor that has lost data', () => {
  it('is found out before anything is deleted because of it, and only a person can go on', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    await copy();
    cluster.shards[0]!.delete(COLLECTION, ...moving.slice(0, 101));
    const failure = await cluster.failure('compareDonor', pass({ recut: false, scanReceivers: false }));
    expect(failure).toMatchObject({ type: 'ShardLostData', nonRetryable: true });
    expect(failure.message).toMatch(/shard 0.*lacks 101/);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
  });

  it('is not seen in what clients may have deleted: 100 points, or one in a hundred', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    await copy();
    cluster.shards[0]!.delete(COLLECTION, ...moving.slice(0, 100));
    expect(await run({ recut: false, scanReceivers: false })).toMatchObject({ deleted: 100 });
    expectSame();
  });

  it('is found out by its missing mark, however few points it held', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(5);
    cluster.identify();
    await copy();
    await cluster.shards[0]!.restart('wipe');
    expect(await cluster.failure('compareDonor', pass())).toMatchObject({ type: 'ShardLostData', nonRetryable: true });
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
  });

  it('is found out when it loses its volume in the middle of a pass, before anything is deleted', async () => {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = copied(5);
    await copy();
    const [donor] = cluster.shards;
    donor!.faults.add({
      match: { ...LOOKING, nth: 1 },
      fault: {
        kind: 'before',
        run: () => {
          for (const name of donor!.collections()) donor!.drop(name);
          donor!.create(SCHEMA);
        },
      },
    });
    expect((await cluster.failure('compareDonor', pass({ recut: false }))).type).toBe('ShardLostData');
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
  });

  it('is found out at the end of a pass when it is the joiner, after it was asked', async () => {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = copied(50);
    await copy();
    const { joiner } = cluster;
    const lose = (): void => joiner.collections().forEach((name) => joiner.drop(name));
    joiner.faults.add({ match: { ...LOOKING, nth: 1 }, fault: { kind: 'beforeReply', run: lose } });
    expect((await cluster.failure('compareDonor', pass({ recut: false }))).type).toBe('ShardLostData');
    expect(cluster.shards[0]!.ids(COLLECTION)).toEqual(expect.arrayContaining(moving));
  });

  it('has dropped the collection when it still bears its mark: then the owners keep theirs until somebody drops it', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(50);
    cluster.shards[0]!.faults.add({
      match: { ...LOOKING, nth: 1 },
      fault: { kind: 'before', run: () => cluster.shards[0]!.drop(COLLECTION) },
    });
    expect(await run()).toMatchObject({ upserted: 0, deleted: 0 });
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
  });

  it('is no owner that a client drops the collection on: that one is waited for', async () => {
    cluster = await MovingCluster.start();
    copied(50);
    cluster.joiner.faults.add({
      match: { ...LOOKING, nth: 1 },
      fault: { kind: 'before', run: () => cluster.joiner.drop(COLLECTION) },
    });
    const failure = await cluster.failure('compareDonor', pass());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(failure.message).toContain('shard 2 lacks it');
  });
});
