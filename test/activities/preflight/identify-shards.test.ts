import type { IdentifyInput } from '../../../src/contract/identity';
import type { ShardIdentity } from '../../../src/domain/shard-identity';
import { identityPath } from '../../../src/domain/shard-identity';
import { Agent } from 'undici';
import { ShardClient } from '../../../src/shards/http/shard-client';
import { readIdentity } from '../../../src/shards/http/shard-identity';
import { startShard, type InProcessShard } from '../../support/in-process-shard';
import { COLLECTION, MovingCluster, point } from '../../support/moving-cluster';

const MARK = 'coordinator.identity';
const JOINER = 2;
const UID = 'uid-1';

let cluster: MovingCluster;
afterEach(() => cluster.stop());

const IDENTIFY = { info: { heartbeatTimeoutMs: undefined, startToCloseTimeoutMs: 12_000 } } as never;
const input = (more: Partial<IdentifyInput> = {}): IdentifyInput => ({
  cluster: 'prod',
  uid: UID,
  epoch: 5,
  operationId: 'grow-a',
  isCheck: false,
  joiners: [cluster.address(JOINER)],
  members: [0, 1].map((id) => ({ shard: cluster.address(id), epoch: null, role: 'donor' })),
  leftovers: [],
  ...more,
});

async function refusal(more: Partial<IdentifyInput> = {}): Promise<{ type: unknown; message: string }> {
  const { type, nonRetryable, message } = await cluster.failure('identifyShards', input(more), IDENTIFY);
  expect(nonRetryable).toBe(true);
  return { type, message };
}

/** What the shard shows. */
async function markOf(shard: InProcessShard): Promise<{ path: string; epoch: number | null } | null> {
  const dispatcher = new Agent();
  const client = new ShardClient({
    address: { primary_url: shard.url, replica_urls: [] },
    key: 'shard-key',
    dispatcher,
  });
  const seen = await readIdentity(client, { deadlineMs: Date.now() + 5_000 });
  await dispatcher.destroy();
  return seen === null ? null : { path: identityPath(seen.identity), epoch: seen.epoch };
}

function marks(): Promise<unknown[]> {
  return Promise.all(cluster.shards.map(markOf));
}

function mark(shard: InProcessShard, change: Partial<ShardIdentity>, epoch: number | null = 4): void {
  const identity = { cluster: 'prod', clusterUid: UID, shardId: 0, operationId: 'adopt', ...change };
  shard.create({
    name: MARK,
    dim: 1,
    metric: 'l2',
    filterable: [{ path: identityPath(identity), field_type: 'keyword' }],
  });
  if (epoch !== null) shard.put(MARK, { id: 'epoch', vector: [0], payload: { epoch } });
}

describe('identifyShards', () => {
  it('adopts members, claims the joiner, and writes the epoch to all of them', async () => {
    cluster = await MovingCluster.start();
    const { result } = await cluster.run('identifyShards', input(), IDENTIFY);
    expect(result).toEqual({ epochs: { 0: 5, 1: 5, 2: 5 }, lateWritesUntilMs: 0 });
    expect(await marks()).toEqual([
      { path: 'cluster=prod;uid=uid-1;shard=0;operation=adopt', epoch: 5 },
      { path: 'cluster=prod;uid=uid-1;shard=1;operation=adopt', epoch: 5 },
      { path: 'cluster=prod;uid=uid-1;shard=2;operation=grow-a', epoch: 5 },
    ]);
  });

  it('may be repeated, and raises the epoch of the next operation', async () => {
    cluster = await MovingCluster.start();
    await cluster.run('identifyShards', input(), IDENTIFY);
    await cluster.run('identifyShards', input(), IDENTIFY);
    const members = [0, 1, 2].map((id) => ({ shard: cluster.address(id), epoch: 5, role: null }));
    await cluster.run('identifyShards', input({ joiners: [], members, epoch: 6, operationId: 'repair-b' }), IDENTIFY);
    expect(await marks()).toMatchObject([{ epoch: 6 }, { epoch: 6 }, { epoch: 6 }]);
  });

  it('writes the epoch of a check beside that of the operations, which it can never lower', async () => {
    cluster = await MovingCluster.start();
    await cluster.run('identifyShards', input(), IDENTIFY);
    const check = input({ joiners: [], isCheck: true, epoch: 7, operationId: 'check-b' });
    const { result } = await cluster.run('identifyShards', check, IDENTIFY);
    expect(result.epochs).toEqual({ 0: 0, 1: 0 });
    expect(cluster.shards[0]!.ids(MARK)).toEqual(['epoch', 'epoch-check']);
    expect((await markOf(cluster.shards[0]!))?.epoch).toBe(7);
    expect(cluster.shards[0]!.get(MARK, 'epoch')).toContain('5');
  });

  it.each([
    ['an empty volume', () => cluster.shards[1]!.drop(MARK)],
    [
      'an older volume',
      () => {
        cluster.shards[1]!.drop(MARK);
        mark(cluster.shards[1]!, { shardId: 1 }, 4);
      },
    ],
  ])('refuses a member that came back with %s, and leaves the joiner free', async (_title, comeBack) => {
    cluster = await MovingCluster.start();
    await cluster.run('identifyShards', input({ joiners: [] }), IDENTIFY);
    comeBack();
    const members = [0, 1].map((id) => ({ shard: cluster.address(id), epoch: 5, role: 'donor' as const }));
    const { type, message } = await refusal({ members, epoch: 6 });
    expect(type).toBe('ShardLostData');
    expect(message).toContain(`shard 1 (${cluster.shards[1]!.url})`);
    expect(await markOf(cluster.joiner)).toBeNull();
    expect((await markOf(cluster.shards[0]!))?.epoch).toBe(5);
  });

  it('refuses a member of another cluster, and a member that shows another shard', async () => {
    cluster = await MovingCluster.start();
    mark(cluster.shards[0]!, { clusterUid: 'uid-2' });
    expect((await refusal()).type).toBe('ShardOfAnotherCluster');
    cluster.shards[0]!.drop(MARK);
    mark(cluster.shards[0]!, { shardId: 9 });
    expect((await refusal()).type).toBe('WrongShard');
  });

  it('refuses two members that are one process under two addresses, and names both', async () => {
    cluster = await MovingCluster.start();
    const { url } = cluster.shards[0]!;
    const alias = { id: 1, primary_url: url.replace('127.0.0.1', 'localhost'), replica_urls: [] };
    const members = [cluster.address(0), alias].map((shard) => ({ shard, epoch: null, role: 'donor' as const }));
    const { type, message } = await refusal({ members });
    expect(type).toBe('WrongShard');
    expect(message).toContain(url);
    expect(message).toContain(alias.primary_url);
  });

  it('refuses a joiner that is a member under another address, and names both', async () => {
    cluster = await MovingCluster.start();
    const { url } = cluster.shards[1]!;
    const primary_url = url.replace('127.0.0.1', 'localhost');
    const { type, message } = await refusal({ joiners: [{ id: JOINER, primary_url, replica_urls: [] }] });
    expect(type).toBe('ShardAlreadyInMap');
    expect(message).toContain(`the joiner ${primary_url} and shard 1 (${url})`);
    expect((await markOf(cluster.shards[1]!))?.path).toContain('shard=1;');
  });

  it('refuses two joiners that are one process under two addresses, and leaves it free', async () => {
    cluster = await MovingCluster.start();
    const { url } = cluster.joiner;
    const joiners = [url, url.replace('127.0.0.1', 'localhost')].map((primary_url, index) => ({
      id: JOINER + index,
      primary_url,
      replica_urls: [],
    }));
    const { type, message } = await refusal({ joiners });
    expect(type).toBe('ShardAlreadyInMap');
    for (const { primary_url } of joiners) expect(message).toContain(primary_url);
    expect(await markOf(cluster.joiner)).toBeNull();
  });

  it.each([
    ['a member of another cluster', { clusterUid: 'uid-2', cluster: 'test' }, 4, 'ShardOfAnotherCluster'],
    ['one that another cluster claims', { clusterUid: 'uid-2', operationId: 'grow-z' }, null, 'ShardClaimed'],
    ['one that another operation claimed', { shardId: 7, operationId: 'grow-z' }, null, 'ShardClaimed'],
    ['a former member of this cluster', { shardId: 7 }, 4, 'ShardClaimed'],
  ] as const)('refuses a joiner that is %s, and touches nothing on it', async (_title, identity, epoch, code) => {
    cluster = await MovingCluster.start();
    mark(cluster.joiner, identity, epoch);
    const before = await markOf(cluster.joiner);
    cluster.joiner.requests.length = 0;
    expect((await refusal()).type).toBe(code);
    expect(await markOf(cluster.joiner)).toEqual(before);
    expect(cluster.writes(cluster.joiner)).toEqual([]);
  });

  it('says when the key may not create collections on the joiner', async () => {
    cluster = await MovingCluster.start();
    const strict = await cluster.startOther({ keys: [{ secret: 'shard-key', role: 'write' }] });
    const joiners = [{ id: JOINER, primary_url: strict.url, replica_urls: [] }];
    const { type, message } = await refusal({ joiners });
    expect(type).toBe('IdentityRefused');
    expect(message).toContain('admin role');
    expect(strict.collections()).toEqual([]);
  });

  it('takes its claims back when a later joiner does not answer', async () => {
    cluster = await MovingCluster.start();
    const joiners = [cluster.address(JOINER), { id: 3, primary_url: 'http://127.0.0.1:1', replica_urls: [] }];
    expect((await refusal({ joiners })).type).toBe('JoinerUnreachable');
    expect(await markOf(cluster.joiner)).toBeNull();
  });

  it('believes a replica that shows the same identity, and refuses a foreign process', async () => {
    cluster = await MovingCluster.start();
    const follower = await cluster.startOther({ leader: cluster.joiner });
    const joiner = { ...cluster.address(JOINER), replica_urls: [follower.url] };
    await cluster.run('identifyShards', input({ joiners: [joiner] }), IDENTIFY);
    const stranger = await cluster.startOther();
    const wrong = { ...cluster.address(JOINER), replica_urls: [stranger.url] };
    const { type, message } = await refusal({ joiners: [wrong] });
    expect(type).toBe('WrongShard');
    expect(message).toContain(stranger.url);
    expect(stranger.collections()).toEqual([]);
  });

  it('refuses a leftover that is a member, or of another cluster, and takes a former member', async () => {
    cluster = await MovingCluster.start();
    const leftover = await startShard();
    try {
      const leftovers = [{ primary_url: leftover.url, replica_urls: [] }];
      const alias = cluster.shards[1]!.url.replace('127.0.0.1', 'localhost');
      const repair = { joiners: [], operationId: 'repair-a' };
      const other = await refusal({ ...repair, leftovers: [{ primary_url: alias, replica_urls: [] }] });
      expect(other.type).toBe('ShardAlreadyInMap');
      mark(leftover, { clusterUid: 'uid-2' });
      expect((await refusal({ ...repair, leftovers })).type).toBe('ShardOfAnotherCluster');
      leftover.drop(MARK);
      mark(leftover, { shardId: 9 });
      await cluster.run('identifyShards', input({ ...repair, leftovers }), IDENTIFY);
    } finally {
      await leftover.stop();
    }
  });

  it('tells of a write whose reply was lost, and the next attempt finds its own claim', async () => {
    cluster = await MovingCluster.start();
    cluster.joiner.faults.add({
      match: { method: 'POST', path: /\/v1\/collections$/, nth: 1 },
      fault: { kind: 'replyLost' },
    });
    await cluster.run('identifyShards', input(), IDENTIFY).catch(() => undefined);
    await cluster.run('identifyShards', input(), IDENTIFY);
    expect((await markOf(cluster.joiner))?.path).toContain('operation=grow-a');
  });

  it('is seen in no list, load, count or preflight of the shards that bear it', async () => {
    cluster = await MovingCluster.start();
    cluster.fill(20);
    cluster.donorOf('x').put(COLLECTION, point('x'));
    await cluster.run('identifyShards', input(), IDENTIFY);
    const shards = [0, 1, 2].map((id) => cluster.address(id));
    const { result: listed } = await cluster.run('listCollections', { shards });
    expect(listed.collections.map(({ name }) => name)).toEqual([COLLECTION]);
    const { result: loads } = await cluster.run('readLoads', { shards });
    expect(loads.map(({ points }) => points)).toEqual(cluster.shards.map((shard) => shard.ids(COLLECTION).length));
    const { result: found } = await cluster.run('inspectCollections', {
      ...cluster.move,
      leftovers: [],
      collections: null,
      creates: false,
      settleMs: 0,
    });
    expect(found.collections.map(({ collection }) => collection)).toEqual([COLLECTION]);
  });
});

describe('releaseShards', () => {
  it("takes off the operation's own claim, and a member's mark when it leaves, and nothing else", async () => {
    cluster = await MovingCluster.start();
    await cluster.run('identifyShards', input(), IDENTIFY);
    const shards = [cluster.address(JOINER)];
    await cluster.run('releaseShards', { uid: UID, shards, operationId: 'grow-z' }, IDENTIFY);
    await cluster.run('releaseShards', { uid: 'uid-2', shards, operationId: null }, IDENTIFY);
    expect(await markOf(cluster.joiner)).not.toBeNull();
    await cluster.run('releaseShards', { uid: UID, shards, operationId: 'grow-a' }, IDENTIFY);
    await cluster.run('releaseShards', { uid: UID, shards: [cluster.address(0)], operationId: null }, IDENTIFY);
    expect(await marks()).toMatchObject([null, { epoch: 5 }, null]);
  });
});
