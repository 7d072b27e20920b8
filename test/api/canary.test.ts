/** A secret that callers send in every place where one could slip in is in no answer and no log line. */
import { ApiServer } from '../support/api-server';
import { Authenticator } from '../../src/api/http/auth';
import { keyDigest } from '../../src/config';

const CANARY = 'canary-secret-5f1e77';

describe('a secret that is sent to the API', () => {
  let api: ApiServer;
  beforeEach(async () => {
    const known = { id: 'known', role: 'read', digest: keyDigest(CANARY) } as const;
    api = await ApiServer.start({ authenticator: new Authenticator([known]) });
  });
  afterEach(() => api.close());

  it.each([
    ['as a key whose role is too low', { method: 'POST', key: CANARY, body: {} }, 403],
    ['as a wrong key', { method: 'POST', key: `${CANARY}-wrong`, body: {} }, 401],
    ['as a key of another scheme', { method: 'POST', key: null, headers: { authorization: `Basic ${CANARY}` } }, 401],
    ['as a key that is too long', { method: 'POST', key: CANARY.repeat(100), body: {} }, 401],
  ])('%s comes back in nothing', async (_title, call, status) => {
    const answer = await api.call('/cluster/shards', call);
    expect(answer.status).toBe(status);
    expect(answer.text + JSON.stringify([...answer.headers]) + api.logged.join('')).not.toContain(CANARY);
  });

  it('as a known key comes back in no answer of a route that it may read', async () => {
    for (const path of ['/cluster/map', '/cluster/shards', '/cluster/operations', '/cluster/autoscale', '/absent']) {
      const { text } = await api.call(path, { key: CANARY });
      expect(text).not.toContain(CANARY);
    }
    api.client.trouble = new Error('unforeseen');
    expect((await api.call('/cluster/shards', { key: CANARY })).status).toBe(500);
    expect(api.logged.join('')).toContain('unforeseen');
    expect(api.logged.join('')).not.toContain(CANARY);
  });

  it('in a URL or a broken body is not quoted', async () => {
    await api.close();
    api = await ApiServer.start({ authenticator: new Authenticator([]) });
    const bodies = [`{"primary_url":"http://user:${CANARY}@s2:6333"}`, `{"primary_url": ${CANARY}`];
    for (const body of bodies) {
      const { status, text } = await api.call('/cluster/shards', { method: 'POST', key: null, body });
      expect(status).toBe(400);
      expect(text + api.logged.join('')).not.toContain(CANARY);
    }
  });
});
