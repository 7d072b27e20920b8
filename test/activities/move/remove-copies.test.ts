import fc from 'fast-check';
import type { RemoveCopiesInput } from '../../../src/contract/move';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';
import { LOOKING } from '../../support/shard-faults';

const LEAVER = 1;
const RECEIVERS = [0, 2] as const;
let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start({ leaver: LEAVER });
});
afterEach(() => cluster.stop());

const undo = (receiverId: number, more: Partial<RemoveCopiesInput> = {}): RemoveCopiesInput => ({
  ...{ ...cluster.move, receiverId, absentIsDeleted: true, settleMs: 500 },
  ...more,
});

/** The undo of a drain: the leaver is the owner again, and the others lose the copies. */
async function removeAll(more: Partial<RemoveCopiesInput> = {}): Promise<{ removed: number; kept: number }> {
  let [removed, kept] = [0, 0];
  for (const receiverId of RECEIVERS) {
    const { result } = await cluster.run('removeCopies', undo(receiverId, more));
    removed += result.removed;
    kept += result.kept;
  }
  return { removed, kept };
}

/** Points where they belong, and copies of the leaver's on their new owners too. Returns the ids that were copied. */
function copied(count: number): string[] {
  const moving = cluster.fill(count);
  for (const id of moving) cluster.ownerOf(id).put(COLLECTION, cluster.leaver.get(COLLECTION, id)!);
  return moving;
}

const copiesLeft = (moving: readonly string[]): string[] =>
  moving.filter((id) => cluster.ownerOf(id).get(COLLECTION, id) !== null);
const idsOnAll = (): (readonly string[])[] => cluster.shards.map((shard) => shard.ids(COLLECTION));

describe('removeCopies', () => {
  it('removes the copies from all new owners, and neither a point of their own nor one of the leaver', async () => {
    cluster.fill(900);
    const before = idsOnAll();
    const moving = copied(900);
    expect(await removeAll()).toEqual({ removed: moving.length, kept: 0 });
    expect(idsOnAll()).toEqual(before);
    expect(cluster.rowWrites(cluster.leaver)).toEqual([]);
    expect(await removeAll()).toEqual({ removed: 0, kept: 0 });
  });

  it('removes a copy of what a client has deleted from the leaver, after it has asked again', async () => {
    const moving = copied(900);
    cluster.leaver.delete(COLLECTION, moving[0]!, moving[9]!);
    expect(await removeAll()).toEqual({ removed: moving.length, kept: 0 });
    expect(copiesLeft(moving)).toEqual([]);
    expect(cluster.clock.sleptMs).toContain(500);
  });

  it('keeps a copy of what the leaver lacks when that need not mean that it was deleted', async () => {
    const moving = copied(900);
    cluster.leaver.delete(COLLECTION, moving[0]!);
    expect(await removeAll({ absentIsDeleted: false })).toEqual({ removed: moving.length - 1, kept: 1 });
    expect(copiesLeft(moving)).toEqual([moving[0]]);
  });

  it.each([
    ['was wiped, collection and all', () => cluster.leaver.restart('wipe')],
    ['holds none of it', () => void cluster.leaver.delete(COLLECTION, ...cluster.leaver.ids(COLLECTION))],
    [
      'lacks a large part of it',
      () => void cluster.leaver.delete(COLLECTION, ...cluster.leaver.ids(COLLECTION).slice(0, 400)),
    ],
  ])('keeps every copy that the leaver lacks when it %s', async (_title, loseData) => {
    const moving = copied(1_800);
    await loseData();
    const lost = moving.filter((id) => cluster.leaver.get(COLLECTION, id) === null);
    expect(await removeAll()).toEqual({ removed: moving.length - lost.length, kept: lost.length });
    expect(copiesLeft(moving)).toEqual(lost);
  });

  it('finds out by its missing mark that the leaver was wiped, however few points it held, and removes nothing', async () => {
    const moving = copied(30);
    cluster.identify();
    await cluster.leaver.restart('wipe');
    for (const receiverId of RECEIVERS) {
      const failure = await cluster.failure('removeCopies', undo(receiverId));
      expect(failure).toMatchObject({ type: 'ShardLostData', nonRetryable: true });
    }
    expect(copiesLeft(moving)).toEqual(moving);
  });

  it('finds out that the leaver came back with another volume while it removed, and removes no copy because of it', async () => {
    const moving = copied(30);
    cluster.identify();
    cluster.leaver.faults.add({
      match: { ...LOOKING, nth: 1 },
      fault: { kind: 'before', run: () => cluster.leaver.collections().forEach((name) => cluster.leaver.drop(name)) },
    });
    expect(await cluster.failure('removeCopies', undo(0))).toMatchObject({ type: 'ShardLostData' });
    expect(copiesLeft(moving)).toEqual(moving);
  });

  it.each([
    ['refuses to read', { kind: 'status', status: 14 } as const],
    ['cuts its connection', { kind: 'refuse' } as const],
  ])('fails, and removes nothing that it would have to ask about, when the leaver %s', async (_title, fault) => {
    const moving = copied(300);
    cluster.leaver.faults.add({ match: LOOKING, fault });
    for (const receiverId of RECEIVERS) {
      const failure = await cluster.failure('removeCopies', undo(receiverId));
      expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    }
    expect(copiesLeft(moving)).toEqual(moving);
  });

  it('has nothing to do on a receiver that lacks the collection', async () => {
    const moving = copied(300);
    cluster.shards[2]!.drop(COLLECTION);
    expect((await removeAll()).kept).toBe(0);
    expect(moving.filter((id) => cluster.shards[0]!.get(COLLECTION, id) !== null)).toEqual([]);
    expect(cluster.leaver.ids(COLLECTION)).toEqual(moving);
  });

  it('ends with the same shards when it is repeated after the reply to a delete was lost, and says until when that one may arrive', async () => {
    const moving = copied(900);
    const own = idsOnAll().map((ids, index) => (index === LEAVER ? ids : ids.filter((id) => !moving.includes(id))));
    const match = { method: 'DELETE', path: /points$/, nth: 1 };
    cluster.shards[2]!.faults.add({ match, fault: { kind: 'replyLost' } });
    const { next } = await cluster.interrupted('removeCopies', undo(2));
    const { result } = await cluster.run('removeCopies', undo(2), next);
    expect(result.kept).toBe(0);
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    await cluster.run('removeCopies', undo(0));
    expect(idsOnAll()).toEqual(own);
  });

  it('wherever points lie: removes exactly the copies that the leaver holds, unless what it lacks was deleted', async () => {
    cluster.identify();
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
          await removeAll({ absentIsDeleted });
          const expected = before.map((ids, index) =>
            ids.filter((id) => {
              if (index === LEAVER || cluster.donorOf(id) !== cluster.leaver) return true;
              return !absentIsDeleted && !before[LEAVER]!.includes(id);
            }),
          );
          expect(idsOnAll()).toEqual(expected);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('countStrays', () => {
  it('counts what receivers hold of the slice, and nothing that they own', async () => {
    const moving = cluster.fill(600);
    expect((await cluster.run('countStrays', cluster.move)).result).toMatchObject({ strays: 0 });
    for (const id of moving.slice(0, 7)) cluster.ownerOf(id).put(COLLECTION, point(id));
    const { result } = await cluster.run('countStrays', cluster.move);
    expect(result.strays).toBe(7);
    expect(result.scans).toHaveLength(2);
  });
});
