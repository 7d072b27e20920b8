import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const POINT = /\/points\//;
const segment = (absentIsDeleted = true) => ({ ...cluster.move, cursor: null, settleMs: 500, absentIsDeleted });
const DROPPED = { cursor: null, restarted: false, collectionGone: false, lateWritesUntilMs: 0 };

/** Points on the donors, and the slice on its owner too. Returns the ids that moved. */
function moved(count: number): string[] {
  const moving = cluster.fill(count);
  for (const id of moving) cluster.joiner.put(COLLECTION, cluster.donorOf(id).get(COLLECTION, id)!);
  return moving;
}

function leftOnDonors(moving: readonly string[]): string[] {
  return moving.filter((id) => cluster.donorOf(id).get(COLLECTION, id) !== null);
}

/**
 * The second point stays, because its owner lacks it; after that a first call runs out of time, and another one goes
 * on.
 */
async function expectTwoCallsToKeepTheSecond(moving: readonly string[]): Promise<void> {
  cluster.joiner.delete(COLLECTION, moving[1]!);
  const late = cluster.passTime(cluster.shards[0]!, { path: /fetch$/, nth: 4 }, 40_000);
  const first = await cluster.run('dropSegment', segment(false));
  late.remove();
  expect(first.result).toMatchObject({ kept: 1, restarted: false });
  expect(first.result.cursor).not.toBeNull();
  const second = await cluster.run('dropSegment', { ...segment(false), cursor: first.result.cursor });
  expect(second.result).toMatchObject({ cursor: null, kept: 0, restarted: false });
  expect(leftOnDonors(moving)).toEqual([moving[1]]);
}

describe('dropSegment', () => {
  it('drops the slice from both donors and nothing else from any shard', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 100 } } });
    const moving = moved(2_000);
    const staying = cluster.shards.map((shard) => shard.ids(COLLECTION).filter((id) => !moving.includes(id)));
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 0 });
    const dropped = Object.values(result.droppedByDonor).reduce((sum, count) => sum + count, 0);
    expect(dropped).toBe(moving.length);
    expect(cluster.shards.slice(0, 2).map((shard) => shard.ids(COLLECTION))).toEqual(staying.slice(0, 2));
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
    const { result: left } = await cluster.run('confirmSegment', { ...cluster.move, cursor: null });
    expect(left).toMatchObject({ leftOnDonors: 0, heldByOwners: moving.length, cursor: null });
  });

  it('drops a point that its owner lacks as deleted, after it has asked again', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    cluster.joiner.delete(COLLECTION, moving[0]!, moving[9]!);
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 2, kept: 0 });
    expect(leftOnDonors(moving)).toEqual([]);
    expect(cluster.clock.sleptMs).toEqual([500]);
  });

  it('drops a point that its owner got while it waited, without taking it for deleted', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.clock.onSleep = () => cluster.joiner.put(COLLECTION, point(moving[0]!));
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 0 });
    expect(leftOnDonors(moving)).toEqual([]);
  });

  it('keeps what its owner lacks when that need not mean that it was deleted', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const { result } = await cluster.run('dropSegment', segment(false));
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 1 });
    expect(leftOnDonors(moving)).toEqual([moving[0]]);
  });

  it('drops nothing of an owner that was wiped, collection and all', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(900);
    await cluster.joiner.restart('wipe');
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ droppedByDonor: {}, droppedAsDeleted: 0, kept: moving.length });
    expect(leftOnDonors(moving)).toEqual(moving);
  });

  it('drops nothing of an owner that holds none of a slice of five points', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.fill(15);
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ droppedByDonor: {}, kept: moving.length });
    expect(leftOnDonors(moving)).toEqual(moving);
  });

  it('keeps all that an owner lacks when it lacks more than a fifth of its slice', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(1_500);
    const lost = moving.slice(0, 150);
    cluster.joiner.delete(COLLECTION, ...lost);
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ ...DROPPED, droppedAsDeleted: 0, kept: 150 });
    expect(leftOnDonors(moving)).toEqual(lost);
  });

  it.each([
    ['refuses to read', { kind: 'status', status: 500 } as const, 'ServerError'],
    ['cuts its connection', { kind: 'refuse' } as const, 'Unreachable'],
  ])('fails, and drops nothing that it would have to ask about, when the owner %s', async (_title, fault, type) => {
    cluster = await MovingCluster.start();
    const moving = moved(300);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.joiner.faults.add({ match: { path: POINT }, fault });
    expect(await cluster.failure('dropSegment', segment())).toMatchObject({ type, nonRetryable: false });
    expect(leftOnDonors(moving)).toContain(moving[0]);
  });

  it('drops nothing when the owner cannot be walked', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(300);
    cluster.joiner.faults.add({ match: { path: /fetch$/ }, fault: { kind: 'cutBody' } });
    await cluster.failure('dropSegment', segment());
    expect(leftOnDonors(moving)).toEqual(moving);
  });

  it('does not drop when its time is over by the time that it has read', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(300);
    cluster.joiner.faults.add({
      match: { path: /fetch$/ },
      fault: { kind: 'before', run: () => void (cluster.clock.skewMs = 59_500) },
    });
    expect(await cluster.failure('dropSegment', segment())).toMatchObject({ type: 'AttemptOutOfTime' });
    expect(leftOnDonors(moving)).toEqual(moving);
  });

  it('goes on behind its cursor although the rows before it are gone', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 50 } } });
    const moving = moved(900);
    await expectTwoCallsToKeepTheSecond(moving);
  });

  it('goes on behind the last row that it kept when every other row before its cursor is gone', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 50 } } });
    const moving = cluster.movingIds(400, 0);
    for (const shard of [cluster.shards[0]!, cluster.joiner]) shard.put(COLLECTION, ...moving.map((id) => point(id)));
    await expectTwoCallsToKeepTheSecond(moving);
  });

  it('counts again what it keeps, and keeps the count of what it dropped, when a retry begins again', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const counts = {
      droppedByDonor: { '0': 7 },
      droppedAsDeleted: 2,
      kept: 5,
      seenByOwner: { '2': 100 },
      missingByOwner: { '2': 99 },
    };
    const progress = { cursor: cluster.lostCursor, restarted: false, counts };
    const info = { attempt: 2, heartbeatDetails: { progress, ended: null } };
    const { result } = await cluster.run('dropSegment', segment(false), { info });
    expect(result).toMatchObject({ restarted: true, kept: 1, droppedAsDeleted: 2 });
    const dropped = Object.values(result.droppedByDonor).reduce((sum, count) => sum + count, 0);
    expect(dropped).toBe(moving.length - 1 + 7);
  });

  it('drops from one donor while another one lacks the collection, whatever keeps the two apart', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    const [, other] = cluster.shards;
    await other!.restart('wipe');
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ ...DROPPED, kept: 0 });
    expect(moving.filter((id) => cluster.shards[0]!.get(COLLECTION, id) !== null)).toEqual([]);
    expect(other!.collections()).toEqual([]);
    const { result: left } = await cluster.run('confirmSegment', { ...cluster.move, cursor: null });
    expect(left).toMatchObject({ cursor: null, leftOnDonors: 0, heldByOwners: moving.length, collectionGone: false });
  });

  it('ends, and says that the collection is gone, when a client has dropped it from all donors', async () => {
    cluster = await MovingCluster.start();
    moved(300);
    for (const donor of cluster.shards.slice(0, 2)) await donor.restart('wipe');
    const input = { ...segment(), cursor: cluster.lostCursor };
    expect((await cluster.run('dropSegment', input)).result).toMatchObject({ cursor: null, collectionGone: true });
    const { result } = await cluster.run('confirmSegment', { ...cluster.move, cursor: null });
    expect(result).toMatchObject({ cursor: null, collectionGone: true, leftOnDonors: 0 });
  });

  it('has nothing left to drop when the collection goes between reading and deleting', async () => {
    cluster = await MovingCluster.start();
    moved(300);
    for (const donor of cluster.shards.slice(0, 2)) {
      donor.faults.add({
        match: { method: 'DELETE' },
        fault: { kind: 'before', run: () => donor.drop(COLLECTION) },
      });
    }
    const { result } = await cluster.run('dropSegment', segment());
    expect(result).toMatchObject({ cursor: null, droppedByDonor: {}, kept: 0 });
  });

  it('repeats what it has to and ends with the same shards when the reply to a delete was lost', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(600);
    cluster.shards[0]!.faults.add({ match: { method: 'DELETE', nth: 1 }, fault: { kind: 'replyLost' } });
    await cluster.failure('dropSegment', segment());
    const { result } = await cluster.run('dropSegment', segment(), { info: { attempt: 2 } });
    expect(result).toMatchObject({ cursor: null, kept: 0 });
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
    expect(leftOnDonors(moving)).toEqual([]);
  });
});

describe('confirmSegment', () => {
  it('counts each point once when a retry begins again because the row of its heartbeat is gone', async () => {
    cluster = await MovingCluster.start();
    const moving = moved(300);
    const progress = { cursor: cluster.lostCursor, restarted: false, leftOnDonors: 40, heldByOwners: 40 };
    const { result } = await cluster.run(
      'confirmSegment',
      { ...cluster.move, cursor: null },
      { info: { attempt: 2, heartbeatDetails: { progress, ended: null } } },
    );
    expect(result).toMatchObject({ restarted: true, leftOnDonors: moving.length, heldByOwners: moving.length });
  });
});
