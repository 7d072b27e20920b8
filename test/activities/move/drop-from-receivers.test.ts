import fc from 'fast-check';
import type { DropInput } from '../../../src/contract/move';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';

const LEAVER = 1;
let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start({ leaver: LEAVER, shard: { limits: { fetchRowsMax: 100 } } });
});
afterEach(() => cluster.stop());

const DROPPED = { cursor: null, restarted: false, collectionGone: false, lateWritesUntilMs: 0 };
/** The undo of a drain: the leaver is the owner again, and the others drop the copies. */
const undo = (more: Partial<DropInput> = {}): DropInput => ({
  ...cluster.move,
  cursor: null,
  settleMs: 500,
  absentIsDeleted: true,
  from: 'receivers',
  ...more,
});

/** Points where they belong, and copies of the leaver's on their new owners too. Returns the ids that were copied. */
function copied(count: number): string[] {
  const moving = cluster.fill(count);
  for (const id of moving) cluster.ownerOf(id).put(COLLECTION, cluster.leaver.get(COLLECTION, id)!);
  return moving;
}

function copiesLeft(moving: readonly string[]): string[] {
  return moving.filter((id) => cluster.ownerOf(id).get(COLLECTION, id) !== null);
}

const idsOnAll = (): (readonly string[])[] => cluster.shards.map((shard) => shard.ids(COLLECTION));
const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

describe('dropSegment from the receivers, in the undo of a drain', () => {
  it('removes the copies from all new owners, and neither a point of their own nor one of the leaver', async () => {
    cluster.fill(1_500);
    const before = idsOnAll();
    const moving = copied(1_500);
    const { result } = await cluster.run('dropSegment', undo());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 0 });
    expect(Object.keys(result.droppedByDonor).sort()).toEqual(['0', '2']);
    expect(sumOf(result.droppedByDonor)).toBe(moving.length);
    expect(idsOnAll()).toEqual(before);
    expect(cluster.writes(cluster.leaver)).toEqual([]);
  });

  it('removes a copy of what a client has deleted from the leaver, after it has asked again', async () => {
    const moving = copied(900);
    cluster.leaver.delete(COLLECTION, moving[0]!, moving[9]!);
    const { result } = await cluster.run('dropSegment', undo());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 2, kept: 0 });
    expect(copiesLeft(moving)).toEqual([]);
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('does not take for deleted what the leaver got while it waited', async () => {
    const moving = copied(900);
    cluster.leaver.delete(COLLECTION, moving[0]!);
    cluster.clock.onSleep = () => cluster.leaver.put(COLLECTION, point(moving[0]!));
    const { result } = await cluster.run('dropSegment', undo());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 0 });
    expect(copiesLeft(moving)).toEqual([]);
  });

  it.each([
    ['was wiped, collection and all', () => cluster.leaver.restart('wipe')],
    ['holds none of it', () => void cluster.leaver.delete(COLLECTION, ...cluster.leaver.ids(COLLECTION))],
    [
      'lacks a large part of it',
      () => void cluster.leaver.delete(COLLECTION, ...cluster.leaver.ids(COLLECTION).slice(0, 200)),
    ],
  ])('keeps every copy that the leaver lacks when it %s', async (_title, loseData) => {
    const moving = copied(1_500);
    await loseData();
    const lost = moving.filter((id) => cluster.leaver.get(COLLECTION, id) === null);
    const { result } = await cluster.run('dropSegment', undo());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: lost.length });
    expect(copiesLeft(moving)).toEqual(lost);
  });

  it('fails, and removes nothing that it would have to ask about, when the leaver cannot be asked', async () => {
    const moving = copied(300);
    cluster.leaver.delete(COLLECTION, moving[0]!);
    cluster.leaver.faults.add({ match: { path: /\/points\// }, fault: { kind: 'status', status: 500 } });
    expect(await cluster.failure('dropSegment', undo())).toMatchObject({ type: 'ServerError', nonRetryable: false });
    expect(copiesLeft(moving)).toContain(moving[0]);
  });

  it('has nothing to do on a receiver that lacks the collection, and says that it is gone when all lack it', async () => {
    const moving = copied(300);
    cluster.shards[2]!.drop(COLLECTION);
    expect((await cluster.run('dropSegment', undo())).result).toMatchObject({ ...DROPPED, kept: 0 });
    expect(moving.filter((id) => cluster.shards[0]!.get(COLLECTION, id) !== null)).toEqual([]);
    cluster.shards[0]!.drop(COLLECTION);
    expect((await cluster.run('dropSegment', undo())).result).toMatchObject({
      collectionGone: true,
      droppedByDonor: {},
    });
    expect(cluster.leaver.ids(COLLECTION)).toEqual(moving);
  });

  it('goes on behind the last copy that it kept when every other row before its cursor is gone', async () => {
    const receiver = cluster.shards[0]!;
    const moving = cluster.movingIds(1_200).filter((id) => cluster.ownerOf(id) === receiver);
    for (const shard of [cluster.leaver, receiver]) shard.put(COLLECTION, ...moving.map((id) => point(id)));
    cluster.leaver.delete(COLLECTION, moving[1]!);
    const late = cluster.passTime(receiver, { path: /fetch$/, nth: 4 }, 40_000);
    const first = await cluster.run('dropSegment', undo({ absentIsDeleted: false }));
    late.remove();
    expect(first.result).toMatchObject({ kept: 1, restarted: false });
    expect(first.result.cursor).not.toBeNull();
    expect(copiesLeft(moving).length).toBeGreaterThan(1);
    const { cursor } = first.result;
    const second = await cluster.run('dropSegment', undo({ absentIsDeleted: false, cursor }));
    expect(second.result).toMatchObject({ cursor: null, kept: 0, restarted: false });
    expect(copiesLeft(moving)).toEqual([moving[1]]);
    expect(sumOf(first.result.droppedByDonor) + sumOf(second.result.droppedByDonor)).toBe(moving.length - 1);
  });

  it('goes on from its heartbeat when an attempt failed half-way, and counts each copy once', async () => {
    const moving = copied(2_000);
    const receiver = cluster.shards[2]!;
    cluster.passTime(receiver, { path: /fetch$/, nth: 2 }, 2_000);
    receiver.faults.add({ match: { path: /fetch$/, nth: 5 }, fault: { kind: 'status', status: 500 } });
    const { next } = await cluster.interrupted('dropSegment', undo());
    const left = copiesLeft(moving).length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(moving.length);
    const { result } = await cluster.run('dropSegment', undo(), next);
    expect(result).toMatchObject({ ...DROPPED, kept: 0, droppedAsDeleted: 0 });
    expect(sumOf(result.droppedByDonor)).toBe(moving.length);
    expect(copiesLeft(moving)).toEqual([]);
  });

  it('repeats what it has to when the reply to a delete was lost, and says until when that one may arrive', async () => {
    const moving = copied(900);
    const own = idsOnAll().map((ids, index) => (index === LEAVER ? ids : ids.filter((id) => !moving.includes(id))));
    cluster.shards[2]!.faults.add({ match: { method: 'DELETE', nth: 1 }, fault: { kind: 'replyLost' } });
    await cluster.failure('dropSegment', undo());
    const { result } = await cluster.run('dropSegment', undo(), { info: { attempt: 2 } });
    expect(result).toMatchObject({ cursor: null, kept: 0 });
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    expect(idsOnAll()).toEqual(own);
  });

  it('reads the leaver from its leader, because a follower that lags would make copies look deleted', async () => {
    const moving = copied(300);
    await cluster.failOver(LEAVER);
    const { result } = await cluster.run('dropSegment', undo());
    expect(result).toMatchObject({ droppedAsDeleted: 0, kept: 0 });
    expect(copiesLeft(moving)).toEqual([]);
  });

  it('wherever points lie: removes exactly the copies that the leaver holds, unless what it lacks was deleted', async () => {
    const place = fc.constantFrom('leaver', 'copy', 'both', 'none');
    await fc.assert(
      fc.asyncProperty(
        fc.array(place, { minLength: 30, maxLength: 60 }),
        fc.boolean(),
        async (places, absentIsDeleted) => {
          cluster.clear();
          places.forEach((where, n) => {
            const id = `POINTDATA-${n}`;
            const isMoving = cluster.donorOf(id) === cluster.leaver;
            if (!isMoving || where === 'copy' || where === 'both') cluster.ownerOf(id).put(COLLECTION, point(id, n));
            if (where === 'leaver' || where === 'both') cluster.leaver.put(COLLECTION, point(id, n));
          });
          const before = idsOnAll();
          await cluster.run('dropSegment', undo({ absentIsDeleted }));
          const isLost = before[LEAVER]!.length === 0;
          const expected = before.map((ids, index) =>
            ids.filter((id) => {
              if (index === LEAVER || cluster.donorOf(id) !== cluster.leaver) return true;
              return !before[LEAVER]!.includes(id) && (!absentIsDeleted || isLost);
            }),
          );
          expect(idsOnAll()).toEqual(expected);
        },
      ),
      { numRuns: 25 },
    );
  });
});
