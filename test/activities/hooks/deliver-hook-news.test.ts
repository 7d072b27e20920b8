import { createDeliverHookNews } from '../../../src/activities/hooks/deliver-hook-news';
import { SecretSeal } from '../../../src/client/hook-secrets';
import type { HookNews } from '../../../src/domain/hooks';
import { Reach } from '../../../src/shards/reach/reach';
import { LocalServer } from '../../support/local-server';

const SECRET = 'a secret that no error shows';
const NEWS: HookNews = {
  id: 'notice.a.1',
  event: 'notice',
  atMs: 0,
  operation: null,
  notice: { key: 'a', code: 'ClockSkew', message: 'set it' },
};

let bodies: string[];
const receiver = new LocalServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  bodies.push(body);
  response.writeHead(request.url === '/ok' ? 204 : 500).end();
});
beforeAll(() => receiver.listen());
afterAll(() => receiver.release());
beforeEach(() => (bodies = []));

const failureOf = async (work: Promise<unknown>) => {
  const error = (await work.then(
    () => null,
    (reason: unknown) => reason,
  )) as { type?: string; message?: string } | null;
  return error && { type: error.type, message: error.message ?? '' };
};
const sealedFor = (url: string, key = 'the key of the API, long'): string => new SecretSeal(key).seal(SECRET, url);
const deliver = createDeliverHookNews({ hookSeal: new SecretSeal('the key of the API, long') });
const told = (url: string, sealed: string | null, by = deliver) =>
  failureOf(by({ cluster: 'c', hook: { url, sealed }, news: NEWS }));

it('posts what is news, and takes any answer of 200 to 299 for an arrival', async () => {
  expect(await told(`${receiver.url}/ok`, null)).toBeNull();
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toEqual([
    { id: 'notice.a.1', event: 'notice', at: '1970-01-01T00:00:00.000Z', cluster: 'c', notice: NEWS.notice },
  ]);
});

it('fails with what was answered, or that nothing was, and names the host alone', async () => {
  const refused = await told(`${receiver.url}/token-in-the-path`, null);
  expect(refused?.type).toBe('HookRefused');
  expect(refused?.message).toMatch(/got 500/);
  expect(refused?.message).not.toContain('token');
  expect((await told('http://127.0.0.1:1/token', null))?.type).toBe('HookUnreachable');
});

it('sends nothing unsigned, or signed with another secret, when the secret does not open', async () => {
  const url = `${receiver.url}/ok`;
  const withoutKey = createDeliverHookNews({});
  for (const [sealed, by] of [
    [sealedFor(url, 'another key of an API'), deliver],
    [sealedFor(`${receiver.url}/other`), deliver],
    [sealedFor(url), withoutKey],
  ] as const) {
    const failure = await told(url, sealed, by);
    expect(failure?.type).toBe('HookSecretSealed');
    expect(failure?.message).not.toContain(SECRET);
  }
  expect(bodies).toEqual([]);
  expect(await told(url, sealedFor(url))).toBeNull();
});

it('makes no connection that the settings do not allow', async () => {
  const reach = new Reach({ allowed: ['*.quiver.svc'], own: [] });
  try {
    expect((await told(`${receiver.url}/ok`, null, createDeliverHookNews({ reach })))?.type).toBe('HookUnreachable');
    expect(bodies).toEqual([]);
  } finally {
    await reach.close();
  }
});
