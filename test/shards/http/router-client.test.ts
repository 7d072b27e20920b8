import { Agent } from 'undici';
import { routerMap, routerVersion } from '../../../src/shards/http/router-client';
import { json, problem, StubShard } from '../../support/stub-shard';

describe('routerVersion', () => {
  const ctx = { deadlineMs: Number.MAX_SAFE_INTEGER };
  let router: StubShard;
  let dispatcher: Agent;
  beforeEach(async () => {
    router = await new StubShard((response) =>
      json(response, { version: 7, shards: [], joining: [], leaving: [] }),
    ).start();
    dispatcher = new Agent();
  });
  afterEach(async () => {
    await dispatcher.destroy();
    await router.stop();
  });

  it('reads the version that a router holds, with the key', async () => {
    expect(await routerVersion(router.url, 'k', ctx, dispatcher)).toBe(7);
    expect(router.received[0]).toMatchObject({
      method: 'GET',
      url: '/cluster/map',
      headers: { authorization: 'Bearer k' },
    });
  });

  it('presents no key when there is none', async () => {
    await routerVersion(router.url, null, ctx, dispatcher);
    expect(router.received[0]?.headers).not.toHaveProperty('authorization');
  });

  it.each(['{}', '[]', 'null', '{"version":"7"}', '{"version":-1}', '{"version":1.5}', 'ok'])(
    'fails as MalformedReply, never as a version, when the answer is %s',
    async (body) => {
      router.behaviour = (response) => json(response, body);
      await expect(routerVersion(router.url, 'k', ctx, dispatcher)).rejects.toMatchObject({ code: 'MalformedReply' });
    },
  );

  it('fails with the class of the refusal when the router refuses', async () => {
    router.behaviour = (response) => problem(response, 403, 'the role is too low');
    await expect(routerVersion(router.url, 'k', ctx, dispatcher)).rejects.toMatchObject({
      code: 'Forbidden',
      status: 403,
    });
  });
});

describe('routerMap', () => {
  const shard = { id: 3, primary_url: 'http://S3:80/', replica_urls: [] };
  const held = async (body: unknown) => {
    const router = await new StubShard((response) => json(response, body)).start();
    try {
      return await routerMap(router.url, 'k', { deadlineMs: Number.MAX_SAFE_INTEGER });
    } finally {
      await router.stop();
    }
  };

  it('reads the whole map that a router holds, with the URLs in normal form', async () => {
    expect(await held({ version: 7, shards: [shard], joining: [3], leaving: [] })).toEqual({
      version: 7,
      map: { version: 7, shards: [{ ...shard, primary_url: 'http://s3' }], joining: [3], leaving: [] },
    });
  });

  it.each([
    ['no shards', { shards: [] }],
    ['an id beyond 2^53 - 1', { shards: [{ ...shard, id: 2 ** 53 }] }],
    ['a URL that is none', { shards: [{ ...shard, primary_url: 's3' }] }],
  ])('still tells the version of a map with %s, which could not be taken over', async (_what, change) => {
    expect(await held({ version: 7, joining: [], leaving: [], ...change })).toEqual({ version: 7, map: null });
  });
});
