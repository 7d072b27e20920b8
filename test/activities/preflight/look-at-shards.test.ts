import type { IdentifyInput } from '../../../src/contract/identity';
import { IDENTITY_COLLECTION, identityPath, type ShardIdentity } from '../../../src/domain/shard-identity';
import type { InProcessShard } from '../../support/in-process-shard';
import { MovingCluster } from '../../support/moving-cluster';

const JOINER = 2;
const LOOK = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 12_000 } } as never;

let cluster: MovingCluster;
beforeEach(async () => {
  cluster = await MovingCluster.start();
});
afterEach(() => cluster.stop());

const input = (more: Partial<IdentifyInput> = {}): IdentifyInput => ({
  cluster: 'prod',
  uid: 'uid-1',
  epoch: 0,
  operationId: '',
  isCheck: false,
  joiners: [cluster.address(JOINER)],
  members: [0, 1].map((id) => ({ shard: cluster.address(id), epoch: null, role: 'donor' })),
  leftovers: [],
  ...more,
});

function mark(shard: InProcessShard, change: Partial<ShardIdentity>, epoch = 4): void {
  const identity = { cluster: 'prod', clusterUid: 'uid-1', shardId: 0, operationId: 'adopt', ...change };
  const filterable = [{ path: identityPath(identity), field_type: 'keyword' }];
  shard.create({ name: IDENTITY_COLLECTION, dim: 1, metric: 'l2', filterable });
  shard.put(IDENTITY_COLLECTION, { id: 'epoch', vector: [0], payload: { epoch } });
}

async function refusal(more: Partial<IdentifyInput> = {}): Promise<unknown> {
  const { type, nonRetryable } = await cluster.failure('lookAtShards', input(more), LOOK);
  expect(nonRetryable).toBe(true);
  cluster.expectUntouched();
  return type;
}

describe('lookAtShards', () => {
  it('counts members that an operation would adopt, and writes to nobody', async () => {
    mark(cluster.shards[0]!, {});
    expect((await cluster.run('lookAtShards', input(), LOOK)).result).toEqual({ unmarked: 1 });
    cluster.expectUntouched();
  });

  it.each([
    ['ShardLostData', () => undefined],
    ['ShardOfAnotherCluster', () => mark(cluster.shards[1]!, { clusterUid: 'uid-2', shardId: 1 })],
    ['WrongShard', () => mark(cluster.shards[1]!, { shardId: 9 })],
    ['ShardLostData', () => mark(cluster.shards[1]!, { shardId: 1 }, 3)],
  ])('refuses a member as %s', async (code, prepare) => {
    prepare();
    mark(cluster.shards[0]!, {});
    const members = [0, 1].map((id) => ({ shard: cluster.address(id), epoch: 4, role: 'donor' as const }));
    expect(await refusal({ members })).toBe(code);
  });

  it('refuses a joiner that belongs to somebody, or does not answer', async () => {
    mark(cluster.joiner, { clusterUid: 'uid-2' });
    expect(await refusal()).toBe('ShardOfAnotherCluster');
    await cluster.joiner.stop();
    expect(await refusal()).toBe('JoinerUnreachable');
  });

  it('refuses a leftover of another cluster', async () => {
    const leftover = await cluster.startOther();
    mark(leftover, { clusterUid: 'uid-2' });
    expect(await refusal({ leftovers: [{ primary_url: leftover.url, replica_urls: [] }] })).toBe(
      'ShardOfAnotherCluster',
    );
  });
});

describe('planScans for a plan', () => {
  /** Who leads a shard with replicas is asked by a delete of no ids, as before every read. */
  const isProbe = (path: string) => path.includes('/leader-probe/');
  const written = () =>
    cluster.shards.flatMap(({ requests }) =>
      requests
        .filter(({ method, path }) => /POST|DELETE/.test(method) && !path.endsWith('/fetch') && !isProbe(path))
        .map(({ method, path }) => `${method} ${path}`),
    );
  const marks = () => cluster.shards.map((shard) => shard.ids(IDENTITY_COLLECTION));

  const scans = (more: { isPlan?: boolean; stopMaxMs?: number } = {}) => ({
    ...cluster.move,
    identity: null,
    readers: [0, 1].map((shardId) => ({ shardId, scans: 2, share: 0.5 })),
    stopMaxMs: 30_000,
    isPlan: true,
    ...more,
  });

  it('takes a follower by the identity that it shows, and writes to nobody', async () => {
    cluster.fill(200);
    cluster.identify(3);
    const follower = await cluster.addReplica(0);
    const before = marks();
    const { result } = await cluster.run('planScans', scans(), LOOK);
    expect(result.plans).toMatchObject([
      { shardId: 0, source: 'follower', reason: 'it shows the identity of its primary' },
      { shardId: 1, source: 'primary', reason: 'it has no follower' },
    ]);
    expect([written(), marks()]).toEqual([[], before]);
    expect(cluster.writes(follower)).toEqual([]);
  });

  it('takes no follower that lags behind its primary', async () => {
    cluster.identify(3);
    const follower = await cluster.addReplica(0);
    follower.freeze();
    cluster.identify(4);
    const { result } = await cluster.run('planScans', scans(), LOOK);
    expect(result.plans[0]).toMatchObject({ source: 'primary' });
    expect(result.plans[0]?.reason).toContain('does not show the epoch of its primary');
    expect(written()).toEqual([]);
  });

  it('writes what proves a follower when it is no plan', async () => {
    cluster.identify(3);
    await cluster.addReplica(0);
    const { isPlan: _, ...real } = scans();
    await cluster.run('planScans', { ...real, identity: cluster.move.identity ?? null }, LOOK);
    expect(written()).toEqual([`POST /v1/collections/${IDENTITY_COLLECTION}/points:bulk`]);
    expect(cluster.shards[0]!.ids(IDENTITY_COLLECTION)).toContain('barrier');
  });

  it('counts rows, and tells a stop that is too long beside them', async () => {
    cluster.fill(3_000);
    const { result } = await cluster.run('planScans', scans({ stopMaxMs: 0 }), LOOK);
    const held = result.plans.reduce((sum, { estimate }) => sum + (estimate?.rows ?? 0), 0);
    expect(result.plan).toMatchObject({ rows: held / 2, rowsRead: 2 * held, refusal: { code: 'ScanTooLong' } });
    cluster.expectUntouched();
  });
});
