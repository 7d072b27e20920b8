import { type Findings, NOTHING_FOUND } from '../../../src/domain/findings';
import { newOperationState } from '../../../src/contract/operation-state';
import { operationViewSchema } from '../../../src/wire/coordinator-api';
import { problemSchema } from '../../../src/wire/problem';
import { ApiServer, KEYS, STATE, type Call } from '../../support/api-server';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const LEFTOVER = { primary_url: ' HTTP://Old:6333/ ' };
const NAMED = { primary_url: 'http://old:6333', replica_urls: [] };
const post = (body?: unknown, key = 'k'): Call => ({ method: 'POST', body, headers: { 'Idempotency-Key': key } });

describe.each(['check', 'repair'] as const)('POST /cluster/%s', (kind) => {
  const path = `/cluster/${kind}`;

  it('starts the operation over everything without a body, and answers with its id and where to watch it', async () => {
    const { status, json, headers } = await api.call(path, post());
    expect([status, json, headers.get('location')]).toEqual([
      200,
      { operation: `${kind}-k` },
      `/cluster/operations/${kind}-k`,
    ]);
    expect(api.client.started).toMatchObject([
      { kind, input: { key: 'k', request: { collections: null, leftovers: [], prefer: [] } } },
    ]);
  });

  it('takes collections, and leftovers in the normal form of their URLs', async () => {
    await api.call(path, post({ collections: ['docs'], leftovers: [LEFTOVER] }));
    expect(api.client.started[0]?.input.request).toEqual({ collections: ['docs'], leftovers: [NAMED], prefer: [] });
  });

  it.each([
    ['a field that it does not know', { colections: ['docs'] }, 'MalformedBody'],
    ['a field of a leftover that it does not know', { leftovers: [{ ...NAMED, replicas: [] }] }, 'MalformedBody'],
    ['no collection at all, which might mean all', { collections: [] }, 'MalformedBody'],
    ['a leftover without a URL', { leftovers: [{}] }, 'MalformedBody'],
    ['a leftover whose URL is none', { leftovers: [{ primary_url: 'old' }] }, 'InvalidShardUrl'],
  ])('refuses %s, and starts nothing', async (_, body, code) => {
    const { status, json } = await api.call(path, post(body));
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(problemSchema.parse(json)).toMatchObject({ code });
    expect(api.client.started).toEqual([]);
  });

  it('needs an admin, and only takes POST', async () => {
    expect((await api.call(path, { ...post(), key: KEYS.write })).status).toBe(403);
    expect((await api.call(path)).status).toBe(405);
    expect(api.client.started).toEqual([]);
  });

  it('refuses an Idempotency-Key that was used for something else', async () => {
    const request = { collections: ['other'], leftovers: [], prefer: [] };
    api.client.startOperation = () => Promise.resolve({ map: STATE.map, shardIds: [], request });
    const { json } = await api.call(path, post({ collections: ['docs'] }));
    expect(json).toMatchObject({ code: 'IdempotencyKeyReused' });
  });
});

describe('prefer', () => {
  it('names shards by id, as a number or as a text, and leftovers by URL', async () => {
    await api.call('/cluster/repair', post({ leftovers: [LEFTOVER], prefer: [1, '0', LEFTOVER.primary_url] }));
    expect(api.client.started[0]?.input.request).toMatchObject({ prefer: ['1', '0', 'http://old:6333'] });
  });

  it('is nothing that a check takes', async () => {
    const { json } = await api.call('/cluster/check', post({ prefer: [1] }));
    expect(json).toMatchObject({ code: 'MalformedBody' });
  });
});

describe('GET /cluster/operations/{id} of a repair', () => {
  it('shows what it found, mended and left', async () => {
    const counts = { points: 3, agreeing: 0, differing: 1, onlyHere: 1, conflicting: 1 };
    const found = {
      totals: { ...NOTHING_FOUND.totals, ...counts, collections: 1, collectionsMissing: 1 },
      collections: [
        {
          collection: 'docs',
          notCompared: null,
          missingOn: ['2'],
          otherSchemaOn: [],
          points: 3,
          byHolder: { '0': counts },
        },
      ],
      samples: [{ collection: 'docs', finding: 'conflicting' as const, holder: '0', offset: 7 }],
    };
    const findings: Findings = { found, mended: { collectionsCreated: 1, moved: 1, removed: 2 }, left: NOTHING_FOUND };
    const { progress } = newOperationState('repair', 'repair-k', Date.UTC(2026, 0, 2));
    api.client.queryProgress = () => Promise.resolve({ ...progress, findings });
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    const view = operationViewSchema.parse((await api.call('/cluster/operations/repair-k')).json);
    const shown = { points: 3, agreeing: 0, differing: 1, only_here: 1, conflicting: 1 };
    expect(view.findings).toMatchObject({
      found: {
        totals: { ...shown, collections: 1, collections_missing: 1, collections_not_compared: 0 },
        collections: [{ collection: 'docs', missing_on: ['2'], not_compared: null, by_holder: { '0': shown } }],
        samples: [{ collection: 'docs', finding: 'conflicting', holder: '0', offset: 7 }],
      },
      mended: { collections_created: 1, moved: 1, removed: 2 },
      left: { collections: [], samples: [] },
    });
  });
});
