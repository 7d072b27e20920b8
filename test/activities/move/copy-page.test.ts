import { CancelledFailure } from '@temporalio/activity';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const BULK = /points:bulk$/;
const page = (offset = 0, limit = 10_000) => ({ ...cluster.move, donorId: 0, offset, limit });

describe('copyPage', () => {
  it('puts what the joiner will own on it byte for byte, and nothing else', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(600);
    const [special] = cluster.movingIds(1, 0);
    const exact = `{"id":"${special}","vector":[0.1,-0.0],"payload":{"big":18446744073709551615,"one":1.0,"deep":{"id":"x"}}}`;
    cluster.shards[0]!.put(COLLECTION, exact);
    const moving = cluster.movingIds(600).filter((id) => cluster.shards[0]!.get(COLLECTION, id) !== null);
    const { result } = await cluster.run('copyPage', page());
    expect(cluster.joiner.ids(COLLECTION)).toEqual(moving);
    for (const id of moving) expect(cluster.joiner.get(COLLECTION, id)).toBe(cluster.shards[0]!.get(COLLECTION, id));
    expect(result).toMatchObject({
      rowsRead: cluster.shards[0]!.ids(COLLECTION).length,
      pointsCopied: moving.length,
      collectionGone: false,
      lateWritesUntilMs: 0,
    });
    expect(result.bytesCopied).toBeGreaterThan(moving.length * 50);
  });

  it('reads only its own rows', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    const rows = cluster.shards[0]!.ids(COLLECTION).slice(20, 50);
    const { result } = await cluster.run('copyPage', page(20, 30));
    expect(result.rowsRead).toBe(30);
    expect(cluster.joiner.ids(COLLECTION)).toEqual(cluster.movingIds(300).filter((id) => rows.includes(id)));
  });

  it('reads its rows in smaller requests from a shard that allows no larger ones', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { fetchRowsMax: 7 } } });
    cluster.fill(90);
    const rows = cluster.shards[0]!.ids(COLLECTION).length;
    const { result } = await cluster.run('copyPage', page());
    expect(result.rowsRead).toBe(rows);
    expect(result.pointsCopied).toBe(cluster.joiner.ids(COLLECTION).length);
  });

  it('cuts bodies by bytes, so that 12 points of 1 MiB go in several', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { payloadBytesMax: 2 ** 21 } } });
    for (const id of cluster.movingIds(12, 0)) {
      cluster.shards[0]!.put(COLLECTION, { ...point(id), payload: { text: 'x'.repeat(2 ** 20) } });
    }
    const { result } = await cluster.run('copyPage', page());
    expect(result.pointsCopied).toBe(12);
    const bulks = cluster.writes(cluster.joiner).filter((write) => write === 'POST points:bulk');
    expect(bulks.length).toBeGreaterThanOrEqual(3);
    expect(bulks.length).toBeLessThanOrEqual(4);
  });

  it('makes the joiner build a graph index after the first points, and no index that learns from its points', async () => {
    for (const [index, searches] of [
      ['hnsw', 1],
      ['ivf', 0],
    ] as const) {
      cluster = await MovingCluster.start({ schema: { ...SCHEMA, index } });
      cluster.fill(2_000);
      await cluster.run('copyPage', page());
      const order = cluster.joiner.requests.filter(({ method }) => method === 'POST').map(({ path }) => path);
      expect(order.filter((path) => path.endsWith('/query'))).toHaveLength(searches);
      if (searches > 0) expect(order.findIndex((path) => path.endsWith('/query'))).toBe(1);
      if (index === 'hnsw') await cluster.stop();
    }
  });

  it('copies all the same when the search that builds the index fails', async () => {
    cluster = await MovingCluster.start({ schema: { ...SCHEMA, index: 'hnsw' } });
    cluster.fill(2_000);
    cluster.joiner.faults.add({ match: { path: /\/query$/ }, fault: { kind: 'status', status: 500 } });
    const { result } = await cluster.run('copyPage', page());
    expect(result.pointsCopied).toBe(cluster.joiner.ids(COLLECTION).length);
  });

  it('says until when a write may arrive late when the reply to one was lost, and names no point', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.joiner.faults.add({ match: { path: BULK, nth: 1 }, fault: { kind: 'replyLost' } });
    const before = cluster.clock.nowMs();
    const failure = await cluster.failure('copyPage', page());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    const [details] = failure.details as [{ lateWritesUntilMs: number }];
    expect(details.lateWritesUntilMs).toBeGreaterThanOrEqual(before + 20_000);
  });

  it('passes on what a shard asks for in Retry-After', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.joiner.faults.add({ match: { path: BULK }, fault: { kind: 'status', status: 429, retryAfter: '7' } });
    const failure = await cluster.failure('copyPage', page());
    expect(failure).toMatchObject({ type: 'Overloaded', nonRetryable: false, nextRetryDelay: 7_000 });
  });

  it('does not write when its time is over by the time that it has read', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(300);
    cluster.shards[0]!.faults.add({
      match: { path: /fetch$/ },
      fault: { kind: 'before', run: () => void (cluster.clock.skewMs = 59_000) },
    });
    const failure = await cluster.failure('copyPage', page());
    expect(failure).toMatchObject({ type: 'AttemptOutOfTime', nonRetryable: false });
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('waits for the write that is under way and begins no other one when it is cancelled', async () => {
    cluster = await MovingCluster.start({ shard: { limits: { payloadBytesMax: 2 ** 21 } } });
    for (const id of cluster.movingIds(20, 0)) {
      cluster.shards[0]!.put(COLLECTION, { ...point(id), payload: { text: 'x'.repeat(2 ** 20) } });
    }
    let cancel = (): void => undefined;
    let wasCarriedOut = false;
    cluster.joiner.faults.add({
      match: { path: BULK, nth: 2 },
      fault: {
        kind: 'before',
        run: async () => {
          cancel();
          await new Promise((resolve) => setImmediate(resolve));
          wasCarriedOut = true;
        },
      },
    });
    const run = cluster.run('copyPage', page(), { onStart: (environment) => (cancel = () => environment.cancel()) });
    await expect(run).rejects.toThrow(CancelledFailure);
    expect(wasCarriedOut).toBe(true);
    expect(cluster.writes(cluster.joiner)).toHaveLength(2);
    expect(cluster.joiner.requests.at(-1)?.status).toBe(200);
  });

  it('says that the collection is gone when no donor has it', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.joiner.create(SCHEMA);
    const { result } = await cluster.run('copyPage', page());
    expect(result).toEqual({
      rowsRead: 0,
      pointsCopied: 0,
      bytesCopied: 0,
      collectionGone: true,
      lateWritesUntilMs: 0,
    });
  });

  it('fails, to be tried again, when only some donors lack the collection', async () => {
    cluster = await MovingCluster.start({ schema: null });
    cluster.shards[1]!.create(SCHEMA);
    const failure = await cluster.failure('copyPage', page());
    expect(failure).toMatchObject({ type: 'CollectionInFlux', nonRetryable: false });
    expect(failure.message).toContain('shard 0 lacks it');
  });

  it('creates a collection that only the joiner lacks, and goes on', async () => {
    cluster = await MovingCluster.start({ schema: null });
    for (const donor of cluster.shards.slice(0, 2)) donor.create(SCHEMA);
    cluster.fill(300);
    const { result } = await cluster.run('copyPage', page());
    expect(result.pointsCopied).toBe(cluster.joiner.ids(COLLECTION).length);
    expect(result.pointsCopied).toBeGreaterThan(0);
  });
});
