import { CancelledFailure } from '@temporalio/activity';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const input = (collectionsBefore: readonly string[], nonemptyBefore: readonly string[] = []) => ({
  placement: cluster.placement,
  shards: cluster.move.shards,
  joiner: cluster.address(cluster.placement.joining[0]!),
  collectionsBefore,
  nonemptyBefore,
});

describe('cleanJoiner', () => {
  it('drops the collections that the joiner did not have before, and empties no donor', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.fill(300);
    for (const id of moving) cluster.joiner.put(COLLECTION, point(id));
    const { result } = await cluster.run('cleanJoiner', input([]));
    expect(result).toEqual({ collectionsDropped: 1, pointsDeleted: 0, lateWritesUntilMs: 0 });
    expect(cluster.joiner.collections()).toEqual([]);
    expect(cluster.writes(cluster.shards[0]!)).toEqual([]);
  });

  it('deletes the slice, and nothing else, from a collection that the joiner had before', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 30 } } });
    const moving = cluster.fill(900);
    const others = cluster.shards[0]!.ids(COLLECTION).filter((id) => !moving.includes(id));
    cluster.joiner.put(COLLECTION, ...[...moving, ...others].map((id) => point(id)));
    cluster.joiner.create({ ...SCHEMA, name: 'mine' });
    const { result } = await cluster.run('cleanJoiner', input([COLLECTION, 'mine']));
    expect(result).toEqual({ collectionsDropped: 0, pointsDeleted: moving.length, lateWritesUntilMs: 0 });
    expect(cluster.joiner.ids(COLLECTION)).toEqual([...others].sort());
    expect(cluster.joiner.collections()).toEqual([COLLECTION, 'mine']);
  });

  it('deletes a point that arrives behind the walk, too', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.fill(300);
    for (const id of moving) cluster.joiner.put(COLLECTION, point(id));
    cluster.joiner.faults.add({
      match: { method: 'DELETE', nth: 1 },
      fault: { kind: 'beforeReply', run: () => cluster.joiner.put(COLLECTION, point(moving[0]!)) },
    });
    await cluster.run('cleanJoiner', input([COLLECTION]));
    expect(cluster.joiner.ids(COLLECTION)).toEqual([]);
  });

  it('begins no further write when it is cancelled during one', async () => {
    cluster = await MovingCluster.start();
    for (const name of ['a', 'b', 'c']) cluster.joiner.create({ ...SCHEMA, name });
    let cancel = (): void => undefined;
    cluster.joiner.faults.add({ match: { method: 'DELETE' }, fault: { kind: 'before', run: () => cancel() } });
    const onStart = (environment: MockActivityEnvironment) => (cancel = () => environment.cancel());
    await expect(cluster.run('cleanJoiner', input([]), { onStart })).rejects.toThrow(CancelledFailure);
    expect(cluster.joiner.collections()).toEqual(['b', 'c', COLLECTION]);
  });

  it('leaves a collection alone that held points of its own before, and still empties the others', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.fill(300);
    cluster.joiner.create({ ...SCHEMA, name: 'mine' });
    for (const name of [COLLECTION, 'mine']) cluster.joiner.put(name, ...moving.map((id) => point(id)));
    const { result } = await cluster.run('cleanJoiner', input([COLLECTION, 'mine'], ['mine']));
    expect(result).toMatchObject({ collectionsDropped: 0, pointsDeleted: moving.length });
    expect(cluster.joiner.ids('mine')).toEqual(moving);
    expect(cluster.joiner.ids(COLLECTION)).toEqual([]);
  });

  it('changes nothing when it is repeated', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(100);
    await cluster.run('cleanJoiner', input([]));
    const { result } = await cluster.run('cleanJoiner', input([]));
    expect(result).toEqual({ collectionsDropped: 0, pointsDeleted: 0, lateWritesUntilMs: 0 });
  });
});
