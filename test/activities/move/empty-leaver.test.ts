import { CancelledFailure } from '@temporalio/activity';
import type { MockActivityEnvironment } from '@temporalio/testing';
import fc from 'fast-check';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

const LEAVER = 1;
let cluster: MovingCluster;
const start = async (options: Parameters<typeof MovingCluster.start>[0] = {}): Promise<void> => {
  cluster = await MovingCluster.start({ leaver: LEAVER, ...options });
};
afterEach(() => cluster.stop());

const input = () => {
  const { placement, shards } = cluster.move;
  return { placement, shards, leaver: cluster.address(LEAVER), settleMs: 500 };
};
const EMPTIED = { done: true, removed: 0, kept: 0, collectionsDropped: 1, lateWritesUntilMs: 0 };

/** As after the drop: every point is on its owner. Returns ids of points that the leaver never owned. */
function afterDrop(count: number): string[] {
  const moved = cluster.fill(count);
  for (const id of moved) {
    cluster.ownerOf(id).put(COLLECTION, cluster.leaver.get(COLLECTION, id)!);
    cluster.leaver.delete(COLLECTION, id);
  }
  return [0, 2].flatMap((id) => cluster.shards[id]!.ids(COLLECTION)).filter((id) => !moved.includes(id));
}

/** The sixth of `copies` is on the leaver; when it is deleted there, the first one arrives, behind the walk. */
function arrivesBehindWalk(copies: readonly string[]): void {
  cluster.leaver.put(COLLECTION, point(copies[5]!));
  cluster.leaver.faults.add({
    match: { method: 'DELETE', path: /\/points$/, nth: 1 },
    fault: { kind: 'beforeReply', run: () => cluster.leaver.put(COLLECTION, point(copies[0]!)) },
  });
}

describe('emptyLeaver', () => {
  it('drops the collections of a leaver without points, and changes no other shard', async () => {
    await start();
    afterDrop(300);
    cluster.leaver.create({ ...SCHEMA, name: 'only-here' });
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, collectionsDropped: 2 });
    expect(cluster.leaver.collections()).toEqual([]);
    expect([0, 2].flatMap((id) => cluster.writes(cluster.shards[id]!))).toEqual([]);
  });

  it("removes copies of other shards' points, whose owners hold them, page by page", async () => {
    await start({ shard: { limits: { fetchRowsMax: 40 } } });
    const copies = afterDrop(900).slice(0, 300);
    cluster.leaver.put(COLLECTION, ...copies.map((id) => point(id, -1)));
    const before = [0, 2].map((id) => cluster.shards[id]!.ids(COLLECTION));
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, removed: copies.length });
    expect(cluster.leaver.collections()).toEqual([]);
    expect([0, 2].map((id) => cluster.shards[id]!.ids(COLLECTION))).toEqual(before);
    expect(cluster.clock.sleptMs).toEqual([]);
  });

  it('keeps and counts what its owner lacks, after it has asked again, and removes the others around it', async () => {
    await start();
    const copies = afterDrop(600).slice(0, 100);
    const [moved] = cluster.movingIds(1);
    cluster.leaver.put(COLLECTION, ...[...copies, moved!].map((id) => point(id)));
    for (const id of [copies[7]!, moved!]) cluster.ownerOf(id).delete(COLLECTION, id);
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, removed: 99, kept: 2, collectionsDropped: 0 });
    expect(cluster.leaver.ids(COLLECTION)).toEqual([copies[7], moved].sort());
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('removes what its owner got while it waited', async () => {
    await start();
    const [copy] = afterDrop(300);
    cluster.leaver.put(COLLECTION, point(copy!));
    cluster.ownerOf(copy!).delete(COLLECTION, copy!);
    cluster.clock.onSleep = () => cluster.ownerOf(copy!).put(COLLECTION, point(copy!));
    expect((await cluster.run('emptyLeaver', input())).result).toEqual({ ...EMPTIED, removed: 1 });
  });

  it('keeps every point of a collection that the owners lack altogether, and of an owner that was wiped', async () => {
    await start();
    const copies = afterDrop(300).slice(0, 60);
    cluster.leaver.create({ ...SCHEMA, name: 'only-here' });
    for (const name of [COLLECTION, 'only-here']) cluster.leaver.put(name, ...copies.map((id) => point(id)));
    await cluster.shards[0]!.restart('wipe');
    const ofWiped = copies.filter((id) => cluster.ownerOf(id) === cluster.shards[0]);
    const { result } = await cluster.run('emptyLeaver', input());
    const [removed, kept] = [60 - ofWiped.length, 60 + ofWiped.length];
    expect(result).toEqual({ ...EMPTIED, removed, kept, collectionsDropped: 0 });
    expect(cluster.leaver.ids(COLLECTION)).toEqual(ofWiped.sort());
    expect(cluster.leaver.ids('only-here')).toHaveLength(60);
  });

  it('stops asking when its owners lack thousands of its points, and keeps and counts all that are left', async () => {
    await start();
    const copies = afterDrop(300).map((id) => `z-${id}`);
    for (const id of copies) cluster.ownerOf(id).put(COLLECTION, point(id));
    const alone = Array.from({ length: 2_000 }, (_, n) => `POINTDATA-alone-${String(n).padStart(4, '0')}`);
    cluster.leaver.put(COLLECTION, ...[...alone, ...copies].map((id) => point(id)));
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, kept: alone.length + copies.length, collectionsDropped: 0 });
    expect(cluster.leaver.ids(COLLECTION)).toHaveLength(alone.length + copies.length);
  }, 30_000);

  it.each([
    ['answers with an error', { kind: 'status', status: 500 } as const, 'ServerError'],
    ['cuts its connection', { kind: 'refuse' } as const, 'Unreachable'],
  ])('fails, and removes nothing that it could not ask about, when the owner %s', async (_title, fault, type) => {
    await start();
    const copy = afterDrop(300).find((id) => cluster.ownerOf(id) === cluster.shards[2])!;
    cluster.leaver.put(COLLECTION, point(copy));
    cluster.shards[2]!.faults.add({ match: { path: /\/points\// }, fault });
    expect(await cluster.failure('emptyLeaver', input())).toMatchObject({ type, nonRetryable: false });
    expect(cluster.leaver.ids(COLLECTION)).toEqual([copy]);
  });

  it('asks the leader, not a follower that lags and lacks the point', async () => {
    await start();
    const copy = afterDrop(300).find((id) => cluster.ownerOf(id) === cluster.shards[2])!;
    cluster.leaver.put(COLLECTION, point(copy));
    await cluster.failOver(2);
    expect((await cluster.run('emptyLeaver', input())).result).toMatchObject({ done: true, removed: 1, kept: 0 });
  });

  it('walks a collection again in which a point has arrived behind the walk', async () => {
    await start();
    const copies = afterDrop(300);
    arrivesBehindWalk(copies);
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, removed: 2 });
    expect(cluster.leaver.collections()).toEqual([]);
  });

  it('keeps a point that has arrived behind the walk and that its owner lacks', async () => {
    await start();
    const copies = afterDrop(300);
    arrivesBehindWalk(copies);
    cluster.ownerOf(copies[0]!).delete(COLLECTION, copies[0]!);
    const { result } = await cluster.run('emptyLeaver', input());
    expect(result).toEqual({ ...EMPTIED, removed: 1, kept: 1, collectionsDropped: 0 });
    expect(cluster.leaver.ids(COLLECTION)).toEqual([copies[0]]);
  });

  it('stops behind what it has removed when most of its time is over, and is done when it is called again', async () => {
    await start();
    const copies = afterDrop(600).slice(0, 50);
    cluster.leaver.put(COLLECTION, ...copies.map((id) => point(id)));
    cluster.leaver.create({ ...SCHEMA, name: 'later' });
    cluster.passTime(cluster.leaver, { method: 'DELETE', path: /\/points$/, nth: 1 }, 40_000);
    const first = await cluster.run('emptyLeaver', input());
    expect(first.result).toMatchObject({ done: false, removed: 50, collectionsDropped: 0 });
    expect(cluster.leaver.collections()).toEqual([COLLECTION, 'later']);
    const second = await cluster.run('emptyLeaver', input());
    expect(second.result).toEqual({ ...EMPTIED, collectionsDropped: 2 });
  });

  it('begins no further write when it is cancelled during one', async () => {
    await start({ schema: null });
    for (const name of ['a', 'b', 'c']) cluster.leaver.create({ ...SCHEMA, name });
    let cancel = (): void => undefined;
    const match = { method: 'DELETE', path: /collections\/a$/ };
    cluster.leaver.faults.add({ match, fault: { kind: 'before', run: () => cancel() } });
    const onStart = (environment: MockActivityEnvironment) => (cancel = () => environment.cancel());
    await expect(cluster.run('emptyLeaver', input(), { onStart })).rejects.toThrow(CancelledFailure);
    expect(cluster.leaver.collections()).toEqual(['b', 'c']);
  });

  it('goes on counting from its heartbeat when an attempt failed half-way, and ends with the same shards', async () => {
    await start({ shard: { limits: { fetchRowsMax: 40 } } });
    const copies = afterDrop(600).slice(0, 120);
    cluster.leaver.put(COLLECTION, ...copies.map((id) => point(id)));
    const before = [0, 2].map((id) => cluster.shards[id]!.ids(COLLECTION));
    cluster.leaver.faults.add({ match: { path: /\/fetch$/, nth: 3 }, fault: { kind: 'status', status: 500 } });
    const { next } = await cluster.interrupted('emptyLeaver', input());
    const removedBefore = 120 - cluster.leaver.ids(COLLECTION).length;
    expect(removedBefore).toBeGreaterThan(0);
    const { result } = await cluster.run('emptyLeaver', input(), next);
    expect(result).toEqual({ ...EMPTIED, removed: 120 });
    expect([0, 2].map((id) => cluster.shards[id]!.ids(COLLECTION))).toEqual(before);
  });

  it('repeats what it has to when the reply to a delete was lost, and says until when that one may arrive', async () => {
    await start();
    const copies = afterDrop(300).slice(0, 20);
    cluster.leaver.put(COLLECTION, ...copies.map((id) => point(id)));
    cluster.leaver.faults.add({
      match: { method: 'DELETE', path: /\/points$/, nth: 1 },
      fault: { kind: 'replyLost' },
    });
    await cluster.failure('emptyLeaver', input());
    const { result } = await cluster.run('emptyLeaver', input(), { info: { attempt: 2 } });
    expect(result).toMatchObject({ done: true, kept: 0, collectionsDropped: 1 });
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    expect(cluster.leaver.collections()).toEqual([]);
  });

  it('changes nothing when it is repeated', async () => {
    await start();
    afterDrop(100);
    await cluster.run('emptyLeaver', input());
    expect((await cluster.run('emptyLeaver', input())).result).toEqual({ ...EMPTIED, collectionsDropped: 0 });
  });

  it('wherever points lie: leaves exactly what its owner lacks, and touches no other shard', async () => {
    await start({ shard: { limits: { fetchRowsMax: 10 } } });
    const place = fc.constantFrom('leaver', 'owner', 'both', 'elsewhere');
    await fc.assert(
      fc.asyncProperty(fc.array(place, { minLength: 1, maxLength: 40 }), async (places) => {
        cluster.clear();
        places.forEach((where, n) => {
          const id = `POINTDATA-${n}`;
          const owner = cluster.ownerOf(id);
          const other = owner === cluster.shards[0] ? cluster.shards[2]! : cluster.shards[0]!;
          if (where !== 'owner') cluster.leaver.put(COLLECTION, point(id, n));
          if (where === 'owner' || where === 'both') owner.put(COLLECTION, point(id, -n));
          // What another shard than the owner holds says nothing.
          if (where === 'elsewhere') other.put(COLLECTION, point(id, n));
        });
        const before = cluster.shards.map((shard) => shard.ids(COLLECTION));
        const kept = before[LEAVER]!.filter((id) => cluster.ownerOf(id).get(COLLECTION, id) === null);
        const { result } = await cluster.run('emptyLeaver', input());
        const removed = before[LEAVER]!.length - kept.length;
        expect(result).toMatchObject({ done: true, kept: kept.length, removed });
        expect(cluster.leaver.ids(COLLECTION)).toEqual(kept);
        expect(cluster.leaver.collections()).toEqual(kept.length === 0 ? [] : [COLLECTION]);
        expect([0, 2].map((id) => cluster.shards[id]!.ids(COLLECTION))).toEqual([before[0], before[2]]);
      }),
      { numRuns: 25 },
    );
  });
});
