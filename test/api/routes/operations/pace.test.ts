import { RefusedError } from '../../../../src/client/calls/errors';
import type { Adjustment } from '../../../../src/client/cluster-client';
import type { OperationRecord } from '../../../../src/domain/cluster-state';
import { newOperationState } from '../../../../src/contract/operation-state';
import { NO_CLUSTER_LIMITS } from '../../../../src/domain/work-limits';
import { operationViewSchema } from '../../../../src/wire/coordinator-api';
import { clusterLimitsSchema } from '../../../../src/wire/operations/pace';
import { ApiServer, KEYS, STATE } from '../../../support/api-server';

const { progress: PROGRESS } = newOperationState('grow', 'grow-k', 0);
const RECORD: OperationRecord = {
  ...{ operationId: 'grow-k', kind: 'grow', shardIds: [2], startedAtMs: 0, endedAtMs: null, end: null },
  ...{ pointsMoved: 0, message: 'running' },
};
const NO_LIMITS = { max_bytes_per_s: null, max_rows_per_s: null, delete_share: null };
const UNTIL = '2099-01-01T00:00:00.000Z';

let api: ApiServer;
let told: { operationId: string; adjustment: Adjustment }[];

beforeEach(async () => {
  api = await ApiServer.start();
  told = [];
  api.client.adjustOperation = (operationId, adjustment) => {
    told.push({ operationId, adjustment });
    return Promise.resolve(PROGRESS);
  };
});
afterEach(() => api.close());

const post = (path: string, body?: unknown, key?: string) =>
  api.call(`/cluster/operations/grow-k${path}`, { method: 'POST', body, ...(key === undefined ? {} : { key }) });

describe('POST /cluster/operations/{id}/pause', () => {
  it('asks for it in the name of the key, and answers the operation', async () => {
    api.client.adjustOperation = (operationId, adjustment) => {
      told.push({ operationId, adjustment });
      if (adjustment.kind !== 'pause') throw new Error('it is a pause');
      return Promise.resolve({ ...PROGRESS, pause: { ...adjustment.request, sinceMs: 0, holds: true } });
    };
    const { status, json } = await post('/pause', { reason: 'a release', until: '2099-01-01T01:00:00+01:00' });
    const request = { reason: 'a release', untilMs: Date.parse(UNTIL), by: 'admin' };
    expect(told).toEqual([{ operationId: 'grow-k', adjustment: { kind: 'pause', request } }]);
    expect(status).toBe(200);
    expect(operationViewSchema.parse(json).paused).toEqual({
      reason: 'a release',
      since: '1970-01-01T00:00:00.000Z',
      until: UNTIL,
      by: 'admin',
      holds: true,
    });
    expect(JSON.stringify(told)).not.toContain(KEYS.admin);
  });

  it.each([
    {},
    { reason: '' },
    { reason: 'x'.repeat(201) },
    { reason: 'a', until: 'soon' },
    { reason: 'a', unti: UNTIL },
  ])('refuses the body %j', async (body) => {
    expect((await post('/pause', body)).json['code']).toBe('MalformedBody');
    expect(told).toEqual([]);
  });

  it('is 409 with the reason when it cannot be paused now', async () => {
    const refusal = { type: 'CannotPauseNow', message: 'it is being undone' };
    api.client.adjustOperation = () => Promise.reject(new RefusedError(refusal));
    const { status, json } = await post('/pause', { reason: 'a' });
    expect([status, json['code'], json['detail']]).toEqual([409, 'CannotPauseNow', 'it is being undone']);
  });

  it('is for admins, as resume and limits are', async () => {
    for (const key of [KEYS.read, KEYS.write]) {
      expect((await post('/pause', { reason: 'a' }, key)).status).toBe(403);
      expect((await post('/resume', undefined, key)).status).toBe(403);
      expect((await api.call('/cluster/operations/grow-k', { method: 'PATCH', key, body: {} })).status).toBe(403);
      expect((await api.call('/cluster/limits', { method: 'PUT', key, body: {} })).status).toBe(403);
    }
    expect(told).toEqual([]);
  });

  it('does not know an operation without the shape of an id', async () => {
    const { status } = await api.call('/cluster/operations/other/pause', { method: 'POST', body: { reason: 'a' } });
    expect(status).toBe(404);
  });
});

describe('an operation', () => {
  it('is shown with what slows it down, in numbers and in words', async () => {
    const slowed = [
      { by: 'delete_latency', shardId: 2, seenMs: 310, boundMs: 120, restShare: 0.5 },
      { by: 'max_rows_per_s', shardId: 0, restShare: 0.9 },
    ] as const;
    const limits = { maxBytesPerS: null, maxRowsPerS: 50, deleteShare: null };
    api.client.queryProgress = () => Promise.resolve({ ...PROGRESS, slowed, limits });
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    const { json } = await api.call('/cluster/operations/grow-k');
    const [latency, rate] = operationViewSchema.parse(json).slowed;
    expect(latency).toEqual({
      shard_id: 2,
      by: 'delete_latency',
      seen_ms: 310,
      bound_ms: 120,
      rest_share: 0.5,
      text: expect.stringMatching(/^A delete on shard 2 takes 310 ms, the bound is 120 ms/) as string,
    });
    expect(rate).toMatchObject({ shard_id: 0, seen_ms: null, bound_ms: null, rest_share: 0.9 });
    expect(rate?.text).toContain('max_rows_per_s, which is 50');
  });

  it('is shown with its pause until that is over, and with its limits', async () => {
    const pause = { reason: 'a', by: 'ops', sinceMs: 0, untilMs: 1_000, holds: true };
    const limits = { maxBytesPerS: null, maxRowsPerS: 50, deleteShare: 0.2 };
    api.client.queryProgress = () => Promise.resolve({ ...PROGRESS, pause, limits });
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    const { json } = await api.call('/cluster/operations/grow-k');
    const view = operationViewSchema.parse(json);
    expect([view.paused, view.limits]).toEqual([
      null,
      { max_bytes_per_s: null, max_rows_per_s: 50, delete_share: 0.2 },
    ]);
  });
});

it('POST /cluster/operations/{id}/resume needs no body', async () => {
  const { status, json } = await post('/resume');
  expect([status, json['paused']]).toEqual([200, null]);
  expect(told).toEqual([{ operationId: 'grow-k', adjustment: { kind: 'resume' } }]);
});

describe('PATCH /cluster/operations/{id}', () => {
  const patch = (body: unknown) => api.call('/cluster/operations/grow-k', { method: 'PATCH', body });

  it('changes what it names alone, and null stands for the limit of the cluster', async () => {
    expect((await patch({ max_rows_per_s: 10, delete_share: null })).status).toBe(200);
    const change = { maxRowsPerS: 10, deleteShare: null };
    expect(told).toEqual([{ operationId: 'grow-k', adjustment: { kind: 'limit', change } }]);
  });

  it.each([{ max_rows_per_s: 0 }, { max_bytes_per_s: 1.5 }, { delete_share: 0 }, { delete_share: 1.1 }, { rows: 1 }])(
    'refuses %j',
    async (body) => {
      expect((await patch(body)).json['code']).toBe('MalformedBody');
      expect(told).toEqual([]);
    },
  );
});

describe('the limits of the cluster', () => {
  const put = (body: unknown) => api.call('/cluster/limits', { method: 'PUT', body });

  it('are none before anybody has said any', async () => {
    const { status, json } = await api.call('/cluster/limits', { key: KEYS.read });
    expect([status, clusterLimitsSchema.parse(json)]).toEqual([
      200,
      { ...NO_LIMITS, active_from: null, active_to: null },
    ]);
  });

  it('are kept by the cluster, and told to every operation that runs', async () => {
    api.client.state = { ...STATE, operations: [RECORD, { ...RECORD, operationId: 'grow-old', end: 'succeeded' }] };
    const { status, json } = await put({ max_rows_per_s: 7, active_from: '22:00', active_to: '04:00' });
    const limits = { ...NO_CLUSTER_LIMITS, maxRowsPerS: 7, activeFrom: '22:00', activeTo: '04:00' };
    expect(status).toBe(200);
    expect(json).toEqual({ ...NO_LIMITS, max_rows_per_s: 7, active_from: '22:00', active_to: '04:00' });
    expect(api.client.transitions).toEqual([{ type: 'replaceLimits', limits }]);
    expect(told).toEqual([{ operationId: 'grow-k', adjustment: { kind: 'clusterLimits', limits } }]);
  });

  it('hold when an operation cannot be told now', async () => {
    api.client.state = { ...STATE, operations: [RECORD] };
    api.client.adjustOperation = () => Promise.reject(new Error('it has just ended'));
    expect((await put({})).status).toBe(200);
  });

  it.each([{ active_from: '7:00', active_to: '08:00' }, { max_rows_per_s: -1 }, { active: '01:00' }])(
    'are refused as %j',
    async (body) => {
      expect((await put(body)).json['code']).toBe('MalformedBody');
      expect(api.client.transitions).toEqual([]);
    },
  );
});
