/** Every route of the table is asked once. `ApiServer` holds each answer against the document. */
import type { RouteEntry } from '../../../src/api/openapi/entry';
import { ClientError } from '../../../src/client/calls/errors';
import { recordNotices } from '../../../src/domain/notices';
import { progressOf } from '../../support/an-operation';
import { ApiServer, STATE } from '../../support/api-server';
import { ENTRIES, entryOf, faultOfAnswer } from '../../support/documented';

const SHARD = { primary_url: 'http://s2:6333' };

/** The bodies of the routes that need one. A route without a sample is asked without a body. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  'post /cluster/shards': SHARD,
  'post /cluster/shards/joining': SHARD,
  'post /cluster/shards/grow': { shards: [SHARD], accept_stop_s: 3 },
  'patch /cluster/shards/{id}': { primary_url: 'http://s1b:6333' },
  'put /cluster/autoscale': { enabled: true, high_water_points: 1_000 },
  'post /cluster/operations/{id}/pause': { reason: 'a backup' },
  'patch /cluster/operations/{id}': { max_rows_per_s: 100 },
  'put /cluster/limits': { delete_share: 0.5 },
  'put /cluster/routers': { entries: ['http://r0:6333'] },
  'patch /cluster/routers': { add: ['http://r1:6333'] },
  'put /cluster/hooks': { hooks: [{ url: 'http://hook:80/a', events: ['notice'] }] },
  'post /cluster/standbys': SHARD,
  'delete /cluster/standbys': SHARD,
  'post /cluster/restore': { last_known: true },
};

const PROGRESS = progressOf({ operationId: 'grow-a' });

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
  const notice = { key: 'a', code: 'RouterServesSeeds', message: 'run a check', operationId: 'grow-a' } as const;
  api.client.state = recordNotices(STATE, [notice], 0);
  api.client.queryProgress = () => Promise.resolve(PROGRESS);
  api.client.cancelOperation = () => Promise.resolve({ ...PROGRESS, cancelRequested: true });
  api.client.adjustOperation = () => Promise.resolve(PROGRESS);
  api.client.describeOperation = () =>
    Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
});
afterEach(() => api.close());

function ask({ method, path }: RouteEntry): ReturnType<ApiServer['call']> {
  const sample = path.replace('/operations/{id}', '/operations/grow-a').replace('{id}', '1').replace('{key}', 'a');
  return api.call(sample, { method: method.toUpperCase(), body: SAMPLES[`${method} ${path}`] });
}

/** An answer that goes on for as long as its reader likes is for tests of its own. */
const ASKED = ENTRIES.filter(({ answer }) => typeof answer === 'string' || answer.media !== 'text/event-stream');

describe.each(ASKED.map((entry) => [`${entry.method} ${entry.path}`, entry] as const))('%s', (_name, entry) => {
  it('answers with what its entry tells', async () => {
    const { status, text } = await ask(entry);
    expect([status, status === 200 ? '' : text]).toEqual([200, '']);
  });

  it('answers with what its entry tells while Temporal is away', async () => {
    const away = new ClientError('TemporalUnreachable', 'no answer');
    api.client.trouble = away;
    api.client.queryProgress = () => Promise.reject(away);
    api.client.cancelOperation = () => Promise.reject(away);
    api.client.adjustOperation = () => Promise.reject(away);
    expect([200, 503]).toContain((await ask(entry)).status);
  });
});

describe('the comparison of an answer with its entry', () => {
  const map = { version: 1, shards: [{ id: 0, primary_url: 'http://s0', replica_urls: [] }], joining: [], leaving: [] };
  const answered = (status: number, body: unknown, headers: Record<string, string> = {}) =>
    faultOfAnswer({
      method: 'GET',
      path: '/cluster/map?a=b',
      status,
      headers: new Headers({
        'content-type': status < 400 ? 'application/json' : 'application/problem+json',
        ...headers,
      }),
      text: JSON.stringify(body),
    });
  const problem = { type: 'about:blank', title: 'x', status: 409, detail: 'x', code: 'OperationInProgress' };

  it('finds what the document does not tell', () => {
    expect(answered(200, map)).toBeNull();
    expect(answered(200, { ...map, more: 1 })).toContain('ShardMap has other fields');
    expect(answered(200, { version: 1 })).toContain('no ShardMap');
    expect(answered(200, map, { location: '/x' })).toContain('no header Location');
    expect(answered(200, map, { 'content-type': 'text/html' })).toContain('expected application/json');
    expect(answered(202, map)).toContain('no status 202');
    expect(answered(304, map)).toBeNull();
    expect(answered(409, problem)).toContain('no code OperationInProgress');
    expect(answered(400, problem)).toContain('status 400');
    expect(answered(409, { ...problem, code: 'Unheard' })).toContain('no problem');
    expect(answered(409, problem, { 'content-type': 'text/plain' })).toContain('expected application/problem+json');
  });

  it('takes a path without parameters before one with them', () => {
    expect(entryOf('POST', '/cluster/shards/grow')?.path).toBe('/cluster/shards/grow');
    expect(entryOf('HEAD', '/cluster/operations/grow-a?x=1')?.path).toBe('/cluster/operations/{id}');
    expect(entryOf('GET', '/nowhere')).toBeNull();
  });
});
