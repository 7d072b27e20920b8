/** Changes of shards, by hand and by operations. */
import { ClientError, RefusedError } from '../../../src/client/calls/errors';
import { ApiServer, KEYS, STATE } from '../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());
const expectProblem = (...asked: Parameters<ApiServer['expectProblem']>) => api.expectProblem(...asked);

const SHARD = { primary_url: 'http://s2:6333' };

describe('a change by hand', () => {
  it.each([
    ['POST', '/cluster/shards', SHARD, { change: 'add', shard: { ...SHARD, replica_urls: [] } }],
    ['POST', '/cluster/shards/joining', SHARD, { change: 'join', shard: { ...SHARD, replica_urls: [] } }],
    ['POST', '/cluster/shards/7/promote', undefined, { change: 'promote', id: 7 }],
    ['DELETE', '/cluster/shards/7', undefined, { change: 'remove', id: 7 }],
  ])('%s %s becomes one transition and answers with the map', async (method, path, body, change) => {
    const { json } = await api.call(path, { method, body });
    expect(json).toEqual(STATE.map);
    expect(api.client.transitions).toEqual([{ type: 'changeByHand', change, key: null }]);
  });

  it('carries the Idempotency-Key of a POST', async () => {
    await api.call('/cluster/shards', { method: 'POST', body: SHARD, headers: { 'Idempotency-Key': 'a.b:c_-' } });
    expect(api.client.transitions).toMatchObject([{ key: 'a.b:c_-' }]);
  });

  it('brings URLs into normal form', async () => {
    const body = { primary_url: ' HTTP://S2:80/ ', replica_urls: ['https://s2b:443'] };
    await api.call('/cluster/shards', { method: 'POST', body });
    expect(api.client.transitions.at(-1)).toMatchObject({
      change: { shard: { primary_url: 'http://s2', replica_urls: ['https://s2b'] } },
    });
  });

  it.each(['x', '-1', '1.5', '9007199254740992', '1e3'])('of the shard %s, which is no id, is 400', async (id) => {
    await expectProblem(`/cluster/shards/${id}`, { method: 'DELETE' }, { status: 400, code: 'InvalidRequest' });
    await expectProblem(`/cluster/shards/${id}/promote`, { method: 'POST' }, { status: 400, code: 'InvalidRequest' });
  });

  it('that the domain refuses is a problem with its code and its sentence', async () => {
    api.client.applyTransition = () =>
      Promise.reject(new RefusedError({ type: 'LastShard', message: 'it is the last one' }));
    const { json } = await expectProblem('/cluster/shards/0', { method: 'DELETE' }, { status: 400, code: 'LastShard' });
    expect(json['detail']).toBe('it is the last one');
  });
});

describe('POST /cluster/shards/grow', () => {
  const grow = (body: unknown, headers = {}): Promise<Awaited<ReturnType<ApiServer['call']>>> =>
    api.call('/cluster/shards/grow', { method: 'POST', body, headers });

  it('starts a grow with the settings of this process and answers with the map and the operation', async () => {
    const { status, json, headers } = await grow({ ...SHARD, allow_nonempty: true }, { 'Idempotency-Key': 'k' });
    expect([status, json, headers.get('location')]).toEqual([200, STATE.map, '/cluster/operations/grow-k']);
    expect(api.client.started).toMatchObject([
      {
        kind: 'grow',
        input: {
          cluster: 'test',
          key: 'k',
          request: { shards: [{ ...SHARD, replica_urls: [] }], allowNonempty: true },
          routerUrls: ['http://r0'],
          searchAttributes: false,
        },
      },
    ]);
  });

  it('takes a fresh key for every call without an Idempotency-Key', async () => {
    await grow(SHARD);
    await grow(SHARD);
    const [first, second] = api.client.started;
    expect(first!.input.key).toMatch(/^[A-Za-z0-9-]{20,}$/);
    expect(second!.input.key).not.toBe(first!.input.key);
  });

  it('is 422 when the Idempotency-Key belongs to a grow by another shard', async () => {
    const other = { shards: [{ primary_url: 'http://other', replica_urls: [] }], allowNonempty: false };
    api.client.startOperation = () => Promise.resolve({ map: STATE.map, shardIds: [2], request: other });
    const call = { method: 'POST', body: SHARD, headers: { 'Idempotency-Key': 'k' } };
    await expectProblem('/cluster/shards/grow', call, { status: 422, code: 'IdempotencyKeyReused' });
  });

  it('starts nothing while the cluster does not answer', async () => {
    await api.call('/cluster/map');
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    const call = { method: 'POST', body: SHARD };
    await expectProblem('/cluster/shards/grow', call, { status: 503, code: 'TemporalUnreachable' });
    expect(api.client.started).toEqual([]);
  });

  it('is the refusal when preflight refuses', async () => {
    api.client.startOperation = () =>
      Promise.reject(new RefusedError({ type: 'JoinerNotEmpty', message: 'it holds 3 points' }));
    const call = { method: 'POST', body: SHARD };
    await expectProblem('/cluster/shards/grow', call, { status: 409, code: 'JoinerNotEmpty' });
  });

  it('by several shards lets all of them join in one operation', async () => {
    const shards = [SHARD, { primary_url: 'http://s10:6333/', replica_urls: ['http://s10b:6333'] }];
    const { status } = await grow({ shards }, { 'Idempotency-Key': 'k' });
    expect(status).toBe(200);
    expect(api.client.started[0]?.input.request).toEqual({
      shards: [
        { ...SHARD, replica_urls: [] },
        { primary_url: 'http://s10:6333', replica_urls: ['http://s10b:6333'] },
      ],
      allowNonempty: false,
    });
    // A body with `shards` is never understood as one shard.
    for (const body of [{ shards: [] }, { shards: [], ...SHARD }, { shards: [{}], ...SHARD }]) {
      await expectProblem('/cluster/shards/grow', { method: 'POST', body }, { status: 400, code: 'MalformedBody' });
    }
  });
});

describe('POST /cluster/shards/{id}/drain', () => {
  it('starts a drain and answers with the map and the operation', async () => {
    const call = { method: 'POST', headers: { 'Idempotency-Key': 'k' } };
    const { status, json, headers } = await api.call('/cluster/shards/1/drain', call);
    expect([status, json, headers.get('location')]).toEqual([200, STATE.map, '/cluster/operations/drain-k']);
    expect(api.client.started).toMatchObject([{ kind: 'drain', input: { key: 'k', request: { shardId: 1 } } }]);
  });

  it('is for admins', async () => {
    const call = { method: 'POST', key: KEYS.write };
    await expectProblem('/cluster/shards/1/drain', call, { status: 403, code: 'Forbidden' });
    expect(api.client.started).toEqual([]);
  });
});

describe('PATCH /cluster/shards/{id}', () => {
  const patch = (body: unknown) => api.call('/cluster/shards/1', { method: 'PATCH', body });

  it('replaces what it names and leaves the rest', async () => {
    expect((await patch({ primary_url: ' http://New:6333/ ' })).status).toBe(200);
    expect((await patch({ replica_urls: [] })).status).toBe(200);
    expect(api.client.transitions.filter(({ type }) => type === 'changeByHand')).toEqual([
      {
        type: 'changeByHand',
        change: { change: 'replaceAddress', id: 1, address: { primary_url: 'http://new:6333' } },
        key: null,
      },
      { type: 'changeByHand', change: { change: 'replaceAddress', id: 1, address: { replica_urls: [] } }, key: null },
    ]);
  });

  it('is 400 when it names nothing, or something that is no part of an address', async () => {
    const path = '/cluster/shards/1';
    await expectProblem(path, { method: 'PATCH', body: {} }, { status: 400, code: 'InvalidRequest' });
    const typo = { method: 'PATCH', body: { primary_uri: 'http://x' } };
    await expectProblem(path, typo, { status: 400, code: 'MalformedBody' });
  });
});
