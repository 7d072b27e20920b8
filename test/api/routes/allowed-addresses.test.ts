import { Reach } from '../../../src/shards/reach/reach';
import { ApiServer } from '../../support/api-server';

const METADATA = 'http://169.254.169.254';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const s2 = { primary_url: 'http://s2:6333' };
const bad = { primary_url: METADATA };

/** Each place of a request where an address may stand. */
const REQUESTS: readonly (readonly [method: string, path: string, body: object])[] = [
  ['POST', '/cluster/shards', bad],
  ['POST', '/cluster/shards', { ...s2, replica_urls: [METADATA] }],
  ['POST', '/cluster/shards', { ...s2, grpc_url: METADATA }],
  ['POST', '/cluster/shards/joining', bad],
  ['PATCH', '/cluster/shards/1', bad],
  ['PATCH', '/cluster/shards/1', { replica_urls: [METADATA] }],
  ['PATCH', '/cluster/shards/1', { grpc_url: METADATA }],
  ['POST', '/cluster/shards/grow', bad],
  ['POST', '/cluster/shards/grow', { shards: [s2, bad] }],
  ['POST', '/cluster/shards/grow', { ...s2, sources: { 0: METADATA } }],
  ['POST', '/cluster/shards/1/drain', { sources: { 1: METADATA } }],
  ['POST', '/cluster/check', { leftovers: [bad] }],
  ['POST', '/cluster/repair', { leftovers: [bad] }],
  ['POST', '/cluster/repair', { sources: { 0: METADATA } }],
  ['POST', '/cluster/standbys', bad],
  [
    'POST',
    '/cluster/restore',
    {
      state: {
        next_id: 1,
        map: { version: 1, shards: [{ id: 0, replica_urls: [], ...bad }], joining: [], leaving: [] },
      },
    },
  ],
];

describe('an address that may not be called', () => {
  it.each(REQUESTS)('is refused in %s %s %j', async (method, path, body) => {
    const looked: string[] = [];
    api.marks.look = ({ primary_url }) => {
      looked.push(primary_url);
      return Promise.resolve({ kind: 'seen', seen: null });
    };
    api.restoreCluster = () => Promise.reject(new Error('must not be restored'));
    const { status, json } = await api.call(path, { method, body });
    expect(json).toMatchObject({ status: 422, code: 'AddressNotAllowed' });
    expect(status).toBe(422);
    expect(json['detail']).toContain(METADATA);
    expect([...looked, ...api.client.transitions, ...api.client.started]).toEqual([]);
  });

  it('is refused also when identities are removed and nothing else is checked', async () => {
    const { state } = api.client;
    api.client.state = { ...state, identity: { ...state.identity, removed: true } };
    const { json } = await api.call('/cluster/shards', { method: 'POST', body: bad });
    expect(json).toMatchObject({ code: 'AddressNotAllowed' });
  });

  it('is one that the list does not have', async () => {
    api.reach = new Reach({ allowed: ['*.quiver.svc'], own: [] });
    const { json } = await api.call('/cluster/shards', { method: 'POST', body: s2 });
    expect(json).toMatchObject({ code: 'AddressNotAllowed' });
    const inList = { primary_url: 'http://s2.quiver.svc:6333' };
    expect((await api.call('/cluster/shards', { method: 'POST', body: inList })).status).toBe(200);
  });
});
