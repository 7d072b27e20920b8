/**
 * Copy, compare and drop as a drain uses them: the receivers are owners, with points of their own that none of it may
 * touch.
 */
import fc from 'fast-check';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';

const LEAVER = 1;
const STAYERS = [0, 2] as const;
let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start({ leaver: LEAVER, shard: { limits: { fetchRowsMax: 20 } } });
});
afterEach(() => cluster.stop());

const page = (limit = 10_000) => ({ ...cluster.move, donorId: LEAVER, offset: 0, limit });
const segment = () => ({ ...cluster.move, cursor: null, settleMs: 500 });

/** Every point of a shard, as it would be read. */
function contentOf(id: number): Map<string, string> {
  const shard = cluster.shards[id]!;
  return new Map(shard.ids(COLLECTION).map((each) => [each, shard.get(COLLECTION, each)!]));
}

/** Of these points, those that are of the leaver's slice, or those that are not. */
function slicePart(content: ReadonlyMap<string, string>, isOfSlice: boolean): Map<string, string> {
  return new Map([...content].filter(([id]) => (cluster.donorOf(id) === cluster.leaver) === isOfSlice));
}

const ownedBy = (content: ReadonlyMap<string, string>, shardId: number): Map<string, string> =>
  new Map([...content].filter(([id]) => cluster.ownerOf(id) === cluster.shards[shardId]));

describe('the steps of a drain', () => {
  it('copies the slice to all owners, each point to its own, and overwrites none of their own', async () => {
    cluster.fill(600);
    const [onLeaver, before] = [contentOf(LEAVER), STAYERS.map(contentOf)];
    const { result } = await cluster.run('copyPage', page());
    expect(result).toMatchObject({ rowsRead: onLeaver.size, pointsCopied: onLeaver.size, collectionGone: false });
    STAYERS.forEach((id, index) => {
      expect(slicePart(contentOf(id), false)).toEqual(before[index]);
      expect(slicePart(contentOf(id), true)).toEqual(ownedBy(onLeaver, id));
    });
    expect(contentOf(LEAVER)).toEqual(onLeaver);
  });

  it('leaves alone what lies on the leaver and belongs to others', async () => {
    cluster.fill(300);
    const foreign = cluster.shards[0]!.ids(COLLECTION).slice(0, 20);
    cluster.leaver.put(COLLECTION, ...foreign.map((id) => point(id, -1)));
    const before = contentOf(0);
    await cluster.run('copyPage', page());
    await cluster.run('reconcileSegment', segment());
    expect(slicePart(contentOf(0), false)).toEqual(before);
  });

  it('whatever differs: a compare makes the owners hold of the slice what the leaver holds, and only of the slice', async () => {
    const place = fc.constantFrom('leaver', 'owner', 'same', 'different');
    await fc.assert(
      fc.asyncProperty(fc.array(place, { minLength: 20, maxLength: 60 }), async (places) => {
        cluster.clear();
        places.forEach((where, n) => {
          const id = `POINTDATA-${n}`;
          if (where !== 'owner') cluster.leaver.put(COLLECTION, point(id, n));
          if (where !== 'leaver') cluster.ownerOf(id).put(COLLECTION, point(id, where === 'same' ? n : -n - 1));
        });
        const [onLeaver, before] = [contentOf(LEAVER), STAYERS.map(contentOf)];
        await cluster.run('reconcileSegment', segment());
        const { result } = await cluster.run('reconcileSegment', segment());
        const slice = slicePart(onLeaver, true);
        expect(result).toMatchObject({
          cursor: null,
          pointsCompared: slice.size,
          differences: 0,
          upserted: 0,
          deleted: 0,
        });
        STAYERS.forEach((id, index) => {
          expect(slicePart(contentOf(id), false)).toEqual(slicePart(before[index]!, false));
          expect(slicePart(contentOf(id), true)).toEqual(ownedBy(slice, id));
        });
        expect(contentOf(LEAVER)).toEqual(onLeaver);
      }),
      { numRuns: 20 },
    );
  });

  it('whatever the leaver holds besides its slice: after all steps each point is on its owner, or still on the leaver', async () => {
    const stray = fc.constantFrom('none', 'alone', 'copy');
    await fc.assert(
      fc.asyncProperty(fc.array(stray, { minLength: 30, maxLength: 60 }), async (strays) => {
        cluster.clear();
        strays.forEach((kind, n) => {
          const id = `POINTDATA-${n}`;
          const home = cluster.donorOf(id);
          if (home === cluster.leaver || kind !== 'alone') home.put(COLLECTION, point(id, n));
          if (home !== cluster.leaver && kind !== 'none') cluster.leaver.put(COLLECTION, point(id, n));
        });
        const alone = cluster.leaver.ids(COLLECTION).filter((id) => {
          return cluster.donorOf(id) !== cluster.leaver && cluster.ownerOf(id).get(COLLECTION, id) === null;
        });
        const { placement, shards } = cluster.move;
        await cluster.run('copyPage', page());
        await cluster.run('reconcileSegment', segment());
        await cluster.run('dropSegment', { ...segment(), absentIsDeleted: true });
        const { result: left } = await cluster.run('confirmSegment', { ...cluster.move, cursor: null });
        expect(left).toMatchObject({ leftOnDonors: 0 });
        const leaver = cluster.address(LEAVER);
        const { result } = await cluster.run('emptyLeaver', { placement, shards, leaver, settleMs: 500 });
        expect(result).toMatchObject({ done: true, kept: alone.length });
        expect(cluster.leaver.ids(COLLECTION)).toEqual(alone);
        strays.forEach((_, n) => {
          const id = `POINTDATA-${n}`;
          const holder = alone.includes(id) ? cluster.leaver : cluster.ownerOf(id);
          expect(holder.get(COLLECTION, id)).not.toBeNull();
          expect(cluster.shards.filter((shard) => shard.get(COLLECTION, id) !== null)).toEqual([holder]);
        });
      }),
      { numRuns: 20 },
    );
  });
});
