import { pino } from 'pino';
import { RefusedError } from '../../../src/client/calls/errors';
import { ApiServer, KEYS } from '../../support/api-server';
import { waitFor } from '../../support/wait-for';

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

const SHARD = { primary_url: 'http://s2:6333' };

interface AuditLine {
  readonly audit?: boolean;
  readonly who: string | null;
  readonly requestId: string;
}

const audited = (): AuditLine[] =>
  api.logged.map((line) => JSON.parse(line) as AuditLine).filter(({ audit }) => audit === true);

const auditOf = (requestId: string): Promise<AuditLine> =>
  waitFor(`the audit line of ${requestId}`, () => audited().find((line) => line.requestId === requestId));

describe('a request', () => {
  it('gets an id of its own in the answer', async () => {
    const ids = await Promise.all([1, 2].map(async () => (await api.call('/healthz')).headers.get('x-request-id')));
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[1]).not.toBe(ids[0]);
  });

  it.each([
    ['a sane id', 'trace.7_a-B', true],
    ['an id with other characters', 'a b', false],
    ['an id that is too long', 'a'.repeat(65), false],
    ['an empty id', '', false],
  ])('that brings %s keeps it: %s (%s)', async (_what, given, isKept) => {
    const { headers } = await api.call('/cluster/operations', { headers: { 'X-Request-Id': given } });
    expect(headers.get('x-request-id') === given).toBe(isKept);
    expect(headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
  });

  it('that fails is found in the log by the id that the caller has', async () => {
    api.client.trouble = new Error('unforeseen');
    const { headers, status } = await api.call('/cluster/shards', { headers: { 'X-Request-Id': 'mine' } });
    expect([status, headers.get('x-request-id')]).toEqual([500, 'mine']);
    expect(
      api.logged.filter((line) => line.includes('unforeseen') && line.includes('"requestId":"mine"')),
    ).toHaveLength(1);
  });
});

describe('a change', () => {
  const change = (path: string, method: string, id: string, more: object = {}) =>
    api.call(path, { method, headers: { 'X-Request-Id': id, 'Idempotency-Key': 'k' }, ...more });

  it('leaves one line: who, what, which operation, what was answered', async () => {
    await change('/cluster/shards/grow', 'POST', 'a', { body: SHARD });
    expect(await auditOf('a')).toMatchObject({
      msg: 'change asked for',
      who: 'admin',
      method: 'POST',
      route: '/cluster/shards/grow',
      operationId: 'grow-k',
      status: 200,
      durationMs: expect.any(Number) as number,
    });
    expect(audited()).toHaveLength(1);
  });

  it('of an operation names it, and no other path is quoted', async () => {
    await change('/cluster/operations/grow-x/cancel', 'POST', 'a');
    await change('/cluster/notices/any-notice', 'DELETE', 'b');
    const route = '/cluster/operations/{id}/cancel';
    expect(await auditOf('a')).toMatchObject({ route, operationId: 'grow-x', status: 404 });
    expect(await auditOf('b')).toMatchObject({ route: '/cluster/notices/{key}', operationId: null, status: 200 });
    expect(JSON.stringify(audited())).not.toContain('any-notice');
  });

  it('that is refused leaves one too: with the key, when its role is too low, and without, when it is wrong', async () => {
    await change('/cluster/shards/1', 'DELETE', 'low', { key: KEYS.read });
    await change('/cluster/shards/1', 'DELETE', 'wrong', { key: 'no-such-key' });
    api.client.applyTransition = () => Promise.reject(new RefusedError({ type: 'LastShard', message: 'the last one' }));
    await change('/cluster/shards/1', 'DELETE', 'last');
    expect(await auditOf('low')).toMatchObject({ who: 'read', status: 403, route: '/cluster/shards/{id}' });
    expect(await auditOf('wrong')).toMatchObject({ who: null, status: 401, route: '/cluster/shards/{id}' });
    expect(await auditOf('last')).toMatchObject({ who: 'admin', status: 400 });
    expect(api.logged.join('')).not.toContain('no-such-key');
  });

  it('that nobody waits for has no status', async () => {
    let answer: (error: Error) => void = () => undefined;
    api.client.startOperation = () => new Promise((_resolve, reject) => (answer = reject));
    const gone = new AbortController();
    const call = fetch(`${api.url}/cluster/shards/grow`, {
      method: 'POST',
      signal: gone.signal,
      headers: {
        Authorization: `Bearer ${KEYS.admin}`,
        'Content-Type': 'application/json',
        'X-Request-Id': 'gone',
      },
      body: JSON.stringify(SHARD),
    }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    gone.abort();
    await call;
    expect(await auditOf('gone')).toMatchObject({ status: 0, route: '/cluster/shards/grow' });
    answer(new Error('late'));
  });

  it('is told apart from a read, which leaves no line', async () => {
    await api.call('/cluster/operations');
    await api.call('/cluster/map', { method: 'HEAD' });
    await change('/cluster/shards/1', 'DELETE', 'a');
    await auditOf('a');
    expect(audited()).toHaveLength(1);
  });

  it.each([
    ['warn', 1],
    ['silent', 0],
  ])('is told at the log level %s: %s', async (level, lines) => {
    const logged: string[] = [];
    const quiet = await ApiServer.start({
      logger: pino({ level }, { write: (line: string) => void logged.push(line) }),
    });
    await quiet.call('/cluster/shards/1', { method: 'DELETE' });
    await quiet.close();
    expect(logged.filter((line) => line.includes('"audit":true'))).toHaveLength(lines);
  });
});
