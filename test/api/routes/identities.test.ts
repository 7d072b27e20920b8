import { newOperationState } from '../../../src/contract/operation-state';
import type { OperationRecord } from '../../../src/domain/cluster-state';
import type { OperationProgress, SourceProgress } from '../../../src/domain/progress';
import type { ShardIdentity } from '../../../src/domain/shard-identity';
import { identitiesSchema, shardsViewSchema } from '../../../src/wire/shards';
import { ApiServer, KEYS, STATE } from '../../support/api-server';

const UID = 'uid-1';
const NEW = 'http://s2:6333';
const REPLICA = 'http://s2b:6333';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
  api.client.state = {
    ...STATE,
    identity: { uid: UID, removed: false },
    members: { 0: { epoch: 4 }, 1: { epoch: 4 } },
  };
});
afterEach(() => api.close());

const shows = (url: string, change: Partial<ShardIdentity>, epoch: number | null = 4): void => {
  const identity = { cluster: 'prod', clusterUid: UID, shardId: 0, operationId: 'adopt', ...change };
  api.marks.seen.set(url, { identity, epoch });
};
const changes = () => api.client.transitions.filter(({ type }) => type !== 'bringUid');

async function expectRefused(path: string, method: string, body: object, code: string): Promise<string> {
  const { status, json } = await api.call(path, { method, body });
  expect(json).toMatchObject({ code });
  expect(status).toBeGreaterThanOrEqual(400);
  expect(changes()).toEqual([]);
  return String(json['detail']);
}

describe.each(['/cluster/shards', '/cluster/shards/joining'])('POST %s', (path) => {
  it('refuses a shard of another cluster, a claimed one, and a member under another address', async () => {
    shows(NEW, { clusterUid: 'uid-2', cluster: 'test' });
    expect(await expectRefused(path, 'POST', { primary_url: NEW }, 'ShardOfAnotherCluster')).toContain('cluster test');
    shows(NEW, { clusterUid: 'uid-2', operationId: 'grow-z' }, null);
    expect(await expectRefused(path, 'POST', { primary_url: NEW }, 'ShardClaimed')).toContain('grow-z');
    shows(NEW, { shardId: 1 });
    expect(await expectRefused(path, 'POST', { primary_url: NEW }, 'ShardAlreadyInMap')).toContain('http://s1:6333');
  });

  it('refuses replica_urls that show another process or do not answer, and leaves the primary free', async () => {
    shows(REPLICA, { shardId: 1 });
    const body = { primary_url: NEW, replica_urls: [REPLICA] };
    await expectRefused(path, 'POST', body, 'WrongShard');
    expect(api.marks.seen.get(NEW)).toBeUndefined();
    api.marks.down.add(REPLICA);
    await expectRefused(path, 'POST', body, 'DonorUnreachable');
    expect(api.marks.seen.get(NEW)).toBeUndefined();
  });

  it('takes a primary that does not answer, as Quiver does, unless it has replicas to be compared with', async () => {
    api.marks.down.add(NEW);
    expect((await api.call(path, { method: 'POST', body: { primary_url: NEW } })).status).toBe(200);
    api.client.transitions.length = 0;
    await expectRefused(path, 'POST', { primary_url: NEW, replica_urls: [REPLICA] }, 'DonorUnreachable');
  });
});

describe('PATCH /cluster/shards/{id}', () => {
  const path = '/cluster/shards/1';

  it.each([
    ['another shard', { shardId: 0 }, 4, 'WrongShard'],
    ['another cluster', { shardId: 1, clusterUid: 'uid-2' }, 4, 'ShardOfAnotherCluster'],
    ['an older epoch', { shardId: 1 }, 3, 'ShardLostData'],
  ] as const)('refuses a new primary that shows %s', async (_title, identity, epoch, code) => {
    shows(NEW, identity, epoch);
    await expectRefused(path, 'PATCH', { primary_url: NEW }, code);
  });

  it('refuses a new primary that shows nothing or does not answer, because the shard had an identity', async () => {
    await expectRefused(path, 'PATCH', { primary_url: NEW }, 'ShardLostData');
    api.marks.down.add(NEW);
    await expectRefused(path, 'PATCH', { primary_url: NEW }, 'DonorUnreachable');
  });

  it('refuses a replica that is an empty foreign process', async () => {
    shows('http://s1:6333', { shardId: 1 });
    shows(REPLICA, { shardId: 1, clusterUid: 'uid-2' });
    await expectRefused(path, 'PATCH', { replica_urls: [REPLICA] }, 'WrongShard');
  });

  it('takes an address that shows the same shard, and a gRPC address without a look', async () => {
    shows(NEW, { shardId: 1 }, 5);
    expect((await api.call(path, { method: 'PATCH', body: { primary_url: NEW } })).status).toBe(200);
    const grpc = { grpc_url: 'http://s1:7000' };
    expect((await api.call(path, { method: 'PATCH', body: grpc })).status).toBe(200);
    expect(changes()).toMatchObject([{ change: { address: { primary_url: NEW } } }, { change: { address: grpc } }]);
  });

  it('adopts a shard that never had an identity before it believes a replica', async () => {
    api.client.state = { ...api.client.state, members: {} };
    expect((await api.call(path, { method: 'PATCH', body: { replica_urls: [REPLICA] } })).status).toBe(200);
    expect(api.marks.seen.get('http://s1:6333')?.identity).toMatchObject({ clusterUid: UID, shardId: 1 });
  });
});

describe('POST /cluster/standbys', () => {
  it('refuses a shard that belongs to a cluster, and takes one that does not answer yet', async () => {
    shows(NEW, { clusterUid: 'uid-2' });
    await expectRefused('/cluster/standbys', 'POST', { primary_url: NEW }, 'ShardOfAnotherCluster');
    api.marks.down.add(NEW);
    expect((await api.call('/cluster/standbys', { method: 'POST', body: { primary_url: NEW } })).status).toBe(200);
  });
});

describe('DELETE /cluster/shards/{id}', () => {
  it('frees the shard for others', async () => {
    shows('http://s1:6333', { shardId: 1 });
    await api.call('/cluster/shards/1', { method: 'DELETE' });
    expect(api.marks.seen.has('http://s1:6333')).toBe(false);
  });
});

describe('/cluster/identities', () => {
  it('takes all marks off, after operations are refused, and says where it could not', async () => {
    shows('http://s0:6333', {});
    api.marks.down.add('http://s1:6333');
    const { json } = await api.call('/cluster/identities', { method: 'DELETE' });
    expect(identitiesSchema.parse(json)).toEqual({ removed: true, left: [{ id: 1, reason: 'no answer' }] });
    expect(api.client.transitions).toEqual([{ type: 'removeIdentities' }]);
    expect(api.marks.seen.size).toBe(0);
  });

  it('has the shards adopted again', async () => {
    const { json } = await api.call('/cluster/identities', { method: 'POST' });
    expect(json).toEqual({ removed: false, left: [] });
    expect(api.client.transitions).toEqual([{ type: 'adoptIdentities' }]);
  });

  it('is for admins', async () => {
    for (const method of ['DELETE', 'POST']) {
      expect((await api.call('/cluster/identities', { method, key: KEYS.write })).status).toBe(403);
    }
    expect(api.client.transitions).toEqual([]);
  });
});

describe('GET /cluster/shards', () => {
  it('shows how the newest operation reads each shard', async () => {
    const ended = { endedAtMs: null, end: null, pointsMoved: 0, message: '' };
    const operation: OperationRecord = { operationId: 'grow/a', kind: 'grow', startedAtMs: 1, shardIds: [1], ...ended };
    api.client.state = { ...api.client.state, operations: [operation] };
    const counts = { scans: 1, rowsRead: 5, rowsPerSecond: 1, stopsMs: [2] };
    const source: SourceProgress = { shardId: 0, source: 'follower', url: 'http://f0:6334', reason: '', ...counts };
    const progress: OperationProgress = { ...newOperationState('grow', 'grow/a', 1).progress, sources: [source] };
    api.client.queryProgress = () => Promise.resolve(progress);
    api.client.describeOperation = () => Promise.resolve({ isRunning: true } as never);
    const { json } = await api.call('/cluster/shards', { key: KEYS.read });
    expect(shardsViewSchema.parse(json).shards.map((each) => each.source)).toEqual(['follower', null]);
  });

  it('shows roles, addresses, what is known of each identity, and rows, which are null where they are unknown', async () => {
    const { state } = api.client;
    const members = { 0: { epoch: 4 }, 1: { epoch: null, grpcUrl: 'http://s1:7000' } };
    api.client.state = { ...state, members, map: { ...state.map, leaving: [1] } };
    api.marks.down.add('http://s1:6333');
    const { json } = await api.call('/cluster/shards', { key: KEYS.read });
    expect(shardsViewSchema.parse(json)).toEqual({
      version: 1,
      shards: [
        {
          id: 0,
          role: 'owner',
          primary_url: 'http://s0:6333',
          replica_urls: [],
          grpc_url: 'http://s0:6334',
          identity: { uid: UID, epoch: 4 },
          rows: 3,
          source: null,
        },
        {
          id: 1,
          role: 'leaving',
          primary_url: 'http://s1:6333',
          replica_urls: [],
          grpc_url: 'http://s1:7000',
          identity: { uid: null, epoch: null },
          rows: null,
          source: null,
        },
      ],
    });
  });
});
