/** What a restore is asked with. What it does is in test/client/cluster/restore-cluster.temporal.test.ts. */
import { ApiServer, KEYS } from '../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const at = (name: string) => ({ primary_url: `http://${name}:6333`, replica_urls: [] });

describe('POST /cluster/restore', () => {
  const map = { version: 3, shards: [{ id: 1, ...at('s1') }], joining: [], leaving: [] };

  it('is for admins', async () => {
    for (const key of [KEYS.read, KEYS.write]) {
      const answer = await api.call('/cluster/restore', { method: 'POST', key, body: { last_known: true } });
      expect(answer.status).toBe(403);
    }
  });

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['both', { last_known: true, state: { next_id: 2, map } }],
    ['a field that is none', { last_known: true, force: true }],
    ['last_known: false', { last_known: false }],
    ['a state without a next id', { state: { map } }],
    ['a next id that a shard has', { state: { next_id: 1, map } }],
    ['an id that is there twice', { state: { next_id: 9, map: { ...map, shards: [...map.shards, ...map.shards] } } }],
    ['a joining shard that is not in the map', { state: { next_id: 9, map: { ...map, joining: [5] } } }],
    ['a leaving shard that is not in the map', { state: { next_id: 9, map: { ...map, leaving: [5] } } }],
  ])('refuses %s and restores nothing', async (_what, body) => {
    let restores = 0;
    api.restoreCluster = () => {
      restores += 1;
      return Promise.reject(new Error('not to be called'));
    };
    const answer = await api.call('/cluster/restore', { method: 'POST', body });
    expect(answer).toMatchObject({ status: 400, json: { code: 'MalformedBody' } });
    expect(restores).toBe(0);
  });

  it('takes a map as large as a map may be', async () => {
    const shards = Array.from({ length: 1_024 }, (_, id) => ({ id, ...at(`a-rather-long-name-of-a-shard-${id}`) }));
    const answer = await api.call('/cluster/restore', {
      method: 'POST',
      body: { state: { next_id: 2_000, map: { ...map, shards } } },
    });
    expect(answer.status).toBe(200);
  });
});
