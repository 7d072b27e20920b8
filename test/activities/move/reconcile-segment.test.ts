import { CancelledFailure } from '@temporalio/activity';
import type { ReconcileResult } from '../../../src/contract/move';
import { COLLECTION, type Interrupted, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const BULK = /points:bulk$/;
const POINT = /\/points\//;
const SETTLE_MS = 500;
const segment = () => ({ ...cluster.move, cursor: null, settleMs: SETTLE_MS });
const CLEAN: Partial<ReconcileResult> = {
  cursor: null,
  restarted: false,
  collectionGone: false,
  differences: 0,
  settledByThemselves: 0,
  upserted: 0,
  deleted: 0,
  mayHaveWritten: false,
  lateWritesUntilMs: 0,
};

/** What the donors hold of the slice is on the joiner, and nothing else of it. */
function expectSame(moving: readonly string[]): void {
  const held = moving.filter((id) => cluster.donorOf(id).get(COLLECTION, id) !== null);
  expect(cluster.joiner.ids(COLLECTION)).toEqual(held);
  for (const id of held) expect(cluster.joiner.get(COLLECTION, id)).toBe(cluster.donorOf(id).get(COLLECTION, id));
}

/** Points on the donors, and the same on the joiner. Returns the ids that move. */
function copied(count: number): string[] {
  const moving = cluster.fill(count);
  for (const id of moving) cluster.joiner.put(COLLECTION, cluster.donorOf(id).get(COLLECTION, id)!);
  return moving;
}

describe('reconcileSegment', () => {
  it('finds nothing to do, and waits for nothing, when two donors and the joiner agree', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(600);
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ ...CLEAN, pointsCompared: moving.length });
    expect(cluster.clock.sleptMs).toEqual([]);
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('makes the joiner what the donors are: adds what it lacks, replaces what differs, deletes what the donors lack', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(600);
    cluster.joiner.delete(COLLECTION, moving[0]!, moving[7]!);
    cluster.joiner.put(COLLECTION, point(moving[3]!, 77_777), { ...point(moving[5]!, 5), payload: { value: 1 } });
    const extra = cluster.movingIds(moving.length + 2).slice(-2);
    cluster.joiner.put(COLLECTION, ...extra.map((id) => point(id)));
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ differences: 6, settledByThemselves: 0, upserted: 4, deleted: 2 });
    expectSame(moving);
    const again = await cluster.run('reconcileSegment', segment());
    expect(again.result).toMatchObject(CLEAN);
  });

  it('tells 1.0 from 1, which are the same to JSON.parse', async () => {
    cluster = await MovingCluster.start();
    const [id] = cluster.movingIds(1);
    const element = (value: string): string => `{"id":"${id}","vector":[1,2],"payload":{"value":${value}}}`;
    cluster.donorOf(id!).put(COLLECTION, element('1.0'));
    cluster.joiner.put(COLLECTION, element('1'));
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result.upserted).toBe(1);
    expectSame([id!]);
  });

  it('writes nothing when a dual write was only half-way: the second half comes while the difference settles', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    cluster.joiner.put(COLLECTION, point(moving[1]!, 99));
    cluster.clock.onSleep = () => cluster.donorOf(moving[1]!).put(COLLECTION, point(moving[1]!, 99));
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ ...CLEAN, differences: 1, settledByThemselves: 1 });
    expect(cluster.clock.sleptMs[0]).toBe(SETTLE_MS);
    expect(cluster.writes(cluster.joiner)).toEqual([]);
    expectSame(moving);
  });

  it('keeps the newer value when the donor is written between the read from it and the write to the joiner', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    const id = moving[2]!;
    cluster.joiner.delete(COLLECTION, id);
    cluster.joiner.faults.add({
      match: { path: BULK, nth: 1 },
      fault: { kind: 'before', run: () => cluster.donorOf(id).put(COLLECTION, point(id, 4_242)) },
    });
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ upserted: 1, deleted: 0 });
    expectSame(moving);
    expect(cluster.joiner.get(COLLECTION, id)).toContain('4242');
  });

  it('leaves no deleted point behind when the donor deletes it between the read from it and the write to the joiner', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    const id = moving[2]!;
    cluster.joiner.put(COLLECTION, point(id, 5));
    cluster.joiner.faults.add({
      match: { path: BULK, nth: 1 },
      fault: { kind: 'before', run: () => void cluster.donorOf(id).delete(COLLECTION, id) },
    });
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ upserted: 0, deleted: 1 });
    expect(cluster.joiner.get(COLLECTION, id)).toBeNull();
  });

  it('skips no row when rows before the page are deleted on a donor between two pages', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 40 } } });
    const moving = copied(600);
    const missing = moving.at(-30)!;
    cluster.joiner.delete(COLLECTION, missing);
    const donor = cluster.donorOf(missing);
    donor.faults.add({
      match: { path: /fetch$/, nth: 3 },
      fault: {
        kind: 'beforeReply',
        run: () => {
          const early = donor.ids(COLLECTION).slice(0, 60);
          donor.delete(COLLECTION, ...early);
          cluster.joiner.delete(COLLECTION, ...early);
        },
      },
    });
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result.upserted).toBe(1);
    expect(cluster.joiner.get(COLLECTION, missing)).not.toBeNull();
  });

  it('fails, and deletes nothing, when a donor cannot be asked about what it seems to lack', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    const [extra] = cluster.movingIds(moving.length + 1).slice(-1);
    cluster.joiner.put(COLLECTION, point(extra!));
    cluster.donorOf(extra!).faults.add({ match: { path: POINT }, fault: { kind: 'status', status: 500 } });
    expect(await cluster.failure('reconcileSegment', segment())).toMatchObject({
      type: 'ServerError',
      nonRetryable: false,
    });
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('applies more differences than it holds at once', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.fill(4_000);
    expect(moving.length).toBeGreaterThan(1_200);
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ cursor: null, differences: moving.length, upserted: moving.length, deleted: 0 });
    expectSame(moving);
  });

  it('does not mend when its time is over after the differences have settled', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.joiner.faults.add({
      match: { path: POINT },
      fault: { kind: 'before', run: () => void (cluster.clock.skewMs = 59_500) },
    });
    expect(await cluster.failure('reconcileSegment', segment())).toMatchObject({ type: 'AttemptOutOfTime' });
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('ends without a write when it is cancelled while differences settle', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const run = cluster.run('reconcileSegment', segment(), {
      onStart: (environment) => (cluster.clock.onSleep = () => environment.cancel()),
    });
    await expect(run).rejects.toThrow(CancelledFailure);
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('returns a cursor when most of its time is over, and the next one compares the rest', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 50 } } });
    const moving = copied(900);
    const late = cluster.passTime(cluster.shards[0]!, { path: /fetch$/, nth: 4 }, 40_000);
    const first = await cluster.run('reconcileSegment', segment());
    late.remove();
    expect(first.result.cursor).not.toBeNull();
    cluster.joiner.delete(COLLECTION, moving.at(-1)!);
    const second = await cluster.run('reconcileSegment', { ...segment(), cursor: first.result.cursor });
    expect(second.result).toMatchObject({ cursor: null, restarted: false, upserted: 1, differences: 1 });
    expect(first.result.pointsCompared + second.result.pointsCompared).toBe(moving.length);
    expect(first.result.pointsCompared).toBeGreaterThan(0);
  });

  it('begins again, and says so, when the row at its cursor was deleted', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 50 } } });
    const moving = copied(900);
    const late = cluster.passTime(cluster.shards[0]!, { path: /fetch$/, nth: 4 }, 40_000);
    const { result } = await cluster.run('reconcileSegment', segment());
    late.remove();
    for (const shard of cluster.shards) shard.delete(COLLECTION, ...shard.ids(COLLECTION).slice(0, 400));
    const second = await cluster.run('reconcileSegment', { ...segment(), cursor: result.cursor });
    expect(second.result).toMatchObject({ cursor: null, restarted: true });
    expectSame(moving);
  });

  /** An attempt that applies one difference and then cannot read the donor again. */
  async function appliedAndFailed(id: string): Promise<Interrupted> {
    cluster.joiner.delete(COLLECTION, id);
    const { faults } = cluster.donorOf(id);
    cluster.joiner.faults.add({
      match: { path: BULK, nth: 1 },
      fault: {
        kind: 'beforeReply',
        run: () => void faults.add({ match: { path: POINT }, fault: { kind: 'status', status: 503 } }),
      },
    });
    const attempt = await cluster.interrupted('reconcileSegment', segment());
    faults.clear();
    return attempt;
  }

  it('says that it may have written when an earlier attempt applied a difference and then failed', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    const { next } = await appliedAndFailed(moving[2]!);
    const { result } = await cluster.run('reconcileSegment', segment(), next);
    expect(result).toMatchObject({ ...CLEAN, mayHaveWritten: true });
    expectSame(moving);
  });

  it('says so also when a further attempt wrote nothing and failed in between', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    const first = await appliedAndFailed(moving[2]!);
    const cut = cluster.joiner.faults.add({ match: { path: /fetch$/ }, fault: { kind: 'cutBody' } });
    const second = await cluster.interrupted('reconcileSegment', segment(), first.next.info);
    cut.remove();
    expect((await cluster.run('reconcileSegment', segment(), second.next)).result.mayHaveWritten).toBe(true);
  });

  it('has not written when the attempt before it failed before its first write', async () => {
    cluster = await MovingCluster.start();
    copied(300);
    const cut = cluster.joiner.faults.add({ match: { path: /fetch$/ }, fault: { kind: 'cutBody' } });
    const { next } = await cluster.interrupted('reconcileSegment', segment());
    cut.remove();
    expect((await cluster.run('reconcileSegment', segment(), next)).result).toMatchObject(CLEAN);
  });

  it('counts each point once, and every write, when a retry begins again because the row of its heartbeat is gone', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    const counts = {
      pointsCompared: 50,
      bytesCompared: 5_000,
      differences: 9,
      settledByThemselves: 2,
      upserted: 4,
      deleted: 3,
    };
    const progress = { cursor: cluster.lostCursor, restarted: false, counts, mayHaveWritten: false };
    const info = { attempt: 2, heartbeatDetails: { progress, ended: null } };
    const { result } = await cluster.run('reconcileSegment', segment(), { info });
    expect(result).toMatchObject({ restarted: true, pointsCompared: moving.length, upserted: 4, deleted: 3 });
    const { result: whole } = await cluster.run('reconcileSegment', segment());
    expect(result.bytesCompared).toBe(whole.bytesCompared);
  });

  it('says that the collection is gone when no donor has it', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.joiner.create(SCHEMA);
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result).toMatchObject({ ...CLEAN, collectionGone: true });
  });

  it('creates the collection on a joiner that lost it, and puts everything there again', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    await cluster.joiner.restart('wipe');
    const { result } = await cluster.run('reconcileSegment', segment());
    expect(result.upserted).toBe(moving.length);
    expectSame(moving);
  });
});
