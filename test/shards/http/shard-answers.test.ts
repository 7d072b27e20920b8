import type { ShardClient } from '../../../src/shards/http/shard-client';
import { DOCS, failureOf, PAGE, shardFixture } from '../../support/shard-fixture';
import { json, problem, type Behaviour, type StubShard } from '../../support/stub-shard';

const ID = Buffer.from('secret-id');
const POINT = '{"id":"secret-id","vector":[1.0,18446744073709551615],"payload":{"a":"secret-payload"}}';

const { shardThat, clientOf } = shardFixture();
let shard: StubShard;
let client: ShardClient;
beforeEach(async () => {
  shard = await shardThat((response) => json(response, {}));
  client = clientOf(shard.url);
});

const ctx = { deadlineMs: Number.MAX_SAFE_INTEGER };
const answers = (body: unknown): Behaviour => {
  return (response) => json(response, body);
};
const emptyNotFound: Behaviour = (response) => void response.writeHead(404).end();
const webServerNotFound: Behaviour = (response) =>
  void response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>404</h1>');

describe('ShardClient.getPoint', () => {
  it('returns the bytes of the answer as they are', async () => {
    shard.behaviour = answers(POINT);
    expect((await client.getPoint('docs', ID, ctx))?.toString()).toBe(POINT);
  });

  it('returns null when the shard has the collection and not the point', async () => {
    shard.behaviour = (response, { url }, attempt) =>
      url.includes('/points/') ? emptyNotFound(response, shard.received[0]!, attempt) : json(response, DOCS);
    expect(await client.getPoint('docs', ID, ctx)).toBeNull();
    expect(shard.received.map(({ url }) => url)).toEqual([
      '/v1/collections/docs/points/secret-id',
      '/v1/collections/docs',
    ]);
  });

  it('fails as NotFound when the shard lacks the collection', async () => {
    shard.behaviour = (response) => problem(response, 404, 'collection not found: docs');
    expect(await failureOf(client.getPoint('docs', ID, ctx))).toMatchObject({ code: 'NotFound', status: 404 });
  });

  it('never takes the 404 of something in front of the shard for an absent point (INV-8)', async () => {
    for (const behaviour of [webServerNotFound, emptyNotFound]) {
      shard.behaviour = behaviour;
      expect(await failureOf(client.getPoint('docs', ID, ctx))).toMatchObject({ code: 'MalformedReply' });
    }
  });

  it.each([
    ['another point', POINT.replace('secret-id', 'secret-other')],
    ['two points', `${POINT},${POINT}`],
    ['no JSON', '<html>secret</html>'],
    ['nothing', ''],
    ['half a point', POINT.slice(0, 40)],
    ['a list', `[${POINT}]`],
  ])('fails as MalformedReply, and quotes nothing, when the answer is %s', async (_what, body) => {
    shard.behaviour = answers(body);
    const error = await failureOf(client.getPoint('docs', ID, ctx));
    expect(error).toMatchObject({ code: 'MalformedReply' });
    expect(error.message).not.toContain('secret');
  });

  it('reads the point with the empty id, which no path can name, from the first row of a page', async () => {
    const first = '{"id":"","payload":null,"vector":[1]}';
    shard.behaviour = answers(`{"points":[${first}]}`);
    expect((await client.getPoint('docs', Buffer.alloc(0), ctx))?.toString()).toBe(first);
    expect(shard.received[0]).toMatchObject({ url: '/v1/collections/docs/fetch' });
    expect(JSON.parse(shard.received[0]!.body)).toMatchObject({ offset: 0, limit: 1 });
    shard.behaviour = answers('{"points":[{"id":"a"}]}');
    expect(await client.getPoint('docs', Buffer.alloc(0), ctx)).toBeNull();
  });
});

describe('ShardClient: collections', () => {
  it('describes a collection by a schema with sorted keys and unknown fields, without its counts', async () => {
    const described = {
      ...DOCS,
      newer: { b: [{ z: 1, y: 2 }], a: null },
      filterable: [{ path: 'p', field_type: 'keyword' }],
      multivector: false,
    };
    shard.behaviour = (response, { url }) => json(response, url.endsWith('/docs') ? described : [described]);
    const expected = {
      ...DOCS,
      multivector: false,
      schema:
        '{"dim":2,"filterable":[{"field_type":"keyword","path":"p"}],"index":"hnsw","metric":"l2","multivector":false,' +
        '"name":"docs","newer":{"a":null,"b":[{"y":2,"z":1}]}}',
    };
    expect(await client.getCollection('docs', ctx)).toEqual(expected);
    expect(await client.listCollections(ctx)).toEqual([expected]);
  });

  it('returns null for a collection only when the shard itself says that it lacks it (INV-8)', async () => {
    shard.behaviour = (response) => problem(response, 404, 'collection not found: docs');
    expect(await client.getCollection('docs', ctx)).toBeNull();
    for (const behaviour of [webServerNotFound, emptyNotFound]) {
      shard.behaviour = behaviour;
      expect(await failureOf(client.getCollection('docs', ctx))).toMatchObject({ code: 'MalformedReply' });
    }
  });

  it('creates a collection with the schema as it is, and says whether it was there already', async () => {
    const schema = '{"dim":2,"name":"docs"}';
    shard.behaviour = answers(DOCS);
    expect(await client.createCollection(schema, ctx)).toBe('created');
    expect(shard.received[0]).toMatchObject({ method: 'POST', url: '/v1/collections', body: schema });
    shard.behaviour = (response) => problem(response, 409, 'already exists: collection docs');
    expect(await client.createCollection(schema, ctx)).toBe('exists');
  });

  it('says whether a dropped collection existed', async () => {
    for (const existed of [true, false]) {
      shard.behaviour = answers({ existed });
      expect(await client.dropCollection('docs', ctx)).toBe(existed);
    }
    expect(shard.received[0]).toMatchObject({ method: 'DELETE', url: '/v1/collections/docs' });
  });

  it('counts what was deleted', async () => {
    shard.behaviour = answers({ deleted: 1 });
    expect(await client.deletePoints('docs', [ID, Buffer.from('a"b\u0000ü')], ctx)).toBe(1);
    expect(shard.received[0]).toMatchObject({ method: 'DELETE', url: '/v1/collections/docs/points' });
    expect(JSON.parse(shard.received[0]!.body)).toEqual({ ids: ['secret-id', 'a"b\u0000ü'] });
  });

  it('is healthy with a 200 only, and unknown when the caller gave up', async () => {
    shard.behaviour = (response) => void response.end('ok');
    expect(await client.isHealthy(ctx)).toBe(true);
    shard.behaviour = (response) => void response.writeHead(503).end('starting');
    expect(await client.isHealthy(ctx)).toBe(false);
    await expect(client.isHealthy({ ...ctx, signal: AbortSignal.abort(new Error('gave up')) })).rejects.toThrow(
      'gave up',
    );
    await shard.stop();
    expect(await client.isHealthy(ctx)).toBe(false);
  });
});

describe('ShardClient: answers that are not what a shard answers', () => {
  const readPage = async (): Promise<void> => {
    for await (const batch of client.fetchPage('docs', PAGE, ctx)) expect(batch).toBeDefined();
  };
  it.each<[string, string, () => Promise<unknown>]>([
    ['listCollections', '{"name":"docs"}', () => client.listCollections(ctx)],
    ['listCollections', '[{"name":"docs"}]', () => client.listCollections(ctx)],
    ['getCollection', '{"name":"docs","dim":"2"}', () => client.getCollection('docs', ctx)],
    ['fetchPage', '{"points":[{"id":"secret-id"}', readPage],
    ['fetchPage', '{"items":[]}', readPage],
  ])('fails a %s answered with %s as MalformedReply', async (_name, body, call) => {
    shard.behaviour = answers(body);
    expect(await failureOf(call())).toMatchObject({ code: 'MalformedReply', outcomeUnknown: false });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['createCollection', () => client.createCollection('{}', ctx)],
    ['dropCollection', () => client.dropCollection('docs', ctx)],
    ['upsert', () => client.upsert('docs', [Buffer.from(POINT)], ctx)],
    ['deletePoints', () => client.deletePoints('docs', [ID], ctx)],
  ])('does not take a login page for a %s that was carried out', async (_name, call) => {
    shard.behaviour = answers('<html>please log in, secret-id</html>');
    const error = await failureOf(call());
    expect(error).toMatchObject({ code: 'MalformedReply', outcomeUnknown: true });
    expect(error.message).not.toContain('secret');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['dropCollection', () => client.dropCollection('docs', ctx)],
    ['upsert', () => client.upsert('docs', [Buffer.from(POINT)], ctx)],
    ['deletePoints', () => client.deletePoints('docs', [ID], ctx)],
  ])('does not take JSON that says something else for a %s that was carried out', async (_name, call) => {
    shard.behaviour = answers({ message: 'hello' });
    expect(await failureOf(call())).toMatchObject({ code: 'MalformedReply', outcomeUnknown: true });
  });

  it('fails a page with a point that is too large to be moved as TooLarge, which waiting does not help', async () => {
    shard.behaviour = answers(`{"points":[{"id":"a","p":"${'x'.repeat(16 * 1024 * 1024)}"}]}`);
    expect(await failureOf(readPage())).toMatchObject({ code: 'TooLarge' });
  });
});

describe('ShardClient: messages', () => {
  const pointCalls: [string, () => Promise<unknown>][] = [
    ['getPoint', () => client.getPoint('docs', ID, ctx)],
    ['upsert', () => client.upsert('docs', [Buffer.from(POINT)], ctx)],
    ['deletePoints', () => client.deletePoints('docs', [ID], ctx)],
    ['search', () => client.search('docs', 2, ctx)],
    ['fetchPage', () => client.fetchPage('docs', PAGE, ctx).next()],
  ];
  const quoting: Behaviour[] = [
    (response) => problem(response, 400, 'invalid argument: bad point secret-id'),
    (response) => problem(response, 400, 'collection not found: docs secret-payload'),
    (response) => problem(response, 500, 'missing or invalid API key\nsecret-id'),
    (response) =>
      void response
        .writeHead(422, { 'content-type': 'text/plain' })
        .end('points[0]: invalid type: string "secret-payload"'),
    (response) => void response.writeHead(500, { 'content-type': 'text/html' }).end('<p>secret-id</p>'),
    (response) => void response.writeHead(500, 'secret-id', { 'content-type': 'application/json' }).end('{"detail":'),
    (response) =>
      void response.writeHead(200, { 'content-length': 100 }).write('{"points":[secret-id', () => response.destroy()),
    (response) => void response.destroy(),
  ];

  it.each(pointCalls)(
    'of a failed %s hold no id, no payload and no key, whatever the shard says',
    async (_name, call) => {
      for (const behaviour of quoting) {
        shard.behaviour = behaviour;
        const error = await failureOf(call());
        const told = [error.message, error.path, error.stack, String(error.cause)].join('\n');
        expect(told).not.toMatch(/secret|the-shard-key/);
      }
    },
  );

  it('name method, URL, status, the reason in the words of the shard where they are safe, and what to do', async () => {
    shard.behaviour = (response) =>
      problem(response, 400, 'limit (10001) exceeds the maximum of 10000 (raise QUIVER_MAX_FETCH_LIMIT)');
    const error = await failureOf(client.fetchPage('docs', PAGE, ctx).next());
    expect(error.message).toBe(
      `POST ${shard.url}/v1/collections/docs/fetch: 400 Bad Request: limit (10001) exceeds the maximum of 10000 ` +
        '(raise QUIVER_MAX_FETCH_LIMIT); compare the settings and the version of this shard with those of the others',
    );
  });

  it('tell what a shard says about a collection, in one line of at most 300 characters', async () => {
    shard.behaviour = (response) => problem(response, 400, `invalid argument:\n\tunknown metric ${'x'.repeat(1_000)}`);
    const { message } = await failureOf(client.createCollection('{}', ctx));
    expect(message).toContain('400 Bad Request: invalid argument: unknown metric xxx');
    expect(message).not.toContain('\n');
    expect(message.length).toBeLessThan(300 + shard.url.length + 150);
  });
});
