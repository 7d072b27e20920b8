import type { CompareInput, CompareResult } from '../../../src/contract/repair';
import type { FindingSample } from '../../../src/domain/findings';
import { PlacementPlan } from '../../../src/domain/placement-plan';
import type { ShardAddress } from '../../../src/domain/shard-map';
import { startShard, type InProcessShard } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
let leftovers: InProcessShard[] = [];
afterEach(async () => {
  await cluster.stop();
  await Promise.all(leftovers.map((shard) => shard.stop()));
  leftovers = [];
});

const SETTLE_MS = 500;
const PLACEMENT = { shards: [0, 1, 2], joining: [], leaving: [] };
const plan = new PlacementPlan(PLACEMENT);
const BULK = /points:bulk$/;
const POINT = /\/points\//;
const DELETING = { method: 'DELETE', path: /points$/ };

const address = (shard: InProcessShard): ShardAddress => ({ primary_url: shard.url, replica_urls: [] });

function input(change: Partial<CompareInput> = {}): CompareInput {
  const { shards } = cluster.move;
  return {
    placement: PLACEMENT,
    shards,
    leftovers: leftovers.map(address),
    collection: COLLECTION,
    cursor: null,
    mend: null,
    ...change,
  };
}

const repairing = (prefer: readonly string[] = []): Partial<CompareInput> => ({
  mend: { settleMs: SETTLE_MS, prefer },
});
const ownerOf = (id: string): number => plan.ownerOf(Buffer.from(id));

async function addLeftover(): Promise<InProcessShard> {
  const shard = await startShard();
  shard.create(SCHEMA);
  leftovers.push(shard);
  return shard;
}

/** The first `count` ids of this name that shard `ownerId` owns. */
function idsOwnedBy(ownerId: number, count: number): string[] {
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n++) {
    const id = `POINTDATA-own-${String(n).padStart(4, '0')}`;
    if (ownerOf(id) === ownerId) ids.push(id);
  }
  return ids;
}

/** By shard id, where its points lie that it does not own. */
function misplaced(): string[] {
  return cluster.shards.flatMap((shard, id) => shard.ids(COLLECTION).filter((each) => ownerOf(each) !== id));
}

const values = (id: string): (string | null)[] =>
  [...cluster.shards, ...leftovers].map((shard) => shard.get(COLLECTION, id)?.match(/"value":(\d+)/)?.[1] ?? null);

describe('compareSegment in a check', () => {
  it('counts what shards hold that they do not own, and changes nothing', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(600);
    const onFirst = moved.filter((id) => cluster.donorOf(id) === cluster.shards[0]).length;
    const { result } = await cluster.run('compareSegment', input());
    expect(result).toMatchObject({ cursor: null, restarted: false, rowsRead: 600, mayHaveWritten: false });
    expect(result.seen.points).toBe(600);
    expect(result.seen.byHolder).toMatchObject({
      '0': { points: cluster.shards[0]!.ids(COLLECTION).length, onlyHere: onFirst, agreeing: 0 },
      '1': { onlyHere: moved.length - onFirst, conflicting: 0 },
    });
    expect(result.seen.byHolder['2']).toBeUndefined();
    for (const shard of cluster.shards) expect(cluster.writes(shard)).toEqual([]);
  });

  it('tells copies that agree with the owner, that differ from it, that are alone, and that contradict each other', async () => {
    cluster = await MovingCluster.start();
    const leftover = await addLeftover();
    const [agreeing, differing, alone, twice, contradicting] = idsOwnedBy(2, 5) as [
      string,
      string,
      string,
      string,
      string,
    ];
    cluster.joiner.put(COLLECTION, point(agreeing, 1), point(differing, 1));
    cluster.shards[0]!.put(COLLECTION, point(agreeing, 1), point(twice, 4), point(contradicting, 5));
    cluster.shards[1]!.put(COLLECTION, point(differing, 2), point(alone, 3));
    leftover.put(COLLECTION, point(twice, 4), point(contradicting, 6));
    const { result } = await cluster.run('compareSegment', input());
    expect(result.seen).toEqual({
      points: 5,
      byHolder: {
        '0': { points: 3, agreeing: 1, differing: 0, onlyHere: 1, conflicting: 1 },
        '1': { points: 2, agreeing: 0, differing: 1, onlyHere: 1, conflicting: 0 },
        '2': { points: 2, agreeing: 0, differing: 0, onlyHere: 0, conflicting: 0 },
        [leftover.url]: { points: 2, agreeing: 0, differing: 0, onlyHere: 1, conflicting: 1 },
      },
    });
  });

  it('gives samples by row, so that an operator finds the point and no history holds it', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 40 } } });
    const moved = cluster.fill(900);
    const { result } = await cluster.run('compareSegment', input());
    expect(result.samples).toHaveLength(100);
    const found = result.samples.map(({ holder, offset }) => cluster.shards[Number(holder)]!.ids(COLLECTION)[offset]);
    expect(found).toEqual(moved.slice(0, 100));
  });

  it('treats a shard without the collection as a shard without points of it', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(60);
    cluster.joiner.drop(COLLECTION);
    const { result } = await cluster.run('compareSegment', input());
    expect(result.seen.points).toBe(60);
  });

  it('fails when a shard cannot be read: unknown is not "has none"', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(60);
    await cluster.shards[1]!.stop();
    expect(await cluster.failure('compareSegment', input())).toMatchObject({ type: 'Unreachable' });
  });

  it('begins again, and forgets what it saw, when the row at its cursor is gone', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(300);
    const streams = ['0', '1', '2'].map((holder) => ({ holder, offset: 20, lastIdDigest: 'f'.repeat(32) }));
    const { result } = await cluster.run('compareSegment', input({ cursor: { streams } }));
    expect(result).toMatchObject({ restarted: true, rowsRead: 300, seen: { points: 300 } });
    expect(result.samples).toHaveLength(Math.min(moved.length, 100));
  });
});

describe('compareSegment in a repair', () => {
  it('moves what only others hold to its owner, byte for byte, and then finds nothing', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(600);
    const before = new Map(moved.map((id) => [id, cluster.donorOf(id).get(COLLECTION, id)]));
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(result).toMatchObject({ cursor: null, seen: { points: 600 }, mended: { moved: moved.length } });
    expect(misplaced()).toEqual([]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
    for (const id of moved) expect(cluster.joiner.get(COLLECTION, id)).toBe(before.get(id));
    const removed = Object.values(result.mended.removedByHolder).reduce((sum, each) => sum + each, 0);
    expect(removed).toBe(moved.length);
    const again = await cluster.run('compareSegment', input(repairing()));
    expect(again.result).toMatchObject({ mended: { moved: 0, removedByHolder: {}, byHolder: {} }, samples: [] });
    expect(again.result.seen.points).toBe(600);
  });

  it("keeps the owner's value and removes the copies, whether they agree with it or not", async () => {
    cluster = await MovingCluster.start();
    const leftover = await addLeftover();
    const [same, other] = idsOwnedBy(2, 2) as [string, string];
    for (const shard of [cluster.joiner, cluster.shards[0]!, leftover]) shard.put(COLLECTION, point(same, 1));
    cluster.joiner.put(COLLECTION, point(other, 2));
    leftover.put(COLLECTION, point(other, 3));
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(values(same)).toEqual([null, null, '1', null]);
    expect(values(other)).toEqual([null, null, '2', null]);
    expect(result.mended).toMatchObject({
      moved: 0,
      removedByHolder: { '0': 1, [leftover.url]: 2 },
      byHolder: { '0': { agreeing: 1 }, [leftover.url]: { agreeing: 1, differing: 1 } },
    });
  });

  it('leaves copies that contradict each other where they are, and tells where', async () => {
    cluster = await MovingCluster.start();
    const [id] = idsOwnedBy(2, 1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    cluster.shards[1]!.put(COLLECTION, point(id, 2));
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(values(id)).toEqual(['1', '2', null]);
    expect(result.seen.byHolder).toMatchObject({ '0': { conflicting: 1 }, '1': { conflicting: 1 } });
    const sample = (holder: string): FindingSample => ({
      collection: COLLECTION,
      finding: 'conflicting',
      holder,
      offset: 0,
    });
    expect(result.samples).toEqual(expect.arrayContaining([sample('0'), sample('1')]));
    expect(result.mended).toEqual({ byHolder: {}, moved: 0, removedByHolder: {} });
  });

  it('resolves contradicting copies as the operator prefers, and leaves those that the preferred holder lacks', async () => {
    cluster = await MovingCluster.start();
    const leftover = await addLeftover();
    const [onBoth, onOthers] = idsOwnedBy(2, 2) as [string, string];
    cluster.shards[0]!.put(COLLECTION, point(onBoth, 1), point(onOthers, 3));
    cluster.shards[1]!.put(COLLECTION, point(onOthers, 4));
    leftover.put(COLLECTION, point(onBoth, 2));
    const { result } = await cluster.run('compareSegment', input(repairing([leftover.url])));
    expect(values(onBoth)).toEqual([null, null, '2', null]);
    expect(values(onOthers)).toEqual(['3', '4', null, null]);
    expect(result.mended).toMatchObject({ moved: 1, byHolder: { '0': { conflicting: 1 } } });
  });

  it('counts no finding for a copy that is gone at the second look', async () => {
    cluster = await MovingCluster.start();
    const [id] = idsOwnedBy(2, 1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    cluster.clock.onSleep = () => void cluster.shards[0]!.delete(COLLECTION, id);
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(cluster.clock.sleptMs[0]).toBe(SETTLE_MS);
    expect(result.mended).toEqual({ byHolder: {}, moved: 0, removedByHolder: {} });
    expect(values(id)).toEqual([null, null, null]);
  });

  it.each([
    ['while the difference settles', 'sleep'],
    ['after its copy was read, right before the owner is asked', 'look'],
  ])('keeps what a client writes to the owner %s', async (_, when) => {
    cluster = await MovingCluster.start();
    const [id] = idsOwnedBy(2, 1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    const write = (): void => cluster.joiner.put(COLLECTION, point(id, 99));
    if (when === 'sleep') cluster.clock.onSleep = write;
    else
      cluster.joiner.faults.add({
        match: { method: 'GET', path: POINT, nth: 1 },
        fault: { kind: 'before', run: write },
      });
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(values(id)).toEqual([null, null, '99']);
    expect(result.mended).toMatchObject({ moved: 0, byHolder: { '0': { differing: 1 } } });
  });

  it('removes no copy of a point whose owner cannot be asked (INV-5)', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(200);
    cluster.joiner.faults.add({ match: { method: 'GET', path: POINT }, fault: { kind: 'refuse' } });
    expect((await cluster.failure('compareSegment', input(repairing()))).type).toBe('Unreachable');
    for (const id of moved) expect(cluster.donorOf(id).get(COLLECTION, id)).not.toBeNull();
    for (const shard of cluster.shards) expect(cluster.writes(shard)).toEqual([]);
  });

  it('removes no copy of a point that the owner lacks right after the write (INV-5)', async () => {
    cluster = await MovingCluster.start();
    const [id] = idsOwnedBy(2, 1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    cluster.joiner.faults.add({
      match: { path: BULK },
      fault: { kind: 'beforeReply', run: () => void cluster.joiner.delete(COLLECTION, id) },
    });
    const { result } = await cluster.run('compareSegment', input(repairing()));
    expect(values(id)).toEqual(['1', null, null]);
    expect(result.mended.removedByHolder).toEqual({});
  });

  it('fails, to be tried again, when the owner of a point lacks the collection', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(60);
    cluster.joiner.drop(COLLECTION);
    expect(await cluster.failure('compareSegment', input(repairing()))).toMatchObject({
      type: 'CollectionInFlux',
      nonRetryable: false,
    });
  });

  it('goes on where an attempt stopped in the middle of its writes, and counts everything once', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(300);
    cluster.joiner.faults.add({ match: { path: BULK, nth: 4, times: 1 }, fault: { kind: 'status', status: 503 } });
    const first = await cluster.interrupted('compareSegment', input(repairing()));
    expect(first.failure.type).toBe('Overloaded');
    expect(cluster.joiner.ids(COLLECTION).length).toBe(24);
    const { result } = await cluster.run('compareSegment', input(repairing()), first.next);
    expect(misplaced()).toEqual([]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
    expect(result).toMatchObject({ seen: { points: 300 }, mended: { moved: moved.length } });
    const removed = Object.values(result.mended.removedByHolder).reduce((sum, each) => sum + each, 0);
    expect(removed).toBe(moved.length);
  });

  it('goes on in the next attempt where a delete got no answer, and says that it may have written', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(300);
    cluster.shards[0]!.faults.add({ match: { ...DELETING, nth: 1 }, fault: { kind: 'replyLost' } });
    const first = await cluster.interrupted('compareSegment', input(repairing()));
    const { result } = await cluster.run('compareSegment', input(repairing()), first.next);
    expect(result.mayHaveWritten).toBe(true);
    expect(result.lateWritesUntilMs).toBeGreaterThan(0);
    expect(misplaced()).toEqual([]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
  });

  it('reads and asks the leader of a shard whose primary follows and lags behind', async () => {
    cluster = await MovingCluster.start();
    const moved = cluster.fill(200);
    const lagging = await cluster.failOver(2);
    cluster.joiner.put(COLLECTION, point(moved[0]!, 42));
    await cluster.run('compareSegment', input(repairing()));
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
    expect(values(moved[0]!)).toEqual([null, null, '42']);
    expect(lagging.ids(COLLECTION)).toEqual([]);
  });

  it('stops when it is time, and the segments together see and repair everything exactly once', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 300 } } });
    const leftover = await addLeftover();
    const moved = cluster.fill(4_000);
    leftover.put(COLLECTION, ...moved.slice(0, 700).map((id) => cluster.donorOf(id).get(COLLECTION, id)!));
    const [conflict] = moved.slice(900) as [string];
    leftover.put(COLLECTION, point(conflict, 77_777));
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 40_000);
    const results: CompareResult[] = [];
    let cursor: CompareInput['cursor'] = null;
    do {
      const run: { result: CompareResult } = await cluster.run('compareSegment', input({ ...repairing(), cursor }));
      results.push(run.result);
      cursor = run.result.cursor;
    } while (cursor !== null);
    expect(results.length).toBeGreaterThan(1);
    expect(results.every((each) => !each.restarted)).toBe(true);
    const total = (of: (result: CompareResult) => number): number => results.reduce((sum, each) => sum + of(each), 0);
    expect(total((each) => each.seen.points)).toBe(4_000);
    expect(total((each) => each.mended.moved)).toBe(moved.length - 1);
    expect(total((each) => each.mended.removedByHolder[leftover.url] ?? 0)).toBe(700);
    expect(total((each) => each.seen.byHolder[leftover.url]?.conflicting ?? 0)).toBe(1);
    expect(misplaced()).toEqual([conflict]);
    expect(leftover.ids(COLLECTION)).toEqual([conflict]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved.filter((id) => id !== conflict));
  });
});
