import { CancelledFailure } from '@temporalio/activity';
import fs from 'node:fs';
import { COLLECTION, MovingCluster, point, POINT_DATA, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(async () => {
  jest.restoreAllMocks();
  await cluster.stop();
});

const REPLICATE = /Replicate$/;
const UPSERT = /UpsertStream$/;
const copy = (donorId = 0) => ({ ...cluster.donorInput(donorId), isRepeat: false });
const pass = (donorId = 0) => ({ ...cluster.donorInput(donorId), settleMs: 0, recut: false, scanReceivers: false });
/** Attempts of one activity, as their workflow numbers them. */
const attempt = (number: number, activityId = '1') => ({
  info: { attempt: number, activityId, workflowExecution: { workflowId: 'w', runId: 'run' } },
});

/** The moving ids that donor 0 holds. */
const ofDonor = (): string[] =>
  cluster.shards[0]!.ids(COLLECTION).filter((id) => cluster.ownerOf(id) === cluster.joiner);

describe('copyDonor', () => {
  it('puts what the joiner will own on it byte for byte, and nothing else', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(600);
    const [special] = cluster.movingIds(1, 0);
    const exact = `{"id":"${special}","vector":[0.1,-0.0],"payload":{"big":18446744073709551615,"one":1.0,"deep":{"id":"x"}}}`;
    cluster.shards[0]!.put(COLLECTION, exact);
    const { result } = await cluster.run('copyDonor', copy());
    const moving = ofDonor();
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
    for (const id of moving) expect(cluster.joiner.get(COLLECTION, id)).toBe(cluster.shards[0]!.get(COLLECTION, id));
    expect(result).toMatchObject({ pointsCopied: moving.length, knowsAllWritten: true, lateWritesUntilMs: 0 });
    expect(result.scan).toMatchObject({ source: 'primary', sourceUrl: cluster.shards[0]!.grpcUrl });
    expect(result.scan.rowsRead).toBe(cluster.shards[0]!.ids(COLLECTION).length);
    expect(result.bytesCopied).toBeGreaterThan(moving.length * 50);
  });

  it('copies ids with slashes, spaces and letters that JavaScript orders otherwise than their bytes, and proves each of them', async () => {
    cluster = await MovingCluster.start();
    const odd = [
      '/',
      '//',
      ' ',
      'a b',
      'a/b',
      '%2F',
      '"',
      '\\',
      '\n',
      '\u{FFFD}',
      '\u{10000}',
      '\u{10FFFF}',
      'ä',
      '..',
      '.',
    ];
    const ids = odd.flatMap((text) => Array.from({ length: 8 }, (_, n) => `${text}${POINT_DATA}${n}${text}`));
    const moving = ids.filter(
      (id) => cluster.donorOf(id) === cluster.shards[0] && cluster.ownerOf(id) === cluster.joiner,
    );
    expect(moving.length).toBeGreaterThan(10);
    cluster.shards[0]!.put(COLLECTION, ...moving.map((id) => point(id)));
    await cluster.run('copyDonor', copy());
    expect([...cluster.joiner.ids(COLLECTION)].sort()).toEqual([...moving].sort());
    const { result } = await cluster.run('compareDonor', pass());
    expect(result).toMatchObject({ pointsCompared: moving.length, differences: 0 });
  });

  it('copies 12 points of 1 MiB, more than one message of gRPC may hold', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { payloadBytesMax: 2 ** 21 } } });
    for (const id of cluster.movingIds(12, 0)) {
      cluster.shards[0]!.put(COLLECTION, { ...point(id), payload: { text: 'x'.repeat(2 ** 20) } });
    }
    const { result } = await cluster.run('copyDonor', copy());
    expect(result.pointsCopied).toBe(12);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(cluster.shards[0]!.ids(COLLECTION));
    const upserts = cluster.rowWrites(cluster.joiner).filter((write) => write === 'GRPC UpsertStream');
    expect(upserts.length).toBeGreaterThanOrEqual(2);
  });

  it('copies the collections that it is told, and no others', async () => {
    cluster = await MovingCluster.start();
    for (const shard of cluster.shards) shard.create({ ...SCHEMA, name: 'other' });
    const [id] = cluster.movingIds(1, 0);
    for (const name of [COLLECTION, 'other']) cluster.shards[0]!.put(name, point(id!));
    const { result } = await cluster.run('copyDonor', copy());
    expect(result.pointsCopied).toBe(1);
    expect(cluster.joiner.ids('other')).toEqual([]);
  });

  it.each([
    ['hnsw', 1],
    ['ivf', 0],
  ] as const)(
    'makes the joiner build an index of the kind %s after the first points %d times',
    async (index, searches) => {
      cluster = await MovingCluster.start({ schema: { ...SCHEMA, index } });
      cluster.fill(2_000);
      await cluster.run('copyDonor', copy());
      const order = cluster.joiner.requests.map(({ path }) => path).filter((path) => /UpsertStream|query$/.test(path));
      expect(order.filter((path) => path.endsWith('/query'))).toHaveLength(searches);
      if (searches > 0) expect(order.findIndex((path) => path.endsWith('/query'))).toBe(1);
    },
  );

  it('copies all the same when the search that builds the index fails', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    cluster.fill(2_000);
    cluster.joiner.faults.add({ match: { path: /\/query$/ }, fault: { kind: 'status', status: 500 } });
    const { result } = await cluster.run('copyDonor', copy());
    expect(result.pointsCopied).toBe(ofDonor().length);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(ofDonor());
  });

  it('says until when a write may arrive late when the reply to one was lost, and names no point', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.joiner.faults.add({ match: { path: UPSERT, nth: 1 }, fault: { kind: 'replyLost' } });
    const before = cluster.clock.nowMs();
    const failure = await cluster.failure('copyDonor', copy());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    const [details] = failure.details as [{ lateWritesUntilMs: number }];
    expect(details.lateWritesUntilMs).toBeGreaterThanOrEqual(before + 20_000);
  });

  it('is tried again when the joiner has too much to do', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.joiner.faults.add({ match: { path: UPSERT }, fault: { kind: 'status', status: 8 } });
    expect(await cluster.failure('copyDonor', copy())).toMatchObject({ type: 'Overloaded', nonRetryable: false });
  });

  it('does not write when its time is over by the time that it has read', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    // It asks the joiner for its gRPC twice: before it reads it, and before it writes.
    cluster.passTime(cluster.joiner, { path: /ListCollections$/, nth: 2 }, 59_000);
    const failure = await cluster.failure('copyDonor', copy());
    expect(failure).toMatchObject({ type: 'AttemptOutOfTime', nonRetryable: false });
    expect(cluster.rowWrites(cluster.joiner)).toEqual([]);
  });

  it('waits for the write that is under way and begins no other one when it is cancelled', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { payloadBytesMax: 2 ** 21 } } });
    for (const id of cluster.movingIds(20, 0)) {
      cluster.shards[0]!.put(COLLECTION, { ...point(id), payload: { text: 'x'.repeat(2 ** 20) } });
    }
    let cancel = (): void => undefined;
    let wasCarriedOut = false;
    cluster.joiner.faults.add({
      match: { path: UPSERT, nth: 2 },
      fault: {
        kind: 'before',
        run: async () => {
          cancel();
          await new Promise((resolve) => setImmediate(resolve));
          wasCarriedOut = true;
        },
      },
    });
    const run = cluster.run('copyDonor', copy(), { onStart: (environment) => (cancel = () => environment.cancel()) });
    await expect(run).rejects.toThrow(CancelledFailure);
    expect(wasCarriedOut).toBe(true);
    expect(cluster.rowWrites(cluster.joiner)).toHaveLength(2);
    expect(cluster.joiner.requests.filter(({ path }) => UPSERT.test(path)).at(-1)?.status).toBe(0);
  });

  it('copies nothing, and fails not, when the donor has no such collection', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.joiner.create(SCHEMA);
    const { result } = await cluster.run('copyDonor', copy());
    expect(result).toMatchObject({ pointsCopied: 0, bytesCopied: 0, lateWritesUntilMs: 0 });
  });

  it('fails, to be tried again, when the joiner lacks the collection, and creates none', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.joiner.drop(COLLECTION);
    const failure = await cluster.failure('copyDonor', copy());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(failure.message).toContain('shard 2 lacks it');
    expect(cluster.joiner.collections()).toEqual([]);
  });

  it('fails when the stream of the donor ends before its cut does, and is whole when it is tried again', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(900);
    for (const status of [undefined, 14]) {
      const fault = { kind: 'cutStream', rows: 100, ...(status === undefined ? {} : { status }) } as const;
      const cut = cluster.shards[0]!.faults.add({ match: { path: REPLICATE }, fault });
      expect(await cluster.failure('copyDonor', copy())).toMatchObject({ type: 'Unreachable', nonRetryable: false });
      cut.remove();
    }
    await cluster.run('copyDonor', copy());
    expect(cluster.joiner.ids(COLLECTION)).toEqual(ofDonor());
  });

  it('says what to do, and is tried again, when the disk of the worker is full', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    jest.spyOn(fs, 'writeSync').mockImplementation(() => {
      throw full;
    });
    const failure = await cluster.failure('copyDonor', copy());
    expect(failure).toMatchObject({ type: 'SpoolFull', nonRetryable: false });
    expect(failure.message).toContain('COORDINATOR_SPOOL_DIR');
  });
});

describe('what copyDonor knows of the rows that it wrote', () => {
  it('is all of them when the attempt before ran on the same worker', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const cut = cluster.joiner.faults.add({ match: { path: UPSERT }, fault: { kind: 'replyLost' } });
    await expect(cluster.run('copyDonor', copy(), attempt(1))).rejects.toThrow();
    cut.remove();
    expect((await cluster.run('copyDonor', copy(), attempt(2))).result.knowsAllWritten).toBe(true);
  });

  it.each([
    ['the attempt before it ran elsewhere', false, 2],
    ['its workflow has begun it before', true, 1],
  ])('is not all of them when %s', async (_title, isRepeat, number) => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const { result } = await cluster.run('copyDonor', { ...copy(), isRepeat }, attempt(number));
    expect(result.knowsAllWritten).toBe(false);
  });

  it('is what a failed attempt wrote, too: a pass removes a row of it that the donor has lost since', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const [id] = ofDonor();
    cluster.joiner.faults.add({ match: { path: UPSERT, nth: 1 }, fault: { kind: 'replyLost' } });
    await expect(cluster.run('copyDonor', copy(), attempt(1))).rejects.toThrow();
    expect(cluster.joiner.get(COLLECTION, id!)).not.toBeNull();
    cluster.shards[0]!.delete(COLLECTION, id!);
    await cluster.run('copyDonor', copy(), attempt(2));
    expect(cluster.joiner.get(COLLECTION, id!)).not.toBeNull();
    const { result } = await cluster.run('compareDonor', pass());
    expect(result.deleted).toBe(1);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(ofDonor());
  });

  it('is what the joiner held before, too: one router may have written it there, and another one deleted it on the donor alone', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const extra = cluster.movingIds(400, 0).at(-1)!;
    cluster.joiner.put(COLLECTION, point(extra));
    await cluster.run('copyDonor', copy());
    expect((await cluster.run('compareDonor', pass())).result.deleted).toBe(1);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(ofDonor());
  });
});
