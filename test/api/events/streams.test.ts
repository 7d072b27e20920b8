/** Server-sent events through the listening app. */
import { connect } from 'node:net';
import { Listener } from '../../../src/api/http/listener';
import { EventStream } from '../../../src/api/events/stream';
import { unknownOperation } from '../../../src/client/calls/calls';
import { ClientError } from '../../../src/client/calls/errors';
import { recordNotices } from '../../../src/domain/notices';
import type { OperationProgress } from '../../../src/domain/progress';
import { operationViewSchema } from '../../../src/wire/coordinator-api';
import { progressOf, recordOf } from '../../support/an-operation';
import { ApiServer, KEYS, STATE } from '../../support/api-server';
import { EventReader } from '../../support/event-reader';
import { waitFor } from '../../support/wait-for';

const OPERATION = '/cluster/operations/grow-k/events';

let api: ApiServer;
let progress: OperationProgress;
let queries: number;
const readers: EventReader[] = [];

function prepare(server: ApiServer): void {
  server.client.state = { ...STATE, operations: [recordOf()] };
  server.client.queryProgress = (id) => {
    queries += 1;
    return id === 'grow-k' ? Promise.resolve(progress) : Promise.reject(unknownOperation(id));
  };
  server.client.describeOperation = (id) =>
    id === 'grow-k'
      ? Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null })
      : Promise.reject(unknownOperation(id));
}
beforeEach(async () => {
  progress = progressOf();
  queries = 0;
  api = await ApiServer.start();
  prepare(api);
});
afterEach(async () => {
  for (const reader of readers.splice(0)) reader.close();
  await api.close();
});

async function open(path: string, options: { key?: string | null; lastId?: string } = {}): Promise<EventReader> {
  const reader = await EventReader.open(`${api.url}${path}`, { key: KEYS.read, ...options });
  readers.push(reader);
  return reader;
}
const end = (): void => {
  progress = progressOf({ status: 'succeeded', endedAtMs: progress.startedAtMs + 1_000 });
};

describe('GET /cluster/operations/{id}/events', () => {
  it('begins with the operation as it is, tells each change, and ends with done', async () => {
    const reader = await open(OPERATION);
    expect([reader.status, reader.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const first = operationViewSchema.parse(await reader.next('operation'));
    expect(first).toEqual((await api.call('/cluster/operations/grow-k')).json);
    progress = progressOf({ pointsDone: 20 });
    await reader.next('operation', (data) => data['points_done'] === 20);
    end();
    const done = operationViewSchema.parse(await reader.next('done'));
    await reader.ended();
    expect(done.status).toBe('succeeded');
    expect(reader.seen.map(({ event, data }) => [event, data['points_done'], data['status']])).toEqual([
      ['operation', 10, 'running'],
      ['operation', 20, 'running'],
      ['operation', 10, 'succeeded'],
      ['done', 10, 'succeeded'],
    ]);
    const ids = reader.seen.map(({ id }) => Number(id));
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  });

  it('asks for all readers at once', async () => {
    const one = await open(OPERATION);
    await one.next('operation');
    const before = queries;
    await new Promise((resolve) => setTimeout(resolve, 300));
    const alone = queries - before;
    const others = await Promise.all(Array.from({ length: 20 }, () => open(OPERATION)));
    const joined = queries;
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Each of 21 readers with looks of its own would have asked 21 times as often.
    expect(queries - joined).toBeLessThan(3 * alone);
    for (const other of others) expect(other.seen).toHaveLength(1);
  });

  it('goes on after the id of the last event, and leaves nothing out', async () => {
    const first = await open(OPERATION);
    await first.next('operation');
    first.close();
    const meanwhile = await open(OPERATION);
    for (const pointsDone of [20, 30]) {
      progress = progressOf({ pointsDone });
      await meanwhile.next('operation', (data) => data['points_done'] === pointsDone);
    }
    const again = await open(OPERATION, { lastId: first.lastId });
    await again.next('operation', (data) => data['points_done'] === 30);
    expect(again.of('operation').map((data) => data['points_done'])).toEqual([20, 30]);
  });

  it.each(['12', '9007199254740993', 'x', ''])(
    'begins with the present state for the unknown id "%s"',
    async (lastId) => {
      progress = progressOf({ pointsDone: 30 });
      const reader = await open(OPERATION, { lastId });
      expect((await reader.next('operation'))['points_done']).toBe(30);
    },
  );

  it('is 204 for who has seen its end, so that a browser does not connect for ever', async () => {
    const reader = await open(OPERATION);
    end();
    await reader.ended();
    expect((await open(OPERATION, { lastId: reader.lastId })).status).toBe(204);
    const late = await open(OPERATION);
    await late.ended();
    expect(late.seen.map(({ event }) => event)).toEqual(['operation', 'done']);
  });

  it('is a problem, and no stream, for an operation that is not there, or cannot be looked at', async () => {
    for (const id of ['grow-none', 'shrink-a']) {
      const { status, json } = await api.call(`/cluster/operations/${id}/events`);
      expect([status, json['code']]).toEqual([404, 'UnknownOperation']);
    }
    api.client.queryProgress = () => Promise.reject(new ClientError('TemporalUnreachable', 'no answer'));
    api.client.trouble = new ClientError('TemporalUnreachable', 'no answer');
    expect((await api.call(OPERATION)).json['code']).toBe('TemporalUnreachable');
  });
});

describe('GET /cluster/events', () => {
  it('begins with map, notices and operations as they are, and tells what changes', async () => {
    const reader = await open('/cluster/events');
    await reader.next('operation');
    expect(reader.seen.map(({ event }) => event)).toEqual(['map', 'notices', 'operation']);
    expect([reader.of('map'), reader.of('notices')]).toEqual([[{ version: 1 }], [{ notices: [] }]]);
    const notice = { key: 'ClockSkew.w', code: 'ClockSkew', message: 'set it', operationId: null } as const;
    api.client.state = { ...recordNotices(api.client.state, [notice], 0), map: { ...STATE.map, version: 2 } };
    await reader.next('map', (data) => data['version'] === 2);
    const told = await reader.next('notices', (data) => (data['notices'] as unknown[]).length === 1);
    expect(told).toEqual((await api.call('/cluster/notices')).json);
    expect(reader.of('map')).toHaveLength(2);
  });

  it('tells the end of an operation, and of the next one from its start', async () => {
    const reader = await open('/cluster/events');
    await reader.next('operation');
    end();
    api.client.state = { ...api.client.state, operations: [recordOf({ end: 'succeeded', endedAtMs: 1 })] };
    await reader.next('operation', (data) => data['status'] === 'succeeded');
    const next = progressOf({ operationId: 'drain-n', kind: 'drain' });
    api.client.queryProgress = () => Promise.resolve(next);
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    const records = [recordOf({ operationId: 'drain-n', kind: 'drain' }), ...api.client.state.operations];
    api.client.state = { ...api.client.state, operations: records };
    await reader.next('operation', (data) => data['id'] === 'drain-n');
    expect(reader.of('done')).toEqual([]);
    // Who comes now is told of the newest one alone.
    const late = await open('/cluster/events');
    await late.next('operation', (data) => data['id'] === 'drain-n');
    expect(late.of('operation').map(({ id }) => id)).toEqual(['drain-n']);
  });

  it('tells the end of an operation that another one has followed, also when its workflow tells it late', async () => {
    const next = progressOf({ operationId: 'check-n', kind: 'check' });
    const check = recordOf({ operationId: 'check-n', kind: 'check' });
    api.client.queryProgress = (id) => Promise.resolve(id === 'grow-k' ? progress : next);
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    api.client.state = { ...STATE, operations: [check, recordOf()] };
    const reader = await open('/cluster/events');
    await reader.next('operation', ({ id }) => id === 'grow-k');
    const records = [check, recordOf({ end: 'succeeded', endedAtMs: 1 })];
    api.client.state = { ...STATE, operations: records, map: { ...STATE.map, version: 2 } };
    await reader.next('map', ({ version }) => version === 2);
    end();
    await reader.next('operation', ({ id, status }) => id === 'grow-k' && status === 'succeeded', 5_000);
  });

  it('tells a change that this API makes at once', async () => {
    const slow = await ApiServer.start({}, { pauseMs: 60_000 });
    try {
      const reader = await EventReader.open(`${slow.url}/cluster/events`, { key: KEYS.read });
      readers.push(reader);
      await reader.next('map');
      slow.client.applyTransition = () => {
        slow.client.state = { ...STATE, map: { ...STATE.map, version: 2 } };
        const { map, lock, identity, epoch } = slow.client.state;
        return Promise.resolve({ map, lock, identity, epoch });
      };
      await slow.call('/cluster/shards/1', { method: 'DELETE' });
      await reader.next('map', (data) => data['version'] === 2, 5_000);
    } finally {
      await slow.close();
    }
  });
});

describe('both streams', () => {
  it.each(['/cluster/events', OPERATION])('%s needs a key with the role read', async (path) => {
    expect((await api.call(path, { key: null })).status).toBe(401);
    expect((await open(path)).status).toBe(200);
    expect((await api.call(path, { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD');
    const head = await api.call(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type'), head.text]).toEqual([200, 'text/event-stream', '']);
  });

  it('refuse more subscribers than the bound with 503, and take one when another has gone', async () => {
    const small = await ApiServer.start({}, { seatsMax: 1 });
    try {
      const first = await EventReader.open(`${small.url}/cluster/events`, { key: KEYS.read });
      const { status, json, headers } = await small.call('/cluster/events');
      expect([status, json['code'], headers.get('retry-after')]).toEqual([503, 'TooManySubscribers', '2']);
      first.close();
      await waitFor('the seat is free', async () => {
        const next = await EventReader.open(`${small.url}/cluster/events`, { key: KEYS.read });
        next.close();
        return next.status === 200;
      });
    } finally {
      await small.close();
    }
  });

  it('end at once when the listener closes, and so do waits', async () => {
    const listener = await Listener.listen({ host: '127.0.0.1', port: 0 }, api.listener);
    const headers = { Authorization: `Bearer ${KEYS.read}`, Prefer: 'wait=60' };
    const reader = await EventReader.open(`${listener.url}${OPERATION}`, { key: KEYS.read });
    const wait = fetch(`${listener.url}/cluster/operations/grow-k`, { headers });
    await reader.next('operation');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const beganMs = performance.now();
    await listener.close(
      20_000,
      () => undefined,
      () => api.events.close(),
    );
    expect(performance.now() - beganMs).toBeLessThan(2_000);
    expect((await wait).status).toBe(200);
    await reader.ended();
  });
});

describe('an event stream', () => {
  const told = {
    id: 1,
    topic: 'a',
    event: 'operation',
    data: '',
    etag: '',
    bytes: Buffer.alloc(64 * 1024, 'x'),
  } as const;

  /** Streams to a client of its own; `read` false: it takes nothing off its socket. */
  async function streamTo(options: { read: boolean; keepAliveMs?: number; isKnown?: () => boolean }) {
    const { read, keepAliveMs = 60_000, isKnown = () => true } = options;
    let ends = 0;
    const started = new Promise<EventStream>((resolve) => {
      const begin: Parameters<typeof Listener.listen>[1] = (_request, response) => {
        const confirmKey = (): void => {
          if (!isKnown()) throw new Error('unknown');
        };
        resolve(new EventStream(response, { confirmKey, keepAliveMs, onEnd: () => (ends += 1) }));
      };
      void Listener.listen({ host: '127.0.0.1', port: 0 }, begin).then((listener) => {
        const socket = connect(Number(new URL(listener.url).port), '127.0.0.1');
        if (read) socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        else socket.pause();
        socket.on('error', () => undefined);
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        cleanUp.push(async () => {
          socket.destroy();
          await listener.close(0, () => undefined);
        });
      });
    });
    let text = '';
    return { stream: await started, ends: () => ends, text: () => text };
  }
  const cleanUp: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const clean of cleanUp.splice(0)) await clean();
  });

  it('cuts a reader that does not read, after a bounded number of bytes', async () => {
    const { stream, ends } = await streamTo({ read: false });
    let sent = 0;
    while (ends() === 0 && sent < 1_000) {
      stream.take(told);
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(ends()).toBe(1);
    expect(sent).toBeLessThan(1_000);
  });

  it('sends comments that keep the connection, and ends when the key is no longer one', async () => {
    let isKnown = true;
    const { ends, text } = await streamTo({ read: true, keepAliveMs: 20, isKnown: () => isKnown });
    await waitFor('two comments', () => text().split(': keep-alive\n\n').length > 2);
    isKnown = false;
    await waitFor('the stream ends', () => ends() === 1);
  });
});
