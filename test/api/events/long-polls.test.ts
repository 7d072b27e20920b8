/** `Prefer: wait=N` through the listening app. */
import { preferredWaitS } from '../../../src/api/events/long-poll';
import { ClientError } from '../../../src/client/calls/errors';
import type { OperationProgress } from '../../../src/domain/progress';
import { progressOf, recordOf } from '../../support/an-operation';
import { ApiServer, KEYS, STATE } from '../../support/api-server';
import { EventReader } from '../../support/event-reader';

const PATH = '/cluster/operations/grow-k';

let api: ApiServer;
let progress: OperationProgress;
beforeEach(async () => {
  progress = progressOf();
  api = await ApiServer.start();
  api.client.state = { ...STATE, operations: [recordOf()] };
  api.client.queryProgress = () => Promise.resolve(progress);
  api.client.describeOperation = () =>
    Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
});
afterEach(() => api.close());

async function ask(path: string, headers: Record<string, string>) {
  const beganMs = performance.now();
  const { status, headers: answered, json, text } = await api.call(path, { headers });
  const applied = answered.get('preference-applied');
  return { status, applied, etag: answered.get('etag') ?? '', json, text, tookMs: performance.now() - beganMs };
}
const later = (change: () => void): void => void setTimeout(change, 100);
const newMap = (version: number): void => {
  api.client.state = { ...api.client.state, map: { ...STATE.map, version } };
};

describe('the wish to wait', () => {
  it.each([
    ['wait=5', 5],
    ['respond-async, WAIT = 7; foo', 7],
    ['wait="8"', 8],
    ['wait=3600', 60],
    ['wait=0', null],
    ['wait=-1', null],
    ['wait=1.5', null],
    ['wait', null],
    ['respond-async', null],
    ['', null],
  ])('"%s" is %s seconds', (prefer, seconds) => {
    expect(preferredWaitS({ headers: { prefer } })).toBe(seconds);
  });
});

describe('GET /cluster/operations/{id}', () => {
  it('has an ETag, and is 304 for who holds what it would answer', async () => {
    const { etag } = await ask(PATH, {});
    expect(await ask(PATH, { 'If-None-Match': etag })).toMatchObject({ status: 304, text: '', etag, applied: null });
    progress = progressOf({ pointsDone: 20 });
    expect(await ask(PATH, { 'If-None-Match': etag })).toMatchObject({ status: 200, json: { points_done: 20 } });
  });

  it('with Prefer: wait answers when the operation changes, with the change', async () => {
    const { etag } = await ask(PATH, {});
    for (const headers of [{ Prefer: 'wait=30', 'If-None-Match': etag }, { Prefer: 'wait=30' }]) {
      progress = progressOf();
      later(() => (progress = progressOf({ pointsDone: 20 })));
      const answer = await ask(PATH, headers);
      expect(answer).toMatchObject({ status: 200, applied: 'wait=30', json: { points_done: 20 } });
      expect(answer.tookMs).toBeGreaterThanOrEqual(90);
    }
  });

  it('with Prefer: wait answers at once who holds another state, and everybody after the end', async () => {
    const stale = { Prefer: 'wait=30', 'If-None-Match': '"another"' };
    expect(await ask(PATH, stale)).toMatchObject({ status: 200, applied: 'wait=30', json: { points_done: 10 } });
    progress = progressOf({ status: 'cancelled', endedAtMs: 1 });
    expect(await ask(PATH, { Prefer: 'wait=30' })).toMatchObject({ status: 200, json: { status: 'cancelled' } });
  });

  it('with Prefer: wait is 304 after the time when nothing changed', async () => {
    const { etag } = await ask(PATH, {});
    const answer = await ask(PATH, { Prefer: 'wait=1', 'If-None-Match': etag });
    expect(answer).toMatchObject({ status: 304, applied: 'wait=1', etag });
    expect(answer.tookMs).toBeGreaterThanOrEqual(990);
  });

  it('with Prefer: wait never shows less than what the caller has seen', async () => {
    await ask(PATH, { Prefer: 'wait=1' });
    progress = progressOf({ pointsDone: 30 });
    const { etag } = await ask(PATH, {});
    const answer = await ask(PATH, { Prefer: 'wait=1', 'If-None-Match': etag });
    expect(answer.status).toBe(304);
  });

  it('with Prefer: wait is a problem when the operation cannot be looked at', async () => {
    api.client.queryProgress = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    expect(await ask(PATH, { Prefer: 'wait=30' })).toMatchObject({ status: 503, applied: null });
  });

  it.each([PATH, '/cluster/map'])('with Prefer: wait answers at once where no seat is free: %s', async (path) => {
    const full = await ApiServer.start({}, { seatsMax: 1 });
    let reader: EventReader | null = null;
    try {
      full.client.state = api.client.state;
      full.client.queryProgress = api.client.queryProgress;
      full.client.describeOperation = api.client.describeOperation;
      const etag = (await full.call(path)).headers.get('etag') ?? '';
      reader = await EventReader.open(`${full.url}/cluster/events`, { key: KEYS.read });
      const { status, headers } = await full.call(path, { headers: { Prefer: 'wait=30', 'If-None-Match': etag } });
      expect([status, headers.get('preference-applied')]).toEqual([304, null]);
    } finally {
      reader?.close();
      await full.close();
    }
  });

  it('with Prefer: wait gives its seat back', async () => {
    const small = await ApiServer.start({}, { seatsMax: 1 });
    try {
      small.client.queryProgress = api.client.queryProgress;
      small.client.describeOperation = api.client.describeOperation;
      const headers = { Prefer: 'wait=30', 'If-None-Match': '"another"' };
      for (let n = 0; n < 3; n++) expect((await small.call(PATH, { headers })).status).toBe(200);
    } finally {
      await small.close();
    }
  });
});

describe('GET /cluster/map', () => {
  it('with Prefer: wait answers when the map is another one than the caller holds', async () => {
    const { etag } = await ask('/cluster/map', {});
    later(() => newMap(2));
    const answer = await ask('/cluster/map', { Prefer: 'wait=30', 'If-None-Match': etag });
    expect(answer).toMatchObject({ status: 200, applied: 'wait=30', json: { version: 2 } });
    expect(answer.tookMs).toBeGreaterThanOrEqual(90);
    const next = { Prefer: 'wait=30', 'If-None-Match': etag };
    expect((await ask('/cluster/map', next)).tookMs).toBeLessThan(5_000);
  });

  it('with Prefer: wait is 304 after the time when it did not change', async () => {
    const { etag } = await ask('/cluster/map', {});
    const answer = await ask('/cluster/map', { Prefer: 'wait=1', 'If-None-Match': etag });
    expect(answer).toMatchObject({ status: 304, applied: 'wait=1', etag });
    expect(answer.tookMs).toBeGreaterThanOrEqual(990);
  });

  it('with Prefer answers at once who holds no map, or has another wish', async () => {
    for (const headers of [{ Prefer: 'wait=30' }, { Prefer: 'respond-async', 'If-None-Match': '"1"' }]) {
      expect(await ask('/cluster/map', headers)).toMatchObject({ status: 200, applied: null, json: { version: 1 } });
    }
  });

  it('with Prefer: wait waits on while Temporal is away, and is then the last known map', async () => {
    const { etag } = await ask('/cluster/map', {});
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    const answer = await ask('/cluster/map', { Prefer: 'wait=1', 'If-None-Match': etag });
    expect(answer).toMatchObject({ status: 304, applied: 'wait=1' });
    expect(answer.tookMs).toBeGreaterThanOrEqual(990);
  });

  it('with Prefer needs a key', async () => {
    const headers = { Prefer: 'wait=30', 'If-None-Match': '"1"' };
    expect((await api.call('/cluster/map', { key: null, headers })).status).toBe(401);
  });
});
