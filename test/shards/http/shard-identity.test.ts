import { Agent } from 'undici';
import type { ShardIdentity } from '../../../src/domain/shard-identity';
import { ShardClient } from '../../../src/shards/http/shard-client';
import {
  claim,
  confirmIdentity,
  dropIdentity,
  readIdentity,
  writeEpoch,
} from '../../../src/shards/http/shard-identity';
import { SHARD_KEY, startShard, type InProcessShard } from '../../support/in-process-shard';
import { inTime } from '../../support/shard-fixture';

const OURS: ShardIdentity = { clusterUid: 'uid-1', cluster: 'prod', shardId: 3, operationId: 'grow-a' };
const ME = { clusterUid: 'uid-1', shardId: 3 };

describe('the identity of a shard', () => {
  const dispatcher = new Agent();
  const started: InProcessShard[] = [];
  let shard: InProcessShard;
  let client: ShardClient;

  const clientOf = (url: string, key = SHARD_KEY): ShardClient =>
    new ShardClient({ address: { primary_url: url, replica_urls: [] }, key, dispatcher });

  beforeEach(async () => {
    shard = await startShard({ keys: [SHARD_KEY, { secret: 'reader', role: 'read' }] });
    started.push(shard);
    client = clientOf(shard.url);
  });
  afterEach(() => Promise.all(started.splice(0).map((each) => each.stop())));
  afterAll(() => dispatcher.destroy());

  it('is absent on a fresh shard, and there with its content once it was claimed', async () => {
    expect(await readIdentity(client, inTime())).toBeNull();
    expect(await claim(client, OURS, inTime())).toEqual({ identity: OURS, epoch: null });
    expect(await readIdentity(client, inTime())).toEqual({ identity: OURS, epoch: null });
  });

  it('is in no list of collections, and shown by the one call that asks for it', async () => {
    shard.create({ name: 'docs', dim: 2 });
    shard.create({ name: 'coordinator-probe-0123456789abcdef', dim: 2 });
    await claim(client, OURS, inTime());
    expect((await client.listCollections(inTime())).map(({ name }) => name)).toEqual(['docs']);
    const internal = (await client.listInternalCollections(inTime())).map(({ name }) => name);
    expect(internal).toEqual(['coordinator-probe-0123456789abcdef', 'coordinator.identity']);
  });

  it('lets a repeat by the same operation pass, and refuses another operation', async () => {
    await claim(client, OURS, inTime());
    expect(await claim(client, OURS, inTime())).toEqual({ identity: OURS, epoch: null });
    const other = claim(client, { ...OURS, operationId: 'grow-b' }, inTime());
    await expect(other).rejects.toMatchObject({ code: 'ShardClaimed' });
    await expect(other).rejects.toThrow(
      'shard 3 of cluster prod (uid-1), without an epoch, claimed by operation grow-a',
    );
  });

  it('lets one of two clusters have the shard', async () => {
    const claims = ['uid-1', 'uid-2'].map((clusterUid) => claim(client, { ...OURS, clusterUid }, inTime()));
    const outcomes = await Promise.allSettled(claims);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'ShardClaimed' } });
  });

  it('is refused to a key that may not create collections', async () => {
    const weak = claim(clientOf(shard.url, 'reader'), OURS, inTime());
    await expect(weak).rejects.toMatchObject({ code: 'IdentityRefused' });
    expect(shard.collections()).toEqual([]);
  });

  it('does not count as none when it cannot be understood', async () => {
    shard.create({ name: 'coordinator.identity', dim: 1 });
    await expect(readIdentity(client, inTime())).rejects.toMatchObject({ code: 'ShardClaimed' });
    await expect(claim(client, OURS, inTime())).rejects.toMatchObject({ code: 'ShardClaimed' });
  });

  it('holds an epoch that no write lowers', async () => {
    await claim(client, OURS, inTime());
    for (const epoch of [4, 9, 5]) await writeEpoch(client, epoch, inTime());
    expect(await readIdentity(client, inTime())).toEqual({ identity: OURS, epoch: 9 });
  });

  it('is confirmed at the expected epoch or a later one, and else refused', async () => {
    await claim(client, OURS, inTime());
    await writeEpoch(client, 4, inTime());
    await confirmIdentity(client, { ...ME, epoch: 4 }, inTime());
    await confirmIdentity(client, { ...ME, epoch: 3 }, inTime());
    const codeWhen = (expected: object) =>
      confirmIdentity(client, { ...ME, epoch: 4, ...expected }, inTime()).catch((error: unknown) => error);
    expect(await codeWhen({ epoch: 5 })).toMatchObject({ code: 'ShardLostData' });
    expect(await codeWhen({ shardId: 2 })).toMatchObject({ code: 'WrongShard' });
    expect(await codeWhen({ clusterUid: 'uid-2' })).toMatchObject({ code: 'ShardOfAnotherCluster' });
    await shard.restart('wipe');
    // A call on the connection of the dead process fails first.
    await client.isHealthy(inTime());
    expect(await codeWhen({})).toMatchObject({ code: 'ShardLostData' });
  });

  it('is dropped only when it is ours', async () => {
    await claim(client, OURS, inTime());
    expect(await dropIdentity(client, { ...ME, clusterUid: 'uid-2' }, inTime())).toBe('foreign');
    expect(await dropIdentity(client, { ...ME, shardId: 2 }, inTime())).toBe('foreign');
    expect(await dropIdentity(client, { ...ME, operationId: 'grow-b' }, inTime())).toBe('foreign');
    expect(shard.collections()).toEqual(['coordinator.identity']);
    expect(await dropIdentity(client, { ...ME, operationId: 'grow-a' }, inTime())).toBe('dropped');
    expect(await dropIdentity(client, ME, inTime())).toBe('absent');
    expect(shard.collections()).toEqual([]);
  });
});
