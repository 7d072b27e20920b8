import { MapReader } from '../../src/api/map/reader';
import { ClientError } from '../../src/client/calls/errors';
import { Authenticator } from '../../src/api/http/auth';
import { REQUEST_BODY_BYTES_MAX } from '../../src/domain/limits';
import { ApiServer, KEYS, STATE, type Call } from '../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());
const expectProblem = (...asked: Parameters<ApiServer['expectProblem']>) => api.expectProblem(...asked);

const SHARD = { primary_url: 'http://s2:6333' };

/** Every route with the least role that may use it. */
const ROUTES: { method: string; path: string; role: 'read' | 'admin'; body?: unknown }[] = [
  { method: 'GET', path: '/cluster/map', role: 'read' },
  { method: 'GET', path: '/cluster/map?poll=1', role: 'read' },
  { method: 'GET', path: '/cluster/health', role: 'read' },
  { method: 'GET', path: '/cluster/operations', role: 'read' },
  { method: 'POST', path: '/cluster/shards', role: 'admin', body: SHARD },
  { method: 'POST', path: '/cluster/shards/joining', role: 'admin', body: SHARD },
  { method: 'POST', path: '/cluster/shards/grow', role: 'admin', body: SHARD },
  { method: 'POST', path: '/cluster/shards/1/promote', role: 'admin' },
  { method: 'DELETE', path: '/cluster/shards/1', role: 'admin' },
];

describe.each(ROUTES)('$method $path', ({ method, path, role, body }) => {
  it('is 401 with a challenge without a key and with an unknown one', async () => {
    for (const key of [null, 'unknown', '']) {
      const { headers } = await expectProblem(path, { method, body, key }, { status: 401, code: 'Unauthenticated' });
      expect(headers.get('www-authenticate')).toMatch(/^Bearer /);
    }
  });

  it(`answers a key with the role ${role} and all above it, and is 403 below`, async () => {
    for (const each of ['read', 'write', 'admin'] as const) {
      const call = { method, body, key: KEYS[each] };
      const isEnough = role === 'read' || each === 'admin';
      if (isEnough) expect((await api.call(path, call)).status).toBe(200);
      else await expectProblem(path, call, { status: 403, code: 'Forbidden' });
    }
  });

  it('answers everybody when no keys are configured', async () => {
    const open = await ApiServer.start({ authenticator: new Authenticator([]) });
    expect((await open.call(path, { method, body, key: null })).status).toBe(200);
    await open.close();
  });
});

describe('operations and their cancel', () => {
  it('need a key, an admin one to cancel', async () => {
    await expectProblem('/cluster/operations/grow-a', { key: null }, { status: 401, code: 'Unauthenticated' });
    await expectProblem('/cluster/operations/grow-a', { key: KEYS.read }, { status: 404, code: 'UnknownOperation' });
    const cancel = '/cluster/operations/grow-a/cancel';
    await expectProblem(cancel, { method: 'POST', key: KEYS.write }, { status: 403, code: 'Forbidden' });
    await expectProblem(cancel, { method: 'POST' }, { status: 404, code: 'UnknownOperation' });
  });

  it.each(['shrink-a', 'grow-', 'grow-a%20b', `grow-${'x'.repeat(129)}`])(
    'are 404 for %s, which is no id',
    async (id) => {
      await expectProblem(`/cluster/operations/${id}`, {}, { status: 404, code: 'UnknownOperation' });
    },
  );
});

describe('the probes', () => {
  it.each(['/healthz', '/readyz'])('%s is open and answers ok as text', async (path) => {
    const { status, text, headers } = await api.call(path, { key: null });
    expect([status, text, headers.get('content-type')]).toEqual([200, 'ok', 'text/plain; charset=utf-8']);
  });

  it('/readyz is 503 until a map could be read once, and stays 200 on the last known map', async () => {
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    await expectProblem('/readyz', {}, { status: 503, code: 'TemporalUnreachable' });
    expect((await api.call('/healthz')).status).toBe(200);
    api.client.trouble = null;
    expect((await api.call('/readyz')).status).toBe(200);
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    expect((await api.call('/readyz')).status).toBe(200);
  });

  it('/readyz is 503 and says what to do when the task of the workflow that keeps the map fails, also when a map was known', async () => {
    await api.call('/readyz');
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    api.client.clusterFailingTask = () =>
      Promise.resolve({
        workflowId: 'cluster/test',
        failures: 4,
        sinceMs: 0,
        reason: 'it has failed',
        endsWhen: 'a build can go on',
      });
    const { json } = await expectProblem('/readyz', {}, { status: 503, code: 'WorkflowTaskFails' });
    expect(json['detail']).toBe('it has failed; it ends when a build can go on');
  });

  it('/readyz is 503 and says why when the workflow that keeps the map is closed, also when a map was known', async () => {
    await api.call('/readyz');
    api.client.trouble = new ClientError('ClusterClosed', 'workflow cluster/test is closed');
    const { json } = await expectProblem('/readyz', {}, { status: 503, code: 'ClusterClosed' });
    expect(json['detail']).toContain('cluster/test');
  });
});

describe('GET /cluster/map', () => {
  it('is the map as routers read it, with an ETag', async () => {
    const { json, headers } = await api.call('/cluster/map');
    expect(json).toEqual(STATE.map);
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('etag')).toMatch(/^"1-/);
    expect(headers.get('coordinator-map-stale')).toBeNull();
  });

  it('shows what a change did from its answer on, although polls get a map that is a moment old', async () => {
    const mapReader = new MapReader({ queryMap: () => recent.client.queryMap(), maxAgeMs: 60_000 });
    const recent = await ApiServer.start({ mapReader });
    try {
      const version = async () => (await recent.call('/cluster/map')).json['version'];
      expect(await version()).toBe(1);
      recent.client.state = { ...STATE, map: { ...STATE.map, version: 2 } };
      expect(await version()).toBe(1);
      const change: Call = { method: 'DELETE', key: KEYS.read };
      expect((await recent.call('/cluster/notices/RouterServesSeeds.r0', change)).status).toBe(403);
      expect(await version()).toBe(1);
      await recent.call('/cluster/notices/RouterServesSeeds.r0', { ...change, key: KEYS.admin });
      expect(await version()).toBe(2);
    } finally {
      await recent.close();
    }
  });

  it.each(['/cluster/map', '/cluster/map?poll=1'])(
    '%s is 304 without a body while the map is the one the caller holds',
    async (path) => {
      const etag = (await api.call(path)).headers.get('etag') ?? '';
      for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const { status, text, headers } = await api.call(path, { headers: { 'If-None-Match': held } });
        expect([status, text, headers.get('etag')]).toEqual([304, '', etag]);
      }
      api.client.state = { ...STATE, map: { ...STATE.map, version: 2 } };
      expect((await api.call(path, { headers: { 'If-None-Match': etag } })).status).toBe(200);
    },
  );

  it('is the last known map, marked as stale, while Temporal is out of reach', async () => {
    await api.call('/cluster/map');
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    const { status, json, headers } = await api.call('/cluster/map');
    expect([status, json]).toEqual([200, STATE.map]);
    expect(headers.get('coordinator-map-stale')).toMatch(/^\d+; reason=TemporalUnreachable$/);
    expect(headers.get('warning')).toMatch(/^110 /);
  });

  it('is 503 with Retry-After when no map was ever known', async () => {
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    const { headers } = await expectProblem('/cluster/map', {}, { status: 503, code: 'TemporalUnreachable' });
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('answers HEAD with the headers alone', async () => {
    const { status, text, headers } = await api.call('/cluster/map', { method: 'HEAD' });
    expect([status, text, headers.get('content-length')]).toEqual([200, '', String(JSON.stringify(STATE.map).length)]);
  });

  it('asks the workflow again for every later reader', async () => {
    await api.call('/cluster/map');
    await api.call('/cluster/map');
    expect(api.client.mapQueries).toBe(2);
  });
});

describe('GET /cluster/health', () => {
  it('says of every shard whether its primary answers', async () => {
    const picky = await ApiServer.start({ probeShard: (url) => Promise.resolve(url === 'http://s1:6333') });
    expect((await picky.call('/cluster/health')).json).toEqual({ '0': false, '1': true });
    await picky.close();
  });

  it('is 503 when the shards are not known', async () => {
    api.client.trouble = new ClientError('ClusterMissing', 'there is no cluster');
    await expectProblem('/cluster/health', {}, { status: 503, code: 'ClusterMissing' });
  });
});

describe('any request', () => {
  it('has an abandoned lock looked for, but not once per request', async () => {
    for (let n = 0; n < 5; n++) await api.call('/cluster/map');
    expect(api.looks).toBe(1);
  });
});

describe('every POST', () => {
  const POSTS = [
    '/cluster/shards',
    '/cluster/shards/joining',
    '/cluster/shards/grow',
    '/cluster/shards/1/promote',
    '/cluster/shards/1/drain',
  ];
  const ALL = [...POSTS, '/cluster/operations/grow-a/cancel'];

  it.each(ALL)('%s is 400 with an Idempotency-Key that is none', async (path) => {
    for (const bad of ['', 'a b', 'a/b', 'a%20', 'ü', 'x'.repeat(129)]) {
      const call = { method: 'POST', body: SHARD, headers: { 'Idempotency-Key': bad } };
      await expectProblem(path, call, { status: 400, code: 'InvalidIdempotencyKey' });
    }
  });

  it.each(ALL)('%s is 415 with a body that is not said to be JSON', async (path) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'text/json']) {
      const call = { method: 'POST', body: SHARD, headers: { 'Content-Type': type } };
      await expectProblem(path, call, { status: 415, code: 'UnsupportedMediaType' });
    }
  });

  it.each(ALL)('%s is 415 with a compressed body and with one in another charset', async (path) => {
    const compressed = { method: 'POST', body: SHARD, headers: { 'Content-Encoding': 'gzip' } };
    await expectProblem(path, compressed, { status: 415, code: 'UnsupportedMediaType' });
    const charset = { method: 'POST', body: SHARD, headers: { 'Content-Type': 'application/json; charset=koi8-r' } };
    await expectProblem(path, charset, { status: 415, code: 'UnsupportedMediaType' });
  });

  it.each(ALL)('%s is 413 with a body above the bound', async (path) => {
    const body = { ...SHARD, filler: 'x'.repeat(REQUEST_BODY_BYTES_MAX) };
    await expectProblem(path, { method: 'POST', body }, { status: 413, code: 'BodyTooLarge' });
  });

  it.each(ALL)('%s is 400 with a body that is not JSON, and does not quote it', async (path) => {
    for (const body of ['{"primary_url": hush', '"hush"', '{"primary_url":"http://a"} hush']) {
      const { text } = await expectProblem(path, { method: 'POST', body }, { status: 400, code: 'MalformedBody' });
      expect(text).not.toContain('hush');
    }
  });

  it.each(POSTS.slice(0, 3))('%s is 400 with a body of another shape', async (path) => {
    const bodies = [
      {},
      [],
      { primary_url: 7 },
      { ...SHARD, replica_urls: 'http://b' },
      { ...SHARD, replica_urls: [7] },
    ];
    for (const body of [undefined, ...bodies]) {
      await expectProblem(path, { method: 'POST', body }, { status: 400, code: 'MalformedBody' });
    }
  });

  it.each(POSTS.slice(0, 3))('%s is 400 with a URL that cannot be a shard', async (path) => {
    for (const primary_url of ['', '  ', 's2:6333', 'ftp://s2', 'http://u:p@s2', 'http://s2?a=b', 'http://s2#a']) {
      await expectProblem(path, { method: 'POST', body: { primary_url } }, { status: 400, code: 'InvalidShardUrl' });
    }
    const twice = { primary_url: 'http://s2', replica_urls: ['http://S2/'] };
    await expectProblem(path, { method: 'POST', body: twice }, { status: 400, code: 'InvalidRequest' });
  });
});

describe('everything else', () => {
  it('does not say what it is made with, and has no ETag that Express made up', async () => {
    const { headers } = await api.call('/cluster/operations');
    expect([headers.get('x-powered-by'), headers.get('etag')]).toEqual([null, null]);
  });

  it.each(['/cluster', '/cluster/map/', '/Cluster/map', '/cluster/shards/1/fill', '/v1/collections'])(
    '%s is 404',
    async (path) => {
      await expectProblem(path, {}, { status: 404, code: 'UnknownRoute' });
    },
  );

  it.each([
    ['/healthz', 'POST', 'GET, HEAD'],
    ['/readyz', 'POST', 'GET, HEAD'],
    ['/cluster/map', 'POST', 'GET, HEAD'],
    ['/cluster/map', 'OPTIONS', 'GET, HEAD'],
    ['/cluster/health', 'DELETE', 'GET, HEAD'],
    ['/cluster/shards', 'PUT', 'GET, HEAD, POST'],
    ['/cluster/identities', 'GET', 'DELETE, POST'],
    ['/cluster/shards/joining', 'GET', 'POST'],
    ['/cluster/shards/grow', 'PUT', 'POST'],
    ['/cluster/shards/1', 'GET', 'PATCH, DELETE'],
    ['/cluster/shards/1/promote', 'DELETE', 'POST'],
    ['/cluster/operations', 'POST', 'GET, HEAD'],
    ['/cluster/operations/grow-a', 'DELETE', 'GET, HEAD, PATCH'],
    ['/cluster/operations/grow-a/pause', 'GET', 'POST'],
    ['/cluster/operations/grow-a/resume', 'DELETE', 'POST'],
    ['/cluster/limits', 'POST', 'GET, HEAD, PUT'],
    ['/cluster/operations/grow-a/cancel', 'GET', 'POST'],
  ])('%s is 405 for %s and says that it takes %s', async (path, method, allow) => {
    const { headers } = await expectProblem(path, { method }, { status: 405, code: 'MethodNotAllowed' });
    expect(headers.get('allow')).toBe(allow);
  });

  it('is 400 when the path cannot be decoded', async () => {
    await expectProblem('/cluster/operations/%E0%A4%A', {}, { status: 400, code: 'InvalidRequest' });
  });

  it('that fails unforeseen is 500 without its details, which are logged', async () => {
    api.client.queryState = () => Promise.reject(new TypeError('inner workings'));
    const { text } = await expectProblem('/cluster/operations', {}, { status: 500, code: 'Internal' });
    expect(text).not.toContain('inner workings');
    expect(api.logged.join('')).toContain('inner workings');
  });

  it('never writes a key into the log', async () => {
    api.client.queryState = () => Promise.reject(new TypeError('inner workings'));
    await api.call('/cluster/operations');
    await api.call('/cluster/map', { key: 'an-unknown-one' });
    expect(api.logged.join('')).not.toMatch(/key-of-admin|an-unknown-one/);
  });
});
