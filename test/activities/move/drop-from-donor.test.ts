import type { DropDonorInput, DropDonorResult } from '../../../src/contract/move';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';
import { LOOKING, READING } from '../../support/shard-faults';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const SETTLE_MS = 500;
const drop = (donorId = 0, more: Partial<DropDonorInput> = {}): DropDonorInput => {
  const { collections, ...donor } = cluster.donorInput(donorId);
  return {
    ...donor,
    ...{ settleMs: SETTLE_MS, isWatchUnbroken: true, provenCollections: collections },
    ...{ isLeaver: false, isTailLate: false },
    ...more,
  };
};
/** Another session: as on a worker that knows nothing of the move. */
const LOST = { session: 'lost' };

/** What happens on a shard is told within milliseconds. */
const tailHasCome = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

/** Reads the donor, lets `meanwhile` happen, and drops, as a workflow does. */
async function readAndDrop(
  more: Partial<DropDonorInput> = {},
  meanwhile = (): void => undefined,
): Promise<DropDonorResult> {
  await cluster.run('readForDrop', drop(0, more));
  meanwhile();
  return (await cluster.run('dropFromDonor', drop(0, more))).result;
}

/** Moving points on donor 0, copied and proven on the joiner. */
async function proven(count: number): Promise<string[]> {
  const moving = cluster.movingIds(count, 0);
  cluster.shards[0]!.put(COLLECTION, ...moving.map((id, n) => point(id, n)));
  await cluster.run('copyDonor', { ...cluster.donorInput(0), isRepeat: false });
  const pass = { ...cluster.donorInput(0), settleMs: 0, recut: false, scanReceivers: false };
  const { result } = await cluster.run('compareDonor', pass);
  expect(result).toMatchObject({ pointsCompared: count, upserted: 0, deleted: 0 });
  return moving;
}

const left = (): readonly string[] =>
  cluster.shards[0]!.ids(COLLECTION).filter((id) => cluster.ownerOf(id) === cluster.joiner);
const owned = (): readonly string[] => cluster.joiner.ids(COLLECTION);

describe('dropFromDonor', () => {
  it('drops the slice from its donor and nothing else from any shard, and asks its owner for a sample only', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(2_000);
    const [first, second] = [0, 1].map((id) => cluster.shards[id]!.ids(COLLECTION));
    const staying = first!.filter((id) => cluster.ownerOf(id) !== cluster.joiner);
    await cluster.run('copyDonor', { ...cluster.donorInput(0), isRepeat: false });
    await cluster.run('compareDonor', { ...cluster.donorInput(0), settleMs: 0, recut: false, scanReceivers: false });
    const before = owned();
    const looks = (): number => cluster.joiner.requests.filter(({ path }) => LOOKING.path!.test(path)).length;
    const looksBefore = looks();
    const result = await readAndDrop();
    expect(result).toMatchObject({
      dropped: before.length,
      droppedAsDeleted: 0,
      carried: 0,
      kept: 0,
      needsRead: false,
    });
    expect(looks() - looksBefore).toBeLessThanOrEqual(2);
    expect(cluster.shards[0]!.ids(COLLECTION)).toEqual(staying);
    expect(cluster.shards[1]!.ids(COLLECTION)).toEqual(second);
    expect(owned()).toEqual(before);
  });

  it('finds nothing more when it is repeated, and takes nothing that it has dropped itself for a delete of a client', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    await readAndDrop({ isWatchUnbroken: false });
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ dropped: 0, carried: 0, kept: 0 });
    expect(owned()).toEqual(moving);
  });

  it('drops what its owner has changed or deleted since the pass: the owner had it, so the change is newer', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.joiner.put(COLLECTION, point(moving[1]!, 4_242));
    expect(await readAndDrop()).toMatchObject({ dropped: 300, kept: 0, carried: 0 });
    expect(left()).toEqual([]);
    expect(cluster.joiner.get(COLLECTION, moving[0]!)).toBeNull();
    expect(cluster.joiner.get(COLLECTION, moving[1]!)).toContain('4242');
  });

  it('leaves alone what was written to the donor between the scan and the delete', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    const result = await readAndDrop({}, () => {
      cluster.shards[0]!.faults.add({
        match: { method: 'DELETE', path: /points$/, nth: 1 },
        fault: { kind: 'beforeReply', run: () => cluster.shards[0]!.put(COLLECTION, point(moving[299]!, 9)) },
      });
    });
    expect(result.dropped).toBeLessThan(301);
    // It is on its owner, or still here: nothing was lost.
    expect(owned()).toContain(moving[299]);
  });
});

describe('a row that was decided about one by one', () => {
  it('is kept where it was written again before its delete, however long that took', async () => {
    cluster = await MovingCluster.start();
    const [first, second] = await proven(300);
    cluster.joiner.delete(COLLECTION, first!, second!);
    // Looks at the donor: two that decide, and the one before the delete.
    const written = cluster.shards[0]!.faults.add({
      match: { ...LOOKING, nth: 3 },
      fault: { kind: 'before', run: () => cluster.shards[0]!.put(COLLECTION, point(first!, 4_242)) },
    });
    // Nothing is proven, and so each row is decided about by what both sides show.
    expect(await readAndDrop(LOST)).toMatchObject({ dropped: 299, droppedAsDeleted: 2, kept: 1 });
    expect(written.hits).toBe(1);
    expect(left()).toEqual([first]);
    expect(cluster.shards[0]!.get(COLLECTION, first!)).toContain('4242');
  });
});

describe('a worker that has no proof of what it drops', () => {
  it('asks for every point, and drops what its owner holds', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    expect(await readAndDrop(LOST)).toMatchObject({ dropped: 300, droppedAsDeleted: 0, kept: 0 });
    expect(left()).toEqual([]);
    expect(owned()).toEqual(moving);
  });

  it('drops a point that its owner lacks as deleted, after it has asked again', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.joiner.delete(COLLECTION, moving[0]!, moving[9]!);
    expect(await readAndDrop(LOST)).toMatchObject({ dropped: 300, droppedAsDeleted: 2, kept: 0 });
    expect(cluster.clock.sleptMs).toContain(SETTLE_MS);
    expect(left()).toEqual([]);
  });

  it('drops a point that its owner got while it waited, without taking it for deleted', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    const row = cluster.joiner.get(COLLECTION, moving[0]!)!;
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.clock.onSleep = () => cluster.joiner.put(COLLECTION, row);
    expect(await readAndDrop(LOST)).toMatchObject({ droppedAsDeleted: 0, kept: 0 });
    expect(left()).toEqual([]);
  });

  it.each([
    ['no pass has compared its collection', { provenCollections: [] }],
    ['a router was not watched', { isWatchUnbroken: false }],
  ])('keeps what its owner lacks when %s', async (_title, more) => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const result = await readAndDrop({ ...LOST, ...more });
    expect(result).toMatchObject({ dropped: 299, droppedAsDeleted: 0, carried: 0, kept: 1 });
    expect(left()).toEqual([moving[0]]);
  });

  it('does not believe a watch that was asked about before it has read the donor itself', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const { result } = await cluster.run('dropFromDonor', drop(0, LOST));
    expect(result).toMatchObject({ needsRead: true, dropped: 0, kept: 0 });
    expect(left()).toEqual(moving);
  });
});

describe('an owner that has lost data (INV-5)', () => {
  const wipe = () => cluster.joiner.restart('wipe');
  const loseSome = () => Promise.resolve(void cluster.joiner.delete(COLLECTION, ...owned().slice(0, 150)));

  it.each([
    ['was wiped, collection and all, and the worker has its proof', wipe, {}],
    ['was wiped, collection and all, and the proof is lost', wipe, LOST],
    ['lacks a large part of what it had, and the worker has its proof', loseSome, {}],
    ['lacks a large part of what it had, and the proof is lost', loseSome, LOST],
  ])('loses nothing more when it %s', async (_title, loseData, more) => {
    cluster = await MovingCluster.start();
    const moving = await proven(900);
    await loseData();
    const lost = moving.filter((id) => cluster.joiner.get(COLLECTION, id) === null);
    expect(await readAndDrop(more)).toMatchObject({ droppedAsDeleted: 0, carried: 0, kept: lost.length });
    expect(left()).toEqual(lost);
  });

  it.each([
    ['is believed where it shows its mark, and clients have deleted up to a fifth on it', 0.15, 'drop'],
    ['is not believed, mark or no mark, where it lacks more', 0.3, 'keep'],
  ] as const)('%s', async (_title, share, decision) => {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = await proven(900);
    const gone = owned().slice(0, Math.floor(moving.length * share));
    expect(gone.length).toBeGreaterThan(100);
    cluster.joiner.delete(COLLECTION, ...gone);
    const told = decision === 'drop' ? [gone.length, 0] : [0, gone.length];
    const { droppedAsDeleted, kept } = await readAndDrop({});
    expect([droppedAsDeleted, kept]).toEqual(told);
    expect(left()).toHaveLength(kept);
  });

  it('is found out by its missing mark, however few points it held', async () => {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = await proven(5);
    await cluster.run('readForDrop', drop());
    await cluster.joiner.restart('wipe');
    expect(await cluster.failure('dropFromDonor', drop())).toMatchObject({ type: 'ShardLostData', nonRetryable: true });
    expect(left()).toEqual(moving);
  });

  it('is found out when it loses its volume while it is asked, before anything is deleted', async () => {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = await proven(5);
    await cluster.run('readForDrop', drop(0, LOST));
    const { joiner } = cluster;
    joiner.faults.add({
      match: { ...LOOKING, nth: 1 },
      fault: { kind: 'before', run: () => joiner.collections().forEach((name) => joiner.drop(name)) },
    });
    expect((await cluster.failure('dropFromDonor', drop(0, LOST))).type).toBe('ShardLostData');
    expect(left()).toEqual(moving);
  });

  it.each([
    ['refuses to read', { kind: 'status', status: 14 } as const],
    ['cuts its connection', { kind: 'refuse' } as const],
  ])('is not what one is that %s: the drop fails before it has deleted anything', async (_title, fault) => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.joiner.faults.add({ match: LOOKING, fault });
    await cluster.run('readForDrop', drop());
    expect(await cluster.failure('dropFromDonor', drop())).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(left()).toEqual(moving);
  });
});

describe('a row that comes late where the proof is lost', () => {
  it('is kept, not carried: its owner may have deleted what it was, and nobody knows', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    const [donor] = cluster.shards;
    await cluster.run('readForDrop', drop(0, LOST));
    donor!.put(COLLECTION, point(moving[4]!, 999));
    cluster.joiner.delete(COLLECTION, moving[4]!);
    await tailHasCome();
    const more = { ...LOST, isTailLate: true, isWatchUnbroken: false };
    await cluster.run('readForDrop', drop(0, more));
    expect((await cluster.run('dropFromDonor', drop(0, more))).result).toMatchObject({ carried: 0, kept: 1 });
    expect(cluster.joiner.get(COLLECTION, moving[4]!)).toBeNull();
  });
});

describe('clients while a donor drops', () => {
  const asks = (): number => cluster.joiner.requests.filter(({ path }) => LOOKING.path!.test(path)).length;
  const followed = async (): Promise<number> => {
    const asksBefore = asks();
    await tailHasCome();
    const input = { ...cluster.donorInput(0), collections: [COLLECTION], forMs: 0, sinceFlipMs: null, isDropped: true };
    await cluster.run('followDonor', input);
    return asks() - asksBefore;
  };

  it('are asked for nothing that the drop itself has deleted, only for what they have written since', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(1_500);
    await readAndDrop();
    expect(await followed()).toBe(0);
    cluster.shards[0]!.put(COLLECTION, point(moving[7]!, 777));
    expect(await followed()).toBeGreaterThan(0);
    expect(owned()).toEqual(moving);
  });

  it('wait for one question of 100 ids at most, when they wrote much behind the drop', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(1_500);
    await readAndDrop();
    cluster.shards[0]!.put(COLLECTION, ...moving.slice(0, 950).map((id, n) => point(id, n)));
    expect(await followed()).toBe(10);
    expect(left()).toEqual([]);
  });

  it('may write between two calls of it: what they write is not deleted', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(600);
    await cluster.run('readForDrop', drop());
    const [donor] = cluster.shards;
    const written = [...moving].sort()[300]!;
    const match = { method: 'DELETE', path: /points$/, nth: 1 };
    const run = async (): Promise<void> => {
      donor!.put(COLLECTION, point(written, 999));
      await tailHasCome();
    };
    donor!.faults.add({ match, fault: { kind: 'before', run } });
    await cluster.run('dropFromDonor', drop());
    expect(left()).toEqual([written]);
  });
});

describe('a drop that cannot be carried out', () => {
  it('drops nothing when the donor cannot be read to its end', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.shards[0]!.faults.add({ match: READING, fault: { kind: 'cutStream', rows: 250 } });
    await cluster.failure('readForDrop', drop());
    const { result } = await cluster.run('dropFromDonor', drop());
    expect(result).toMatchObject({ needsRead: true, dropped: 0 });
    expect(left()).toEqual(moving);
  });

  it('drops nothing when its time is over by the time that it has read', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    await cluster.run('readForDrop', drop());
    cluster.passTime(cluster.joiner, LOOKING, 59_500);
    expect((await cluster.failure('dropFromDonor', drop())).nonRetryable).toBe(false);
    expect(left()).toEqual(moving);
  });

  it('has nothing left to drop when the collection goes between reading and deleting', async () => {
    cluster = await MovingCluster.start();
    await proven(300);
    const match = { method: 'DELETE', path: /points$/ };
    cluster.shards[0]!.faults.add({ match, fault: { kind: 'before', run: () => cluster.shards[0]!.drop(COLLECTION) } });
    expect(await readAndDrop()).toMatchObject({ dropped: 0, kept: 0 });
  });

  it('ends with the same shards when it is repeated after the reply to a delete was lost', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    await cluster.run('readForDrop', drop());
    const match = { method: 'DELETE', path: /points$/, nth: 1 };
    cluster.shards[0]!.faults.add({ match, fault: { kind: 'replyLost' } });
    const { next } = await cluster.interrupted('dropFromDonor', drop());
    const { result } = await cluster.run('dropFromDonor', drop(), next);
    expect(result).toMatchObject({ needsRead: true, dropped: 0 });
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    expect(await readAndDrop()).toMatchObject({ needsRead: false, kept: 0, carried: 0 });
    expect(left()).toEqual([]);
    expect(owned()).toEqual(moving);
  });
});

describe('what came to a donor by an old map', () => {
  it('goes on to its owner when that still holds what was proven', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.shards[0]!.put(COLLECTION, point(moving[3]!, 4_242));
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ carried: 1, kept: 0, dropped: 300 });
    expect(cluster.joiner.get(COLLECTION, moving[3]!)).toContain('4242');
    expect(left()).toEqual([]);
  });

  it('stays, and is counted, when its owner has changed the point too', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.shards[0]!.put(COLLECTION, point(moving[3]!, 1_111));
    cluster.joiner.put(COLLECTION, point(moving[3]!, 2_222));
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ carried: 0, kept: 1 });
    expect(left()).toEqual([moving[3]]);
    expect(cluster.joiner.get(COLLECTION, moving[3]!)).toContain('2222');
  });

  it('stays, and is counted, when no pass has seen it and its owner lacks it', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    const [late] = cluster.movingIds(301, 0).slice(-1);
    cluster.shards[0]!.put(COLLECTION, point(late!, 7));
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ carried: 0, kept: 1, dropped: 300 });
    expect(left()).toEqual([late]);
    expect(owned()).toEqual(moving);
  });

  it('and was a delete, is carried out on the owner too, unless that has changed the point since (INV-3)', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.shards[0]!.delete(COLLECTION, moving[0]!, moving[1]!);
    cluster.joiner.put(COLLECTION, point(moving[1]!, 4_242));
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ carried: 1, kept: 0 });
    expect(cluster.joiner.get(COLLECTION, moving[0]!)).toBeNull();
    expect(cluster.joiner.get(COLLECTION, moving[1]!)).toContain('4242');
  });

  it('is nothing that a donor lacks which has lost its data', async () => {
    cluster = await MovingCluster.start();
    const moving = await proven(300);
    cluster.shards[0]!.delete(COLLECTION, ...moving.slice(0, 150));
    expect(await readAndDrop({ isWatchUnbroken: false })).toMatchObject({ carried: 0 });
    expect(owned()).toEqual(moving);
  });
});
