import { Agent } from 'undici';
import { routerVersion } from '../../src/shards/router-client';
import { json, problem, StubShard } from './stub-shard';

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
