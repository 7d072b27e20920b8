import { seedState } from '../../../src/domain/cluster-state';
import { routersViewSchema } from '../../../src/wire/routers';
import { ApiServer, KEYS, STATE } from '../../support/api-server';
import { at } from '../../support/domain-builders';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const routers = (method: string, body?: unknown, key: string = KEYS.admin) =>
  api.call('/cluster/routers', { method, key, ...(body === undefined ? {} : { body }) });

describe('GET /cluster/routers', () => {
  it('shows the version of each router, how far it lags, and what does not answer', async () => {
    const entries = ['http://r0', 'http://r1', 'dns+http://r:1'];
    api.client.state = { ...seedState([at('s0')]), routers: { entries, isByHand: true } };
    api.client.state = { ...api.client.state, map: { ...api.client.state.map, version: 5 } };
    api.askRouter = (url) =>
      url === 'http://r1' ? Promise.reject(new Error('refused')) : Promise.resolve({ version: 3, map: null });
    const { status, json } = await routers('GET', undefined, KEYS.read);
    expect(status).toBe(200);
    expect(routersViewSchema.parse(json)).toEqual({
      entries,
      routers: [
        { url: 'http://r0', entry: 'http://r0', version: 3, lag: 2, error: null },
        { url: 'http://r1', entry: 'http://r1', version: null, lag: null, error: 'refused' },
        { url: 'http://10.1.2.3:1', entry: 'dns+http://r:1', version: 3, lag: 2, error: null },
      ],
      pollers: [],
      risk: null,
    });
  });

  it('shows the setting where nobody gave a list, and asks 16 routers at once at most', async () => {
    expect((await routers('GET')).json).toMatchObject({ entries: ['http://r0'] });
    const entries = Array.from({ length: 40 }, (_, n) => `http://r${n}`);
    api.client.state = { ...STATE, routers: { entries, isByHand: true } };
    let atOnce = 0;
    let most = 0;
    api.askRouter = async () => {
      most = Math.max(most, ++atOnce);
      await new Promise(setImmediate);
      atOnce -= 1;
      return { version: 1, map: null };
    };
    expect((await routers('GET')).json['routers']).toHaveLength(40);
    expect(most).toBe(16);
  });

  it('lists who polls the map, with the entry that has a router there', async () => {
    await api.call('/cluster/map', { key: KEYS.read });
    const { headers } = await api.call('/cluster/map', { key: KEYS.read });
    await api.call('/cluster/map', { key: KEYS.read, headers: { 'If-None-Match': headers.get('etag') ?? '' } });
    const [polling] = routersViewSchema.parse((await routers('GET')).json).pollers;
    expect(polling).toMatchObject({ address: '127.0.0.1', key_id: 'read', version: 1, explained_by: null });
    api.client.state = { ...STATE, routers: { entries: ['http://127.0.0.1:7010'], isByHand: true } };
    expect((await routers('GET')).json).toMatchObject({ pollers: [{ explained_by: 'http://127.0.0.1:7010' }] });
  });

  it('does not list the status page and the command line, which only show the map to a person', async () => {
    await api.call('/cluster/map', { key: KEYS.read, headers: { 'X-Coordinator-Page': '1' } });
    expect((await routers('GET')).json).toMatchObject({ pollers: [] });
  });

  it('asks the routers once for all who ask at once', async () => {
    let asked = 0;
    api.askRouter = async () => {
      asked += 1;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return { version: 1, map: null };
    };
    await Promise.all(Array.from({ length: 8 }, () => routers('GET')));
    expect(asked).toBeLessThan(8);
  });

  it('does not list who was refused', async () => {
    await api.call('/cluster/map', { key: 'wrong' });
    expect((await routers('GET')).json).toMatchObject({ pollers: [] });
  });
});

describe('PUT and PATCH /cluster/routers', () => {
  it('send the list in normal form, and say what it risks to take a router out', async () => {
    const put = await routers('PUT', { entries: ['http://R1:6333/', 'dns+http://r:1'] });
    expect(put.status).toBe(200);
    expect(put.json['risk']).toMatch(/may write by an old map/);
    const patch = await routers('PATCH', { add: ['http://R2'] });
    expect(patch.json['risk']).toBeNull();
    expect((await routers('PATCH', { remove: ['http://r0'] })).json['risk']).toMatch(/gone for good/);
    expect(api.client.transitions).toEqual([
      { type: 'setRouters', entries: ['http://r1:6333', 'dns+http://r:1'] },
      { type: 'changeRouters', add: ['http://r2'], remove: [], seed: ['http://r0'] },
      { type: 'changeRouters', add: [], remove: ['http://r0'], seed: ['http://r0'] },
    ]);
  });

  it.each([
    ['PUT', {}, 400, 'MalformedBody'],
    ['PUT', { entries: 'http://r0' }, 400, 'MalformedBody'],
    ['PUT', { entries: [], more: 1 }, 400, 'MalformedBody'],
    ['PUT', { entries: ['router'] }, 400, 'InvalidShardUrl'],
    ['PUT', { entries: ['dns+https://r'] }, 400, 'InvalidRequest'],
    ['PUT', { entries: ['http://169.254.169.254'] }, 422, 'AddressNotAllowed'],
    ['PATCH', { add: ['dns+http://metadata.google.internal:80'] }, 422, 'AddressNotAllowed'],
    ['PATCH', { remove: [1] }, 400, 'MalformedBody'],
    ['DELETE', undefined, 405, 'MethodNotAllowed'],
  ])('%s %j is refused with %i %s, and changes nothing', async (method, body, status, code) => {
    const answer = await routers(method, body);
    expect({ status: answer.status, code: answer.json['code'] }).toEqual({ status, code });
    expect(api.client.transitions).toEqual([]);
  });

  it.each(['PUT', 'PATCH'])('%s needs an admin key', async (method) => {
    expect((await routers(method, { entries: [] }, KEYS.write)).status).toBe(403);
    expect((await routers('GET', undefined, 'none')).status).toBe(401);
    expect(api.client.transitions).toEqual([]);
  });
});
