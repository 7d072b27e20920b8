import { DomainError } from '../../../../src/domain/errors';
import { planViewSchema } from '../../../../src/wire/operations/plan';
import { problemSchema } from '../../../../src/wire/problem';
import { ApiServer, KEYS, type Call } from '../../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const post = (body?: unknown): Call => ({ method: 'POST', body });
const CALLS = [
  ['grow', '/cluster/shards/grow', post({ primary_url: 'http://new:6333' })],
  ['drain', '/cluster/shards/1/drain', post()],
  ['check', '/cluster/check', post({ collections: ['docs'] })],
  ['repair', '/cluster/repair', post()],
  ['cancel', '/cluster/operations/grow-a/cancel', post()],
] as const;

describe.each(CALLS)('the plan of a %s', (kind, path, call) => {
  it('is answered in the shape of a plan, and nothing is started', async () => {
    const { status, json, headers } = await api.call(`${path}?dry_run=true`, call);
    expect(status).toBe(200);
    expect(planViewSchema.parse(json)).toMatchObject({
      dry_run: true,
      kind,
      would: 'start',
      refusal: null,
      rows_to_move: 7,
      duration_s: { least: 1, most: 2, basis: 'a guess' },
    });
    expect(headers.get('location')).toBeNull();
    expect(api.client.started).toEqual([]);
    expect(api.client.transitions).toEqual([]);
    expect(api.planner.asked).toHaveLength(1);
  });

  it.each(['?dry_run=maybe', '?dry_run=', '?dry_run=true&dry_run=true', '?dryrun=true'])(
    'is refused with the query %s, and nothing is started',
    async (query) => {
      const { status, json } = await api.call(`${path}${query}`, call);
      expect([status, problemSchema.parse(json).code]).toEqual([400, 'InvalidRequest']);
      expect(api.client.started).toEqual([]);
      expect(api.planner.asked).toEqual([]);
    },
  );

  it('needs the role of the call itself', async () => {
    expect((await api.call(`${path}?dry_run=true`, { ...call, key: KEYS.write })).status).toBe(403);
    expect(api.planner.asked).toEqual([]);
  });

  it('is not made with dry_run=false', async () => {
    await api.call(`${path}?dry_run=false`, call);
    expect(api.planner.asked).toEqual([]);
    expect(api.client.started).toHaveLength(kind === 'cancel' ? 0 : 1);
  });
});

it('the plan of a grow by an address that may not be called is refused, as the grow would be', async () => {
  api.reach.requireAllowed = () => Promise.reject(new DomainError('AddressNotAllowed', 'not that one'));
  const { status, json } = await api.call(
    '/cluster/shards/grow?dry_run=true',
    post({ primary_url: 'http://new:6333' }),
  );
  expect(status).toBe(200);
  expect(json).toMatchObject({ would: 'refuse', refusal: { code: 'AddressNotAllowed', detail: 'not that one' } });
});

it('a plan takes the request as the call itself reads it', async () => {
  await api.call('/cluster/shards/grow?dry_run=true', post({ shards: [{ primary_url: 'HTTP://New:6333/' }] }));
  expect(api.planner.asked[0]?.[0]).toEqual({
    kind: 'grow',
    request: { shards: [{ primary_url: 'http://new:6333', replica_urls: [] }], allowNonempty: false },
  });
  const { status, json } = await api.call('/cluster/shards/grow?dry_run=true', post({ primary_url: 'new' }));
  expect([status, problemSchema.parse(json).code]).toEqual([400, 'InvalidShardUrl']);
});
