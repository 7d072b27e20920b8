import { CancelledFailure } from '@temporalio/activity';
import { CLEAN, SETTLE_MS, comparing } from '../../support/comparing';
import { COLLECTION, type Interrupted, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';
import { LOOKING, READING, WRITING } from '../../support/shard-faults';
import { waitFor } from '../../support/wait-for';

let cluster: MovingCluster;
afterEach(() => cluster.stop());
const { pass, expectSame, copied, run, copy } = comparing(() => cluster);

describe('compareDonor', () => {
  it('finds nothing to do, and waits for nothing, when donor and joiner agree', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    expect(await run()).toMatchObject({ ...CLEAN, pointsCompared: moving.length, isTailKept: true });
    expect(cluster.clock.sleptMs).toEqual([]);
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
  });

  it('makes the joiner what the donor is: adds what it lacks, replaces what differs, deletes what the donor lacks', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    cluster.joiner.delete(COLLECTION, moving[0]!, moving[7]!);
    cluster.joiner.put(COLLECTION, point(moving[3]!, 77_777), { ...point(moving[5]!, 5), payload: { value: 1 } });
    const extra = cluster.movingIds(moving.length + 2, 0).slice(-2);
    cluster.joiner.put(COLLECTION, ...extra.map((id) => point(id)));
    expect(await run()).toMatchObject({ differences: 6, settledByThemselves: 0, upserted: 4, deleted: 2 });
    expectSame();
    expect(await run()).toMatchObject(CLEAN);
  });

  it.each([
    ['tells 1.0 from 1, which are the same to JSON.parse', '1.0', '1', 1],
    ['tells large integers apart that are the same to JSON.parse', '9007199254740993', '9007199254740992', 1],
    [
      'lets a float pass that a shard reads as its neighbour (ADR 13)',
      '2.397238681154417e-23',
      '2.3972386811544175e-23',
      0,
    ],
  ])('%s', async (_title, onDonor, onJoiner, upserted) => {
    cluster = await MovingCluster.start();
    const [id] = cluster.movingIds(1, 0);
    const element = (value: string): string => `{"id":"${id}","vector":[1,2],"payload":{"value":${value}}}`;
    cluster.shards[0]!.put(COLLECTION, element(onDonor));
    cluster.joiner.put(COLLECTION, element(onJoiner));
    expect(await run()).toMatchObject({ upserted, differences: upserted });
  });

  it('writes nothing when a dual write was only half-way: the second half comes while the difference settles', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(300);
    cluster.joiner.put(COLLECTION, point(moving[1]!, 99));
    cluster.clock.onSleep = () => cluster.shards[0]!.put(COLLECTION, point(moving[1]!, 99));
    expect(await run()).toMatchObject({ ...CLEAN, differences: 1, settledByThemselves: 1 });
    expect(cluster.clock.sleptMs[0]).toBe(SETTLE_MS);
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
    expectSame();
  });

  it('keeps the newer value when the donor is written between the read from it and the write to the joiner', async () => {
    cluster = await MovingCluster.start();
    const id = copied(300)[2]!;
    cluster.joiner.delete(COLLECTION, id);
    const write = (): void => cluster.shards[0]!.put(COLLECTION, point(id, 4_242));
    cluster.joiner.faults.add({ match: { ...WRITING, nth: 1 }, fault: { kind: 'before', run: write } });
    expect(await run()).toMatchObject({ upserted: 1, deleted: 0 });
    expectSame();
    expect(cluster.joiner.get(COLLECTION, id)).toContain('4242');
  });

  it('is not clean, and the next pass deletes the point, when the donor deletes it between the read and the write', async () => {
    cluster = await MovingCluster.start();
    const id = copied(300)[2]!;
    cluster.joiner.put(COLLECTION, point(id, 5));
    const remove = (): void => void cluster.shards[0]!.delete(COLLECTION, id);
    cluster.joiner.faults.add({ match: { ...WRITING, nth: 1 }, fault: { kind: 'before', run: remove } });
    expect(await run()).toMatchObject({ upserted: 1 });
    expect(await run({ recut: false, scanReceivers: false })).toMatchObject({ deleted: 1 });
    expect(cluster.joiner.get(COLLECTION, id)).toBeNull();
  });

  it('leaves a point alone that the donor got again after it was found to lack it', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    const [extra] = cluster.movingIds(moving.length + 1, 0).slice(-1);
    cluster.joiner.put(COLLECTION, point(extra!, 7));
    const write = (): void => cluster.shards[0]!.put(COLLECTION, point(extra!, 7));
    // Two batches, three more looks while the difference settles, and one right before the delete.
    const last = cluster.shards[0]!.faults.add({
      match: { ...LOOKING, nth: 6 },
      fault: { kind: 'before', run: write },
    });
    expect(await run()).toMatchObject({ differences: 1, settledByThemselves: 0, deleted: 0 });
    expect(last.hits).toBe(1);
    expectSame();
    expect(cluster.joiner.get(COLLECTION, extra!)).not.toBeNull();
  });

  it('fails, and deletes nothing, when the donor cannot be asked about what it seems to lack', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    const [extra] = cluster.movingIds(moving.length + 1, 0).slice(-1);
    cluster.joiner.put(COLLECTION, point(extra!));
    for (const fault of [{ kind: 'status', status: 14 } as const, { kind: 'cutBody' } as const]) {
      const active = cluster.shards[0]!.faults.add({ match: LOOKING, fault });
      expect(await cluster.failure('compareDonor', pass())).toMatchObject({ type: 'Unreachable', nonRetryable: false });
      active.remove();
    }
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
  });

  it('applies more differences than it holds at once', async () => {
    cluster = await MovingCluster.start();
    const moving = cluster.movingIds(2_500, 0);
    cluster.shards[0]!.put(COLLECTION, ...moving.map((id) => point(id)));
    expect(await run()).toMatchObject({ differences: 2_500, upserted: 2_500, deleted: 0 });
    expectSame();
  });

  it('does not mend when its time is over after the differences have settled', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.clock.onSleep = () => void (cluster.clock.skewMs = 59_500);
    expect((await cluster.failure('compareDonor', pass())).nonRetryable).toBe(false);
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
  });

  it('ends without a write when it is cancelled while differences settle', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    const cancelled = cluster.run('compareDonor', pass(), {
      onStart: (environment) => (cluster.clock.onSleep = () => environment.cancel()),
    });
    await expect(cancelled).rejects.toThrow(CancelledFailure);
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
  });
});

describe('a pass behind a copy that is followed', () => {
  const donorLooks = (): number => cluster.shards[0]!.requests.filter(({ path }) => LOOKING.path!.test(path)).length;
  const next = { recut: false, scanReceivers: false };
  const tailHasCome = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

  /** Moving points on donor 0, copied by this worker. */
  async function followed(count: number): Promise<string[]> {
    cluster = await MovingCluster.start();
    cluster.identify();
    const moving = cluster.movingIds(count, 0);
    cluster.shards[0]!.put(COLLECTION, ...moving.map((id, n) => point(id, n)));
    await copy();
    return moving;
  }

  it('asks the donor for nothing, and the joiner for every row', async () => {
    const moving = await followed(1_000);
    expect(await run(next)).toMatchObject({ ...CLEAN, pointsCompared: moving.length });
    expect(donorLooks()).toBe(0);
    cluster.joiner.put(COLLECTION, point(moving[3]!, 77_777));
    expect(await run(next)).toMatchObject({ upserted: 1 });
    expectSame();
  });

  it('asks for what a client has changed since: neither an old copy nor an old proof speaks for it', async () => {
    const moving = await followed(300);
    const [donor] = cluster.shards;
    for (let value = 1_000; value < 1_003; value++) {
      donor!.put(COLLECTION, point(moving[5]!, value));
      expect(await run(next)).toMatchObject({ upserted: 1, deleted: 0 });
      expectSame();
    }
    donor!.delete(COLLECTION, moving[6]!);
    expect(await run(next)).toMatchObject({ upserted: 0, deleted: 1 });
    expectSame();
    expect(await run(next)).toMatchObject(CLEAN);
  });

  it('waits until everything before it was told', async () => {
    const moving = await followed(300);
    const [donor] = cluster.shards;
    // The joiner still holds what was copied, so only the donor's word tells that it is old.
    donor!.put(COLLECTION, point(moving[9]!, 4_242));
    expect(await run(next)).toMatchObject({ upserted: 1 });
    expectSame();
  });

  it('asks the donor for every row when its collection was dropped and created again: no row of it was named', async () => {
    const moving = await followed(150);
    const [donor] = cluster.shards;
    donor!.drop(COLLECTION);
    donor!.create(SCHEMA);
    donor!.put(COLLECTION, ...moving.slice(0, 120).map((id, n) => point(id, n)));
    await tailHasCome();
    expect(await run(next)).toMatchObject({ deleted: 30 });
    expectSame();
  });

  it('is tried again when the collection is dropped while it asks the joiner', async () => {
    const moving = await followed(150);
    const [donor] = cluster.shards;
    const recreate = (): void => {
      donor!.drop(COLLECTION);
      donor!.create(SCHEMA);
      donor!.put(COLLECTION, ...moving.slice(0, 120).map((id, n) => point(id, n)));
    };
    cluster.joiner.faults.add({ match: { ...LOOKING, nth: 1 }, fault: { kind: 'before', run: recreate } });
    expect(await cluster.failure('compareDonor', pass(next))).toMatchObject({ nonRetryable: false });
    // What the first attempt has seen of the drop it has mended already.
    await run(next);
    expectSame();
  });

  it('asks the donor for every row when its tail is lost', async () => {
    const moving = await followed(250);
    await cluster.shards[0]!.restart();
    await tailHasCome();
    expect(await run(next)).toMatchObject({ ...CLEAN, pointsCompared: moving.length, isTailKept: false });
    expect(donorLooks()).toBe(3);
  });

  it('takes a tail for lost that does not tell of what was written just now', async () => {
    const moving = await followed(50);
    const [donor] = cluster.shards;
    // What is read is a copy that follows no more.
    const replica = await cluster.addReplica(0);
    replica.catchUp();
    await copy();
    replica.freeze();
    cluster.clock.onSleep = () => void (cluster.clock.skewMs += 1_000);
    donor!.put(COLLECTION, point(moving[3]!, 4_242));
    expect(await run(next)).toMatchObject({ upserted: 1, isTailKept: false });
    expectSame();
  });

  it('looks again at what the pass before it has deleted', async () => {
    const moving = await followed(200);
    const [donor] = cluster.shards;
    cluster.joiner.put(COLLECTION, point(cluster.movingIds(201, 0).at(-1)!, 1));
    donor!.delete(COLLECTION, moving[0]!);
    expect(await run(next)).toMatchObject({ deleted: 1 });
    cluster.joiner.put(COLLECTION, point(moving[0]!, 5));
    expect(await run(next)).toMatchObject({ deleted: 1 });
  });
});

describe('what compareDonor looks at', () => {
  it('is nothing on a worker that knows nothing of the move, and it says so', async () => {
    cluster = await MovingCluster.start();
    copied(10);
    expect(await run({ recut: false })).toMatchObject({ needsCut: true, pointsCompared: 0, scans: [] });
  });

  it('is also what clients have written to the donor since the copy, without another scan', async () => {
    cluster = await MovingCluster.start();
    copied(100);
    await copy();
    const scans = (): number => cluster.shards[0]!.requests.filter(({ path }) => READING.path!.test(path)).length;
    const scansBefore = scans();
    const [added] = cluster.movingIds(101, 0).slice(-1);
    cluster.shards[0]!.put(COLLECTION, point(added!, 5));
    await waitFor('the change arrives', async () => {
      const { upserted, isTailKept } = await run({ recut: false, scanReceivers: false });
      expect(isTailKept).toBe(true);
      return upserted === 1;
    });
    expectSame();
    expect(scans()).toBe(scansBefore);
  });

  it('is no longer all that changes once the stream of the donor was cut, and it says so', async () => {
    cluster = await MovingCluster.start();
    copied(100);
    await copy();
    await cluster.shards[0]!.restart();
    await waitFor('the tail is lost', async () => !(await run({ recut: false, scanReceivers: false })).isTailKept);
  });

  it('is what the pass before has deleted on its owner, also where no stream tells that the donor got it', async () => {
    cluster = await MovingCluster.start();
    const id = copied(100)[2]!;
    await copy();
    await cluster.shards[0]!.restart();
    await waitFor('the tail is lost', async () => !(await run({ recut: false, scanReceivers: false })).isTailKept);
    cluster.shards[0]!.delete(COLLECTION, id);
    expect(await run({ recut: false, scanReceivers: true })).toMatchObject({ deleted: 1, isTailKept: false });
    cluster.shards[0]!.put(COLLECTION, point(id, 6));
    expect(await run({ recut: false, scanReceivers: false })).toMatchObject({ upserted: 1, isTailKept: false });
    expect(cluster.joiner.get(COLLECTION, id)).toContain('6');
  });

  it('is not what lies on the joiner of another slice', async () => {
    cluster = await MovingCluster.start();
    copied(50);
    const others = cluster.movingIds(20, 1);
    cluster.joiner.put(COLLECTION, ...others.map((id) => point(id)));
    expect(await run()).toMatchObject({ ...CLEAN, pointsCompared: 50 });
    expect(cluster.joiner.ids(COLLECTION)).toEqual(expect.arrayContaining(others));
  });
});

describe('what compareDonor may have written', () => {
  /** An attempt that applies one difference and then cannot read the donor again. */
  async function appliedAndFailed(id: string): Promise<Interrupted> {
    cluster.joiner.delete(COLLECTION, id);
    const { faults } = cluster.shards[0]!;
    cluster.joiner.faults.add({
      match: { ...WRITING, nth: 1 },
      fault: {
        kind: 'beforeReply',
        run: () => void faults.add({ match: LOOKING, fault: { kind: 'status', status: 8 } }),
      },
    });
    const attempt = await cluster.interrupted('compareDonor', pass());
    faults.clear();
    return attempt;
  }

  it('is told when an earlier attempt applied a difference and then failed', async () => {
    cluster = await MovingCluster.start();
    const { next } = await appliedAndFailed(copied(300)[2]!);
    const { result } = await cluster.run('compareDonor', pass(), next);
    expect(result).toMatchObject({ ...CLEAN, mayHaveWritten: true });
    expectSame();
  });

  it('is told also when a further attempt wrote nothing and failed in between', async () => {
    cluster = await MovingCluster.start();
    const first = await appliedAndFailed(copied(300)[2]!);
    const cut = cluster.shards[0]!.faults.add({ match: READING, fault: { kind: 'refuse' } });
    const second = await cluster.interrupted('compareDonor', pass(), first.next.info);
    cut.remove();
    expect((await cluster.run('compareDonor', pass(), second.next)).result.mayHaveWritten).toBe(true);
  });

  it('is nothing when the attempt before failed before its first write', async () => {
    cluster = await MovingCluster.start();
    copied(300);
    const cut = cluster.shards[0]!.faults.add({ match: READING, fault: { kind: 'refuse' } });
    const { next } = await cluster.interrupted('compareDonor', pass());
    cut.remove();
    expect((await cluster.run('compareDonor', pass(), next)).result).toMatchObject(CLEAN);
  });

  it('has an end in time when the reply to a write was lost', async () => {
    cluster = await MovingCluster.start();
    const moving = copied(100);
    cluster.joiner.delete(COLLECTION, moving[0]!);
    cluster.joiner.faults.add({ match: { ...WRITING, nth: 1 }, fault: { kind: 'replyLost' } });
    const { next } = await cluster.interrupted('compareDonor', pass());
    const { result } = await cluster.run('compareDonor', pass(), next);
    expect(result.lateWritesUntilMs).toBeGreaterThan(cluster.clock.nowMs());
  });
});
