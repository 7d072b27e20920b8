import { hostname, tmpdir } from 'node:os';
import type { DiagnosisInput } from '../../../src/contract/messages';
import type { SeenShard } from '../../../src/domain/diagnosis';
import { SHARD_KEY, type InProcessShard } from '../../support/in-process-shard';
import { MovingCluster, POINT_DATA } from '../../support/moving-cluster';

const LOOK = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 12_000 } } as never;

let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start();
});
afterEach(() => cluster.stop());

const input = (change: Partial<DiagnosisInput> = {}): DiagnosisInput => ({
  shards: [0, 1].map((id) => cluster.address(id)),
  uid: 'uid-1',
  epochs: { 0: 3, 1: 3 },
  ...change,
});

async function examine(change: Partial<DiagnosisInput> = {}) {
  const { result } = await cluster.run('examineShards', input(change), LOOK);
  expect(JSON.stringify(result)).not.toContain(SHARD_KEY);
  expect(JSON.stringify(result)).not.toContain(POINT_DATA);
  return { ...result, at: (id: number): SeenShard | undefined => result.shards.find((each) => each.shardId === id) };
}

/** Who leads, and what a key may do, is asked by calls on collections that nobody has. */
const written = (shard: InProcessShard): string[] =>
  shard.requests
    .filter(({ method, path }) => method !== 'GET' && !/\/(?:fetch|ListCollections)$|-probe/.test(path))
    .map(({ method, path }) => `${method} ${path}`);

describe('examineShards', () => {
  it('tells all of a shard where nothing is wrong, and writes to nobody', async () => {
    cluster.fill(300);
    cluster.identify(3);
    const follower = await cluster.addReplica(0);
    const { at, shardsLeftOut, shardsNotAsked } = await examine();
    expect(at(0)).toEqual({
      shardId: 0,
      problem: null,
      clockSkewMs: 0,
      key: { role: 'admin', isScoped: false, problem: null },
      identity: { seen: 'same', problem: null },
      grpc: { url: cluster.shards[0]!.grpcUrl, problem: null },
      followers: [{ url: follower.url, problem: null }],
      rows: cluster.shards[0]!.ids('docs').length,
      bytes: cluster.shards[0]!.ids('docs').length * 8,
      source: 'follower',
      stopMs: 0,
    });
    expect(at(1)).toMatchObject({ source: 'primary', followers: [] });
    expect(at(1)?.stopMs).toBeGreaterThan(0);
    expect({ shardsLeftOut, shardsNotAsked }).toEqual({ shardsLeftOut: 0, shardsNotAsked: 0 });
    for (const shard of [...cluster.shards, follower]) expect(written(shard)).toEqual([]);
  });

  it('tells a shard that is silent, and the others beside it', async () => {
    cluster.identify(3);
    await cluster.shards[0]!.stop();
    const { at } = await examine();
    expect(at(0)).toMatchObject({
      problem: 'no answer (ECONNREFUSED)',
      clockSkewMs: null,
      key: { role: null },
      identity: { seen: null },
      rows: null,
      source: null,
      stopMs: null,
    });
    expect(at(0)?.grpc.problem).not.toBeNull();
    expect(at(1)).toMatchObject({ problem: null, rows: 0, identity: { seen: 'same' } });
  });

  it('tells what is true of a shard that has started again since the last look', async () => {
    cluster.identify(3);
    await examine();
    await cluster.shards[0]!.stop();
    await cluster.shards[0]!.listen();
    const { at } = await examine();
    expect(at(0)).toMatchObject({ problem: null, key: { role: 'admin' }, identity: { seen: 'same' }, rows: 0 });
  });

  it('tells a shard that is another one, and one that is not marked yet', async () => {
    cluster.identify(2);
    const { at } = await examine();
    expect(at(0)?.identity).toMatchObject({ seen: 'other', problem: expect.stringContaining('epoch 3') });
    const fresh = await MovingCluster.start();
    try {
      const shards = [fresh.address(0)];
      const { at } = await examine({ shards, uid: null, epochs: { 0: null } });
      expect(at(0)?.identity).toEqual({ seen: 'absent', problem: null });
    } finally {
      await fresh.stop();
    }
  });

  it('tells a follower that is behind, and reads its primary', async () => {
    cluster.identify(2);
    const follower = await cluster.addReplica(0);
    follower.freeze();
    cluster.identify(3);
    const { at } = await examine();
    expect(at(0)).toMatchObject({
      source: 'primary',
      followers: [{ url: follower.url, problem: expect.stringContaining('does not show the epoch') }],
    });
  });

  it('tells a gRPC that is not reached, so that rows are read page by page', async () => {
    cluster.identify(3);
    const shards = [{ ...cluster.address(0), grpc_url: 'http://127.0.0.1:9' }];
    const { at } = await examine({ shards });
    expect(at(0)).toMatchObject({ source: 'pages', grpc: { url: 'http://127.0.0.1:9' } });
    expect(at(0)?.grpc.problem).toContain('127.0.0.1:9');
  });

  it('asks nobody any more when its time is over, and counts them', async () => {
    cluster.identify(3);
    const shards = Array.from({ length: 40 }, (_, id) => ({ ...cluster.address(id % 2), id }));
    cluster.shards[0]!.faults.add({
      match: { path: /healthz/ },
      fault: { kind: 'before', run: () => void (cluster.clock.skewMs = 7_000) },
    });
    const { shardsNotAsked, shards: seen } = await examine({ shards });
    expect(seen.length + shardsNotAsked).toBe(40);
    expect(shardsNotAsked).toBeGreaterThan(20);
  });
});

describe('examineWorker', () => {
  it('tells the machine and the free disk of the spool, also before the spool is there', async () => {
    const { result } = await cluster.run('examineWorker', {}, LOOK);
    expect(result).toMatchObject({ host: hostname(), node: process.versions.node });
    expect(result.spoolFolder.startsWith(tmpdir())).toBe(true);
    expect(result.spoolFreeBytes).toBeGreaterThan(0);
  });
});
