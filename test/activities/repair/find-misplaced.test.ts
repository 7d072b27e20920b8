import type { FindMisplacedInput, FindMisplacedResult } from '../../../src/contract/repair';
import type { FindingSample, HolderFindings } from '../../../src/domain/findings';
import { PlacementPlan } from '../../../src/domain/placement-plan';
import type { InProcessShard } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';
import { LOOKING, WRITING } from '../../support/shard-faults';

let cluster: MovingCluster;
let leftovers: InProcessShard[] = [];
beforeEach(async () => {
  leftovers = [];
  cluster = await MovingCluster.start();
});
afterEach(() => cluster.stop());

const SETTLE_MS = 500;
const PLACEMENT = { shards: [0, 1, 2], joining: [], leaving: [] };
const plan = new PlacementPlan(PLACEMENT);

function input(change: Partial<FindMisplacedInput> = {}): FindMisplacedInput {
  const inspected = { collection: COLLECTION, notCompared: null, missingOn: [], otherSchemaOn: [], rows: 0 };
  return {
    ...cluster.move,
    placement: PLACEMENT,
    leftovers: leftovers.map(({ url }) => ({ primary_url: url, replica_urls: [] })),
    collections: [inspected],
    mend: null,
    ...change,
  };
}

const check = async (): Promise<FindMisplacedResult> => (await cluster.run('findMisplaced', input())).result;
const repairing = (prefer: readonly string[] = []) => input({ mend: { settleMs: SETTLE_MS, prefer } });
const repair = async (prefer: readonly string[] = []): Promise<FindMisplacedResult> =>
  (await cluster.run('findMisplaced', repairing(prefer))).result;
const ownerOf = (id: string): number => plan.ownerOf(Buffer.from(id));

/** What a pass says that this holder holds of the collection. */
function of(pass: FindMisplacedResult['found'], holder: string): HolderFindings | undefined {
  return pass.collections.find(({ collection }) => collection === COLLECTION)?.byHolder[holder];
}

async function addLeftover(): Promise<InProcessShard> {
  const shard = await cluster.startOther();
  shard.create(SCHEMA);
  leftovers.push(shard);
  return shard;
}

/** The first `count` ids of this name that shard 2 owns. */
function idsOfThird(count: number): string[] {
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n++) {
    const id = `POINTDATA-own-${String(n).padStart(4, '0')}`;
    if (ownerOf(id) === 2) ids.push(id);
  }
  return ids;
}

/** Points that lie on a shard which does not own them. */
function misplaced(): string[] {
  return cluster.shards.flatMap((shard, id) => shard.ids(COLLECTION).filter((each) => ownerOf(each) !== id));
}

const values = (id: string): (string | null)[] =>
  [...cluster.shards, ...leftovers].map((shard) => shard.get(COLLECTION, id)?.match(/"value":(\d+)/)?.[1] ?? null);
const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, each) => total + each, 0);

describe('findMisplaced in a check', () => {
  it('counts what shards hold that they do not own, and changes nothing', async () => {
    const moved = cluster.fill(600);
    const onFirst = moved.filter((id) => cluster.donorOf(id) === cluster.shards[0]).length;
    const result = await check();
    expect(result).toMatchObject({ rowsRead: 600, moved: 0, removedByHolder: {}, mayHaveWritten: false });
    expect(result.found.totals).toMatchObject({ points: 600, onlyHere: moved.length });
    expect(of(result.found, '0')).toMatchObject({
      points: cluster.shards[0]!.ids(COLLECTION).length,
      onlyHere: onFirst,
    });
    expect(of(result.found, '1')).toMatchObject({ onlyHere: moved.length - onFirst, conflicting: 0 });
    expect(of(result.found, '2')).toBeUndefined();
    for (const shard of cluster.shards) expect(cluster.rowWrites(shard)).toEqual([]);
  });

  it('tells copies that agree with the owner, that differ from it, that are alone, and that contradict each other', async () => {
    const leftover = await addLeftover();
    const [agreeing, differing, alone, twice, contradicting] = idsOfThird(5) as [
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
    const { found } = await check();
    expect(found.totals.points).toBe(5);
    expect(found.collections[0]?.byHolder).toEqual({
      '0': { points: 3, agreeing: 1, differing: 0, onlyHere: 1, conflicting: 1 },
      '1': { points: 2, agreeing: 0, differing: 1, onlyHere: 1, conflicting: 0 },
      '2': { points: 2, agreeing: 0, differing: 0, onlyHere: 0, conflicting: 0 },
      [leftover.url]: { points: 2, agreeing: 0, differing: 0, onlyHere: 1, conflicting: 1 },
    });
  });

  it('gives samples by row, so that an operator finds the point and no history holds it', async () => {
    const moved = cluster.fill(900);
    const { samples } = (await check()).found;
    expect(samples).toHaveLength(100);
    const shown = samples.map(({ holder, offset }) => cluster.shards[Number(holder)]!.ids(COLLECTION)[offset]);
    expect(shown).toEqual(moved.slice(0, 100));
  });

  it('treats a shard without the collection as a shard without points of it', async () => {
    cluster.fill(60);
    cluster.joiner.drop(COLLECTION);
    expect((await check()).found.totals.points).toBe(60);
  });

  it('fails when a shard cannot be read: unknown is not "has none" (INV-8)', async () => {
    cluster.fill(60);
    await cluster.shards[1]!.stop();
    expect(await cluster.failure('findMisplaced', input())).toMatchObject({ type: 'Unreachable' });
  });
});

describe('findMisplaced in a repair', () => {
  it('moves what only others hold to its owner, byte for byte, and then finds nothing', async () => {
    const moved = cluster.fill(600);
    const before = new Map(moved.map((id) => [id, cluster.donorOf(id).get(COLLECTION, id)]));
    const first = await repair();
    expect(first).toMatchObject({ moved: moved.length });
    expect(sum(first.removedByHolder)).toBe(moved.length);
    expect(misplaced()).toEqual([]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
    for (const id of moved) expect(cluster.joiner.get(COLLECTION, id)).toBe(before.get(id));
    const again = await repair();
    expect(again).toMatchObject({ moved: 0, removedByHolder: {}, found: { totals: { points: 600, onlyHere: 0 } } });
    expect(again.left.samples).toEqual([]);
  });

  it("keeps the owner's value and removes the copies, whether they agree with it or not", async () => {
    const leftover = await addLeftover();
    const [same, other] = idsOfThird(2) as [string, string];
    for (const shard of [cluster.joiner, cluster.shards[0]!, leftover]) shard.put(COLLECTION, point(same, 1));
    cluster.joiner.put(COLLECTION, point(other, 2));
    leftover.put(COLLECTION, point(other, 3));
    const result = await repair();
    expect(values(same)).toEqual([null, null, '1', null]);
    expect(values(other)).toEqual([null, null, '2', null]);
    expect(result).toMatchObject({ moved: 0, removedByHolder: { '0': 1, [leftover.url]: 2 } });
    expect(of(result.found, leftover.url)).toMatchObject({ agreeing: 1, differing: 1 });
  });

  it('leaves copies that contradict each other where they are, and tells where', async () => {
    const [id] = idsOfThird(1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    cluster.shards[1]!.put(COLLECTION, point(id, 2));
    const result = await repair();
    expect(values(id)).toEqual(['1', '2', null]);
    expect(result).toMatchObject({ moved: 0, removedByHolder: {} });
    expect(of(result.left, '0')).toMatchObject({ conflicting: 1 });
    const sample = (holder: string): FindingSample => {
      return { collection: COLLECTION, finding: 'conflicting', holder, offset: 0 };
    };
    expect(result.left.samples).toEqual([sample('0'), sample('1')]);
  });

  it('resolves contradicting copies as the operator prefers, and leaves those that the preferred holder lacks', async () => {
    const leftover = await addLeftover();
    const [onBoth, onOthers] = idsOfThird(2) as [string, string];
    cluster.shards[0]!.put(COLLECTION, point(onBoth, 1), point(onOthers, 3));
    cluster.shards[1]!.put(COLLECTION, point(onOthers, 4));
    leftover.put(COLLECTION, point(onBoth, 2));
    const result = await repair([leftover.url]);
    expect(values(onBoth)).toEqual([null, null, '2', null]);
    expect(values(onOthers)).toEqual(['3', '4', null, null]);
    expect(result.moved).toBe(1);
  });

  it('counts no finding for a copy that is gone at the second look', async () => {
    const [id] = idsOfThird(1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    cluster.clock.onSleep = () => void cluster.shards[0]!.delete(COLLECTION, id);
    const result = await repair();
    expect(cluster.clock.sleptMs[0]).toBe(SETTLE_MS);
    expect(result).toMatchObject({ moved: 0, removedByHolder: {}, found: { totals: { onlyHere: 0 } } });
    expect(values(id)).toEqual([null, null, null]);
  });

  it.each([
    ['while the difference settles', 'sleep'],
    ['after its copy was read, right before the owner is asked', 'look'],
  ])('keeps what a client writes to the owner %s', async (_title, when) => {
    const [id] = idsOfThird(1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    const write = (): void => cluster.joiner.put(COLLECTION, point(id, 99));
    if (when === 'sleep') cluster.clock.onSleep = write;
    else cluster.joiner.faults.add({ match: { ...LOOKING, nth: 1 }, fault: { kind: 'before', run: write } });
    const result = await repair();
    expect(values(id)).toEqual([null, null, '99']);
    expect(result.moved).toBe(0);
    expect(of(result.found, '0')).toMatchObject({ differing: 1 });
  });

  it('removes no copy of a point whose owner cannot be asked (INV-5)', async () => {
    const moved = cluster.fill(200);
    cluster.joiner.faults.add({ match: LOOKING, fault: { kind: 'refuse' } });
    expect((await cluster.failure('findMisplaced', repairing())).type).toBe('Unreachable');
    for (const id of moved) expect(cluster.donorOf(id).get(COLLECTION, id)).not.toBeNull();
    for (const shard of cluster.shards) expect(cluster.rowWrites(shard)).toEqual([]);
  });

  it('removes no copy of a point that the owner lacks right after the write (INV-5)', async () => {
    const [id] = idsOfThird(1) as [string];
    cluster.shards[0]!.put(COLLECTION, point(id, 1));
    const remove = (): void => void cluster.joiner.delete(COLLECTION, id);
    cluster.joiner.faults.add({ match: WRITING, fault: { kind: 'beforeReply', run: remove } });
    const result = await repair();
    expect(values(id)).toEqual(['1', null, null]);
    expect(result.removedByHolder).toEqual({});
  });

  it('fails, to be tried again, when the owner of a point lacks the collection', async () => {
    cluster.fill(60);
    cluster.joiner.drop(COLLECTION);
    const failure = await cluster.failure('findMisplaced', repairing());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
  });

  it('begins anew when an attempt stopped in the middle of its writes, and says that it may have written', async () => {
    const moved = cluster.fill(300);
    const match = { ...WRITING, nth: 4, times: 1 };
    cluster.joiner.faults.add({ match, fault: { kind: 'status', status: 8 } });
    const { failure, next } = await cluster.interrupted('findMisplaced', repairing());
    expect(failure.type).toBe('Overloaded');
    const { result } = await cluster.run('findMisplaced', repairing(), next);
    expect(result.mayHaveWritten).toBe(true);
    expect(misplaced()).toEqual([]);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
  });

  it('reads and asks the leader of a shard whose primary follows and lags behind', async () => {
    const moved = cluster.fill(200);
    const lagging = await cluster.failOver(2);
    cluster.joiner.put(COLLECTION, point(moved[0]!, 42));
    await repair();
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moved);
    expect(values(moved[0]!)).toEqual([null, null, '42']);
    expect(lagging.ids(COLLECTION)).toEqual([]);
  });
});
