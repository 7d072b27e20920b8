/** What a change costs beside itself: polls of the map are read anew while it runs, and who listens is told. */
import { ClientError } from '../../../src/client/calls/errors';
import { MapReader } from '../../../src/api/map/reader';
import { newOperationState } from '../../../src/contract/operation-state';
import { ApiServer, KEYS, type Call } from '../../support/api-server';
import { waitFor } from '../../support/wait-for';

let api: ApiServer;
/** Of the map: how many began, and how many of these have not ended. */
let changes: { begun: number; open: number };
let nudges: number;
beforeEach(async () => {
  changes = { begun: 0, open: 0 };
  nudges = 0;
  const reader = new MapReader({ queryMap: () => api.client.queryMap() });
  const begin = reader.changeBegins.bind(reader);
  reader.changeBegins = () => {
    changes.begun += 1;
    changes.open += 1;
    const end = begin();
    return () => {
      changes.open -= 1;
      end();
    };
  };
  api = await ApiServer.start({ mapReader: reader });
  api.events.nudge = () => void (nudges += 1);
  api.client.adjustOperation = () => Promise.resolve(newOperationState('grow', 'grow-k', 0).progress);
});
afterEach(() => api.close());

const OPERATION = '/cluster/operations/grow-k';
const JOINER = { primary_url: 'http://s2:6333' };

const ADJUSTING: [string, string, Call][] = [
  ['the list of routers', '/cluster/routers', { method: 'PUT', body: { entries: ['http://r1:1'] } }],
  ['limits of the cluster', '/cluster/limits', { method: 'PUT', body: { delete_share: 0.5 } }],
  ['limits of an operation', OPERATION, { method: 'PATCH', body: { max_rows_per_s: 5 } }],
  ['a pause', `${OPERATION}/pause`, { method: 'POST', body: { reason: 'a' } }],
  ['a resume', `${OPERATION}/resume`, { method: 'POST' }],
  ['webhooks', '/cluster/hooks', { method: 'PUT', body: { hooks: [] } }],
  ['a plan', '/cluster/shards/grow?dry_run=true', { method: 'POST', body: { shards: [JOINER] } }],
];

describe('what leaves the map as it is', () => {
  it.each(ADJUSTING)(
    'keeps polls of the map as cheap as they are, and tells who listens: %s',
    async (_w, path, call) => {
      expect((await api.call(path, call)).status).toBeLessThan(300);
      await waitFor('who listens is told', () => nudges > 0);
      expect([changes.begun, nudges]).toEqual([0, 1]);
    },
  );

  it.each(ADJUSTING)('is for admins all the same: %s', async (_what, path, call) => {
    for (const key of [KEYS.read, KEYS.write]) expect((await api.call(path, { ...call, key })).status).toBe(403);
    expect(nudges).toBe(0);
  });
});

describe('what may change the map', () => {
  it('has polls read it anew until it has ended, also where it fails', async () => {
    const call: Call = { method: 'POST', body: JOINER };
    expect((await api.call('/cluster/shards', call)).status).toBe(200);
    api.client.applyTransition = () => {
      expect(changes.open).toBe(1);
      return Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    };
    expect((await api.call('/cluster/shards', call)).status).toBe(503);
    await waitFor('who listens is told', () => nudges > 1);
    expect([changes, nudges]).toEqual([{ begun: 2, open: 0 }, 2]);
  });
});
