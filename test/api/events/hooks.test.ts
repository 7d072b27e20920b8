import { hookListSchema } from '../../../src/wire/hooks';
import { ApiServer, KEYS } from '../../support/api-server';

const SECRET = 'a secret that nobody sees';
const HOOK = { url: 'http://receiver.test/hook', events: ['operation.ended', 'notice'] };

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const put = (hooks: unknown[], key: string = KEYS.admin) =>
  api.call('/cluster/hooks', { method: 'PUT', key, body: { hooks } });

describe('/cluster/hooks', () => {
  it('shows what was put, and of a secret only that there is one', async () => {
    const { status, json } = await put([
      { ...HOOK, secret: SECRET },
      { url: 'http://b.test/', events: ['notice'] },
    ]);
    expect(status).toBe(200);
    expect(hookListSchema.parse(json)).toEqual({
      hooks: [
        { ...HOOK, signed: true, problem: null },
        { url: 'http://b.test/', events: ['notice'], signed: false, problem: null },
      ],
    });
    expect((await api.call('/cluster/hooks')).json).toEqual(json);
    // What goes to Temporal, and what is logged, shows it as little as the answer does.
    expect(JSON.stringify([api.hooks.hooks, json, api.logged])).not.toContain(SECRET);
  });

  it('keeps the secret of a hook that is put without one, and takes it away with null', async () => {
    await put([{ ...HOOK, secret: SECRET }]);
    const { sealed } = api.hooks.hooks[0]!;
    await put([{ ...HOOK, events: ['notice'] }]);
    expect(api.hooks.hooks).toMatchObject([{ events: ['notice'], sealed }]);
    expect((await put([{ ...HOOK, secret: null }])).json).toMatchObject({ hooks: [{ signed: false }] });
  });

  it('shows why a delivery was given up, and is empty after DELETE', async () => {
    await put([HOOK]);
    api.hooks.hooks = [{ ...api.hooks.hooks[0]!, problem: { reason: 'got 500', sinceMs: 0 } }];
    expect((await api.call('/cluster/hooks')).json).toMatchObject({
      hooks: [{ problem: { reason: 'got 500', since: '1970-01-01T00:00:00.000Z' } }],
    });
    expect((await api.call('/cluster/hooks', { method: 'DELETE' })).json).toEqual({ hooks: [] });
  });

  it('needs the role admin, also to look', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const body = method === 'PUT' ? { body: { hooks: [] } } : {};
      expect((await api.call('/cluster/hooks', { method, key: KEYS.write, ...body })).status).toBe(403);
      expect((await api.call('/cluster/hooks', { method, key: null, ...body })).status).toBe(401);
    }
    expect((await api.call('/cluster/hooks', { method: 'POST', body: {} })).headers.get('allow')).toBe(
      'GET, HEAD, PUT, DELETE',
    );
  });

  it.each([
    ['an unknown event', [{ ...HOOK, events: ['operation.paused'] }], 'MalformedBody'],
    ['no event', [{ ...HOOK, events: [] }], 'MalformedBody'],
    ['a short secret', [{ ...HOOK, secret: 'short' }], 'MalformedBody'],
    ['an unknown field', [{ ...HOOK, token: 'x' }], 'MalformedBody'],
    ['17 hooks', Array.from({ length: 17 }, (_, n) => ({ ...HOOK, url: `http://h${n}.test/` })), 'MalformedBody'],
    ['a URL with a query', [{ ...HOOK, url: 'http://a.test/?token=x' }], 'InvalidRequest'],
    ['one URL twice', [HOOK, HOOK], 'InvalidRequest'],
    ['an address that is never called', [{ ...HOOK, url: 'http://169.254.169.254/' }], 'AddressNotAllowed'],
  ])('refuses %s, and leaves the hooks as they were', async (_what, hooks, code) => {
    await put([HOOK]);
    const { status, json } = await put(hooks);
    expect({ isRefused: status >= 400, code: json['code'] }).toEqual({ isRefused: true, code });
    expect(api.hooks.hooks).toHaveLength(1);
  });

  it('refuses a secret when nothing can seal it', async () => {
    const client = api.hooks;
    const bare = await ApiServer.start({ hooks: { client, seal: null } });
    try {
      const call = (hook: unknown) => bare.call('/cluster/hooks', { method: 'PUT', body: { hooks: [hook] } });
      expect(await call({ ...HOOK, secret: SECRET })).toMatchObject({ status: 409, json: { code: 'HooksKeyMissing' } });
      expect(client.hooks).toEqual([]);
      expect((await call(HOOK)).status).toBe(200);
    } finally {
      await bare.close();
    }
  });
});
