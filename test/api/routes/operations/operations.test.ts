import { OperationReader } from '../../../../src/api/operation-reader';
import { unknownOperation } from '../../../../src/client/calls/calls';
import { ClientError, RefusedError } from '../../../../src/client/calls/errors';
import type { OperationProgress } from '../../../../src/domain/progress';
import { operationListSchema, operationViewSchema } from '../../../../src/wire/coordinator-api';
import { progressOf, recordOf, STARTED_MS } from '../../../support/an-operation';
import { ApiServer, KEYS, STATE } from '../../../support/api-server';

const PROGRESS = progressOf({
  waiting: { reason: 'shard 1 does not answer', sinceMs: STARTED_MS + 2_000, endsWhen: 'it answers' },
  failedAttempts: 3,
});
const RECORD = recordOf();
const ENDED_MS = STARTED_MS + 4_000;
const ENDED = recordOf({
  operationId: 'grow-old',
  endedAtMs: ENDED_MS,
  end: 'cancelled',
  message: 'cancelled: on request',
});
const ENDED_PROGRESS = progressOf({
  operationId: 'grow-old',
  status: 'cancelled',
  failedAttempts: 3,
  endedAtMs: ENDED_MS,
});

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
  api.client.state = { ...STATE, operations: [RECORD, ENDED] };
  api.client.queryProgress = () => Promise.resolve(PROGRESS);
  api.client.describeOperation = () =>
    Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
});
afterEach(() => api.close());

const show = async (path = '/cluster/operations/grow-k') => operationViewSchema.parse((await api.call(path)).json);
const list = async () => operationListSchema.parse((await api.call('/cluster/operations')).json).operations;

describe('GET /cluster/operations/{id}', () => {
  it('shows what the operation tells, times in RFC 3339, with a link to the Web UI', async () => {
    expect(await show()).toEqual({
      id: 'grow-k',
      kind: 'grow',
      status: 'running',
      sources: [],
      sources_left_out: 0,
      shard_ids: [2],
      phase: 'copy',
      points_done: 10,
      points_expected: 40,
      bytes_done: 1_000,
      bytes_expected: 4_000,
      rate_points_per_s: 5,
      eta_s: 6,
      waiting: { reason: 'shard 1 does not answer', since: '2026-01-02T03:04:07.000Z', ends_when: 'it answers' },
      paused: null,
      limits: { max_bytes_per_s: null, max_rows_per_s: null, delete_share: null },
      slowed: [],
      attempts: 3,
      cancel_requested: false,
      point_of_no_return_passed: false,
      next: 'compare',
      started_at: '2026-01-02T03:04:05.000Z',
      updated_at: '2026-01-02T03:04:07.000Z',
      ended_at: null,
      outcome: null,
      findings: null,
      phases: [
        {
          phase: 'prepare',
          started_at: '2026-01-02T03:04:05.000Z',
          ended_at: '2026-01-02T03:04:06.000Z',
          note: '2 collections',
        },
        { phase: 'copy', started_at: '2026-01-02T03:04:06.000Z', ended_at: null, note: '' },
      ],
      web_ui_url: 'http://ui/namespaces/default/workflows/grow%2Ftest%2Fk',
    });
  });

  it('shows what came of one that has ended', async () => {
    const outcome = {
      message: 'shard 2 joined',
      pointsMoved: 40,
      droppedByDonor: { '0': 15, '1': 25 },
      pointsKept: 2,
      attention: [{ what: 'points kept', points: 2, mendedBy: 'POST /cluster/repair' }],
      durationMs: 4_500,
    };
    const endedAtMs = STARTED_MS + 4_500;
    api.client.queryProgress = () => Promise.resolve({ ...PROGRESS, status: 'succeeded', endedAtMs, outcome });
    expect(await show()).toMatchObject({
      status: 'succeeded',
      ended_at: '2026-01-02T03:04:09.500Z',
      outcome: {
        message: 'shard 2 joined',
        points_moved: 40,
        dropped_by_donor: { '0': 15, '1': 25 },
        points_kept: 2,
        attention: [{ what: 'points kept', points: 2, mended_by: 'POST /cluster/repair' }],
        duration_s: 4.5,
      },
    });
  });

  it('shows one that was refused as failed', async () => {
    api.client.queryProgress = () => Promise.resolve({ ...PROGRESS, status: 'refused' });
    expect((await show()).status).toBe('failed');
  });

  it('shows one that was ended from outside as failed, although its workflow still says that it runs', async () => {
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: false, temporalStatus: 'TERMINATED', failingTask: null });
    const view = await show();
    expect(view).toMatchObject({ status: 'failed', waiting: null, eta_s: null });
    expect(view.outcome?.message).toMatch(/TERMINATED.*copy/);
  });

  it('shows how long one that was ended from outside took, and what it moved, once the record has its end', async () => {
    api.client.state = { ...STATE, operations: [{ ...ENDED, pointsMoved: 7 }] };
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: false, temporalStatus: 'TERMINATED', failingTask: null });
    expect(await show('/cluster/operations/grow-old')).toMatchObject({
      status: 'failed',
      ended_at: '2026-01-02T03:04:09.000Z',
      outcome: { message: 'in phase copy: cancelled: on request', points_moved: 7, duration_s: 4 },
    });
  });

  it.each([
    ['when its workflow cannot be asked', new ClientError('TemporalUnreachable', 'no answer')],
    ['when its workflow is deleted', unknownOperation('grow-old')],
  ])("falls back to the cluster's record %s", async (_when, trouble) => {
    api.client.queryProgress = () => Promise.reject(trouble);
    expect(await show('/cluster/operations/grow-old')).toMatchObject({
      id: 'grow-old',
      status: 'cancelled',
      phase: null,
      ended_at: '2026-01-02T03:04:09.000Z',
      outcome: { message: 'cancelled: on request', duration_s: 4 },
    });
  });

  it('is the trouble itself when neither the workflow nor the record can be read', async () => {
    api.client.queryProgress = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    expect((await api.call('/cluster/operations/grow-k')).status).toBe(503);
  });
});

describe('GET /cluster/operations', () => {
  it('lists the newest first, each as its own workflow tells it, with phases and times', async () => {
    api.client.queryProgress = (id) => Promise.resolve(id === 'grow-old' ? ENDED_PROGRESS : PROGRESS);
    const [running, ended] = await list();
    expect(running).toMatchObject({ id: 'grow-k', status: 'running', phase: 'copy', points_done: 10 });
    expect(ended).toMatchObject({
      id: 'grow-old',
      status: 'cancelled',
      attempts: 3,
      phases: [{ phase: 'prepare' }, { phase: 'copy' }],
      updated_at: '2026-01-02T03:04:07.000Z',
      ended_at: '2026-01-02T03:04:09.000Z',
    });
  });

  it('tells of a running one why it does not answer, when Temporal knows', async () => {
    api.client.queryProgress = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    api.client.describeOperation = () =>
      Promise.resolve({
        isRunning: true,
        temporalStatus: 'RUNNING',
        failingTask: {
          workflowId: 'grow/test/k',
          failures: 7,
          sinceMs: Date.UTC(2026, 0, 2),
          reason: 'it has failed',
          endsWhen: 'a build can go on',
        },
      });
    const [running] = await list();
    expect(running).toMatchObject({
      id: 'grow-k',
      status: 'running',
      waiting: { since: '2026-01-02T00:00:00.000Z', reason: 'it has failed', ends_when: 'a build can go on' },
    });
    const { json } = await api.call('/cluster/operations/grow-k');
    expect(json['waiting']).toEqual(running!['waiting']);
  });

  it('shows an ended one that was terminated as failed, with the phases that it had', async () => {
    api.client.describeOperation = (id) =>
      Promise.resolve({
        isRunning: id === 'grow-k',
        temporalStatus: id === 'grow-k' ? 'RUNNING' : 'TERMINATED',
        failingTask: null,
      });
    expect((await list())[1]).toMatchObject({
      status: 'failed',
      phase: 'copy',
      outcome: { message: 'in phase copy: cancelled: on request' },
    });
  });

  it('shows the record of one whose workflow does not know its end yet', async () => {
    expect((await list())[1]).toMatchObject({ id: 'grow-old', status: 'cancelled', phase: null });
  });

  describe('with a hundred ended operations', () => {
    const RECORDS = Array.from({ length: 100 }, (_, n) => ({ ...ENDED, operationId: `grow-${n}` }));
    let nowMs: number;
    let reader: OperationReader;
    beforeEach(() => {
      api.client.state = { ...STATE, operations: RECORDS };
      nowMs = 0;
      reader = new OperationReader({ client: api.client, cluster: 'c', namespace: 'n', webUiUrl: null }, () => nowMs);
    });

    it('asks the newest twenty, few at once, and each one only once', async () => {
      let [asking, most, asked] = [0, 0, 0];
      api.client.queryProgress = async (id) => {
        asked += 1;
        most = Math.max(most, ++asking);
        await new Promise((resolve) => setImmediate(resolve));
        asking -= 1;
        return { ...ENDED_PROGRESS, operationId: id };
      };
      const views = await list();
      expect(views.map(({ id, phases }) => [id, phases.length])).toEqual(
        RECORDS.map((each, n) => [each.operationId, n < 20 ? 2 : 0]),
      );
      expect(await list()).toEqual(views);
      expect([asked, most <= 4]).toEqual([20, true]);
    });

    it('gives each a short deadline, and shows the records of those that do not answer', async () => {
      const deadlines: (number | undefined)[] = [];
      api.client.queryProgress = (_id, timeoutMs) => {
        deadlines.push(timeoutMs);
        return Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
      };
      expect((await list()).every(({ phase, status }) => phase === null && status === 'cancelled')).toBe(true);
      expect(Math.max(...deadlines.map((each) => each ?? Infinity))).toBeLessThanOrEqual(500);
    });

    it('asks no more of them once its time is up', async () => {
      let asked = 0;
      const slow = async (): Promise<OperationProgress> => {
        asked += 1;
        nowMs += 500;
        return ENDED_PROGRESS;
      };
      api.client.queryProgress = slow;
      const { operations } = await reader.listOperations();
      expect(operations).toHaveLength(100);
      expect(asked).toBeLessThanOrEqual(8);
    });

    it('does not ask again for a workflow that Temporal has deleted', async () => {
      let asked = 0;
      api.client.queryProgress = (id) => {
        asked += 1;
        return Promise.reject(unknownOperation(id));
      };
      await reader.listOperations();
      nowMs = Number.MAX_SAFE_INTEGER;
      await reader.listOperations();
      expect(asked).toBe(20);
    });

    it('leaves one alone for five minutes that did not answer, so that its view stays the same', async () => {
      let asked = 0;
      const fail = (): Promise<never> => {
        asked += 1;
        return Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
      };
      const answer = (): Promise<OperationProgress> => {
        asked += 1;
        return Promise.resolve(ENDED_PROGRESS);
      };
      api.client.queryProgress = fail;
      const before = await reader.listOperations();
      api.client.queryProgress = answer;
      nowMs = 299_999;
      expect(await reader.listOperations()).toEqual(before);
      expect(asked).toBe(20);
      nowMs = 300_000;
      expect((await reader.listOperations()).operations[0]).toMatchObject({ phase: 'copy' });
      expect(asked).toBe(40);
    });

    it('asks a running one at every call, whether it answered or not', async () => {
      api.client.state = { ...STATE, operations: [RECORD, ...RECORDS] };
      const trouble = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
      api.client.queryProgress = trouble;
      expect((await reader.listOperations()).operations[0]).toMatchObject({ status: 'running', phase: null });
      api.client.queryProgress = (id) => (id === 'grow-k' ? Promise.resolve(PROGRESS) : trouble());
      expect((await reader.listOperations()).operations[0]).toMatchObject({ status: 'running', phase: 'copy' });
    });
  });

  it('shows the record of the running one when it cannot be asked', async () => {
    api.client.queryProgress = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    expect((await list())[0]).toMatchObject({ id: 'grow-k', status: 'running', phase: null });
  });

  it('has no links when the Web UI is not known', async () => {
    const bare = await ApiServer.start({ webUiUrl: null });
    bare.client.state = { ...STATE, operations: [ENDED] };
    const { json } = await bare.call('/cluster/operations');
    expect(operationListSchema.parse(json).operations[0]!.web_ui_url).toBeNull();
    await bare.close();
  });
});

describe('POST /cluster/operations/{id}/cancel', () => {
  it('asks for the undo, names the key that asked, and answers with the operation', async () => {
    let asked: unknown;
    api.client.cancelOperation = (operationId, reason) => {
      asked = { operationId, reason };
      return Promise.resolve({ ...PROGRESS, cancelRequested: true });
    };
    const { status, json } = await api.call('/cluster/operations/grow-k/cancel', { method: 'POST' });
    expect([status, json['cancel_requested']]).toEqual([200, true]);
    expect(asked).toEqual({ operationId: 'grow-k', reason: 'cancelled over REST by admin' });
    expect(JSON.stringify(asked)).not.toContain(KEYS.admin);
  });

  it('is 409 with the reason after the flip', async () => {
    api.client.cancelOperation = () =>
      Promise.reject(new RefusedError({ type: 'PointOfNoReturnPassed', message: 'it has flipped' }));
    const { status, json } = await api.call('/cluster/operations/grow-k/cancel', { method: 'POST' });
    expect([status, json['code'], json['detail']]).toEqual([409, 'PointOfNoReturnPassed', 'it has flipped']);
  });
});
