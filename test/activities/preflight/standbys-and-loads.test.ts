import type { ShardAddress } from '../../../src/domain/shard-map';
import { SHARD_KEY, type InProcessShard, type ShardOptions } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point, SCHEMA } from '../../support/moving-cluster';

let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start({ shards: 3 });
});
afterEach(() => cluster.stop());

/** As the profile of the workflow gives it. */
const LOOK = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 10_000 } } as never;

describe('readLoads', () => {
  const read = async () => {
    const { result } = await cluster.run('readLoads', { shards: cluster.move.shards }, LOOK);
    return result;
  };
  const listing = { method: 'GET', path: /^\/v1\/collections$/ } as const;

  it('adds up what every shard says of all its collections', async () => {
    cluster.shards[0]?.create({ ...SCHEMA, name: 'more' });
    cluster.shards[0]?.put(COLLECTION, point('a'), point('b'));
    cluster.shards[0]?.put('more', point('a'));
    cluster.shards[1]?.put(COLLECTION, point('c'));
    expect(await read()).toEqual([
      { shardId: 0, points: 3, bytes: 24, problem: null },
      { shardId: 1, points: 1, bytes: 8, problem: null },
      { shardId: 2, points: 0, bytes: 0, problem: null },
    ]);
  });

  it('does not take a shard that is down for an empty one, says why, and reads the others (INV-8)', async () => {
    cluster.shards[1]?.put(COLLECTION, point('c'));
    await cluster.shards[0]?.stop();
    const [down, up] = await read();
    expect(down).toMatchObject({ shardId: 0, points: null, problem: expect.stringContaining('GET http://127.0.0.1') });
    expect(up).toEqual({ shardId: 1, points: 1, bytes: 8, problem: null });
  });

  it.each([
    ['refuses the key', { kind: 'status', status: 401 }],
    ['is overloaded', { kind: 'status', status: 429 }],
    ['cuts its answer', { kind: 'cutBody' }],
  ] as const)('takes a shard that %s for unknown', async (_what, fault) => {
    cluster.shards[0]?.faults.add({ match: listing, fault });
    expect((await read())[0]).toMatchObject({ points: null, problem: expect.any(String) });
  });

  it('waits for a shard that hangs no longer than 5 s, while the others are read beside it', async () => {
    cluster.shards[0]?.faults.add({ match: listing, fault: { kind: 'hang' } });
    const begunMs = Date.now();
    expect((await read()).map(({ points }) => points)).toEqual([null, 0, 0]);
    expect(Date.now() - begunMs).toBeLessThan(7_000);
  });

  it('reads the leader of a shard, and not the replica that lags and would pass for calm', async () => {
    cluster.shards[0]?.put(COLLECTION, point('a'));
    await cluster.failOver(0);
    expect((await read())[0]).toEqual({ shardId: 0, points: 1, bytes: 8, problem: null });
  });

  it('reads once more when a kept-alive connection was closed meanwhile', async () => {
    cluster.shards[0]?.faults.add({ match: { ...listing, nth: 1 }, fault: { kind: 'refuse' } });
    expect((await read())[0]).toEqual({ shardId: 0, points: 0, bytes: 0, problem: null });
  });
});

describe('probeStandbys', () => {
  const standby = (options: ShardOptions = {}): Promise<InProcessShard> => cluster.startOther(options);
  const addressOf = ({ url }: InProcessShard): ShardAddress => ({ primary_url: url, replica_urls: [] });
  const probe = async (...standbys: InProcessShard[]) => {
    const { result } = await cluster.run('probeStandbys', { standbys: standbys.map(addressOf) }, LOOK);
    return result.map(({ problem }) => problem);
  };

  it('finds no problem with a standby that answers, accepts the key and is empty', async () => {
    const empty = await standby();
    empty.create(SCHEMA);
    expect(await probe(empty)).toEqual([null]);
    expect(cluster.writes(empty)).toEqual([]);
  });

  it('says for each standby what prevents it from joining, side by side', async () => {
    const [down, strict, full, good] = [
      await standby(),
      await standby({ keys: ['another'] }),
      await standby(),
      await standby(),
    ];
    await down.stop();
    full.create(SCHEMA);
    full.put(COLLECTION, point('a'));
    const problems = await probe(down, strict, full, good);
    expect(problems).toEqual([
      expect.stringContaining('to list its collections'),
      expect.stringContaining('to accept the key of QUIVER_CLUSTER_SHARD_KEY'),
      expect.stringContaining(`${COLLECTION} (1 points)`),
      null,
    ]);
    expect(JSON.stringify(problems)).not.toContain(SHARD_KEY);
    expect(cluster.writes(full)).toEqual([]);
  });
});
