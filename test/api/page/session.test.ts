/** Logging in at the status page, and what its cookie may do. */
import { Authenticator } from '../../../src/api/http/auth';
import { FailedKeys } from '../../../src/api/http/failed-keys';
import { EndedSessions, issueToken, readToken, SESSION_S } from '../../../src/api/http/page-session';
import { keyDigest } from '../../../src/config';
import { ApiServer, KEYS, type Call } from '../../support/api-server';

const PAGE = { 'X-Coordinator-Page': '1' };
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const logIn = (key: string, headers: Record<string, string> = PAGE, to = api) =>
  to.call('/login', {
    method: 'POST',
    key: null,
    headers: { ...FORM, ...headers },
    body: new URLSearchParams({ key }).toString(),
  });

/** What the browser sends back of a Set-Cookie. */
const cookieOf = ({ headers }: { headers: Headers }): string => (headers.get('set-cookie') ?? '').split(';')[0] ?? '';

async function cookieFor(key: string): Promise<string> {
  const answer = await logIn(key);
  expect(answer.status).toBe(204);
  return cookieOf(answer);
}

const withCookie = (path: string, Cookie: string, { headers, ...call }: Call = {}, to = api) =>
  to.call(path, { key: null, ...call, headers: { Cookie, ...headers } });

const check = (cookie: string, headers: Record<string, string>, to = api) =>
  withCookie('/cluster/check', cookie, { method: 'POST', body: {}, headers }, to);

describe('a login', () => {
  it('gives a cookie that scripts cannot read, other sites cannot send, and that ends after 12 hours', async () => {
    const answer = await logIn(KEYS.admin);
    expect(answer.status).toBe(204);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('set-cookie')).toMatch(
      /^coordinator_session=\d+\.[\w-]{22}\.[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    expect(answer.headers.get('set-cookie')).not.toContain(KEYS.admin);
    expect(cookieOf(await logIn(KEYS.admin))).not.toBe(cookieOf(answer));
  });

  it.each([
    ['a proxy', { 'X-Forwarded-Proto': 'https, http' }],
    ['the browser', { Origin: 'https://coordinator.example' }],
  ])('gives a Secure cookie when %s says that it came over TLS', async (_who, headers) => {
    expect((await logIn(KEYS.read, { ...PAGE, ...headers })).headers.get('set-cookie')).toMatch(/; Secure$/);
  });

  it('is refused with a wrong key, and counts it, so that nobody can try keys here', async () => {
    await api.close();
    const keys = [{ id: 'admin', role: 'admin', digest: keyDigest(KEYS.admin) } as const];
    api = await ApiServer.start({ authenticator: new Authenticator(keys, null, new FailedKeys(2)) });
    const statuses = [];
    for (const key of ['wrong-1', 'wrong-2', 'wrong-3', KEYS.admin]) statuses.push((await logIn(key)).status);
    expect(statuses).toEqual([401, 401, 429, 429]);
    expect((await logIn('wrong-4')).headers.get('set-cookie')).toBeNull();
    expect(api.logged.join('')).not.toMatch(/wrong-|key-of/);
  });

  it.each([
    ['without the header of the page', {}, `key=${KEYS.admin}`, FORM, 403, 'Forbidden'],
    ['without a key', PAGE, 'kee=1', FORM, 400, 'MalformedBody'],
    ['with an empty key', PAGE, 'key=', FORM, 400, 'MalformedBody'],
    ['with two keys', PAGE, 'key=a&key=b', FORM, 400, 'MalformedBody'],
    ['as JSON', PAGE, '{"key":"a"}', { 'Content-Type': 'application/json' }, 415, 'UnsupportedMediaType'],
    ['that is too long', PAGE, `key=${'a'.repeat(5_000)}`, FORM, 413, 'BodyTooLarge'],
  ])('%s is refused', async (_title, page, body, type, status, code) => {
    const answer = await api.call('/login', { method: 'POST', key: null, headers: { ...type, ...page }, body });
    expect([answer.status, answer.json['code']]).toEqual([status, code]);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  it('is not needed where the API has no keys', async () => {
    await api.close();
    api = await ApiServer.start({ authenticator: new Authenticator([]) });
    expect((await logIn('any')).headers.get('set-cookie')).toBeNull();
    const { json } = await api.call('/page/session', { key: null });
    expect(json).toEqual({ cluster: 'test', key_id: 'anonymous', role: 'admin', is_open: true, ends_at: null });
  });
});

describe('the cookie of the status page', () => {
  it.each(['read', 'admin'] as const)('has the role %s of its key', async (role) => {
    const cookie = await cookieFor(KEYS[role]);
    const session = await withCookie('/page/session', cookie);
    expect(session.json).toMatchObject({ cluster: 'test', key_id: role, role, is_open: false });
    expect(session.headers.get('cache-control')).toBe('no-store');
    const leftMs = Date.parse(String(session.json['ends_at'])) - Date.now();
    expect(leftMs / 3_600_000).toBeCloseTo(12, 1);
    for (const path of [
      '/cluster/map',
      '/cluster/map?x',
      '/cluster/shards',
      '/cluster/notices',
      '/cluster/autoscale',
    ]) {
      expect((await withCookie(path, cookie)).status).toBe(200);
    }
    expect((await check(cookie, PAGE)).status).toBe(role === 'admin' ? 200 : 403);
  });

  it('changes nothing without the header that only the page sends', async () => {
    const cookie = await cookieFor(KEYS.admin);
    for (const headers of [{}, { 'X-Coordinator-Page': '0' }]) {
      const refused = await check(cookie, headers);
      expect([refused.status, refused.json['code']]).toEqual([403, 'Forbidden']);
    }
    expect((await withCookie('/cluster/shards/0', cookie, { method: 'DELETE' })).status).toBe(403);
    expect(api.client.started).toEqual([]);
    expect(api.client.transitions).toEqual([]);
    expect((await check(cookie, PAGE)).status).toBe(200);
  });

  it('steps back behind a key that is sent beside it', async () => {
    const cookie = await cookieFor(KEYS.admin);
    const session = await withCookie('/page/session', cookie, { key: KEYS.read });
    expect(session.json).toMatchObject({ role: 'read' });
    expect((await withCookie('/cluster/map', cookie, { key: 'wrong' })).status).toBe(401);
  });

  it('is taken by every API process that has the key, and by none that has it no longer', async () => {
    const cookie = await cookieFor(KEYS.admin);
    const second = await ApiServer.start();
    const other = { id: 'other', role: 'admin', digest: keyDigest('other') } as const;
    const third = await ApiServer.start({ authenticator: new Authenticator([other]) });
    expect((await check(cookie, PAGE, second)).status).toBe(200);
    expect((await withCookie('/cluster/map', cookie, {}, third)).status).toBe(401);
    await second.close();
    await third.close();
  });

  it('ends with the logout, also as a copy', async () => {
    const cookie = await cookieFor(KEYS.admin);
    expect((await withCookie('/logout', cookie, { method: 'POST' })).status).toBe(403);
    const out = await withCookie('/logout', cookie, { method: 'POST', headers: PAGE });
    expect(out.status).toBe(204);
    expect(out.headers.get('set-cookie')).toBe('coordinator_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict');
    expect((await withCookie('/cluster/map', cookie)).status).toBe(401);
    expect((await withCookie('/cluster/map', await cookieFor(KEYS.admin))).status).toBe(200);
  });

  it('that somebody made up counts as a wrong key, and one that has ended does not', async () => {
    await api.close();
    const digest = keyDigest(KEYS.admin);
    const keys = [{ id: 'admin', role: 'admin', digest } as const];
    api = await ApiServer.start({ authenticator: new Authenticator(keys, null, new FailedKeys(2)) });
    const ended = issueToken(digest, Date.now() - SESSION_S * 1_000 - 1_000);
    const garbage = ['', 'a=b', 'coordinator_session=', 'coordinator_session=1.2.3', `coordinator_session=${ended}`];
    for (const cookie of [...garbage, ...garbage]) expect((await withCookie('/cluster/map', cookie)).status).toBe(401);
    const guesses = ['guess-1', 'guess-2', 'guess-3'].map((key) => issueToken(keyDigest(key), Date.now()));
    const statuses = [];
    for (const token of guesses) {
      statuses.push((await withCookie('/cluster/map', `x=y; coordinator_session=${token}`)).status);
    }
    expect(statuses).toEqual([401, 401, 429]);
  });
});

describe('a token', () => {
  const digest = keyDigest('some');
  const cookie = (token: string): string => `a=1; coordinator_session=${token}; b=2`;

  it('is read until it ends, and not when its end was moved', () => {
    const token = issueToken(digest, 1_000_000);
    const endMs = 1_000_000 + SESSION_S * 1_000;
    expect(readToken(cookie(token), endMs - 1)).not.toBeNull();
    expect(readToken(cookie(token), endMs)).toBeNull();
    const [ends, ...rest] = token.split('.');
    expect(readToken(cookie([Number(ends) + 3_600, ...rest].join('.')), 1_000_000)).toBeNull();
    expect(readToken(cookie(token).padEnd(5_000), 1_000_000)).toBeNull();
  });

  it('that ended by a logout is remembered until its end, and their number is bounded', () => {
    const ended = new EndedSessions();
    const tokens = Array.from({ length: 10_001 }, () => readToken(cookie(issueToken(digest, 0)), 0)!);
    for (const token of tokens) ended.note(token, 0);
    expect([ended.has(tokens[0]!), ended.has(tokens[1]!), ended.has(tokens[10_000]!)]).toEqual([false, true, true]);
    ended.note(tokens[0]!, SESSION_S * 1_000);
    expect([ended.has(tokens[0]!), ended.has(tokens[1]!)]).toEqual([true, false]);
  });
});
