import { connect, type Socket } from 'node:net';
import { Authenticator } from '../../../src/api/http/auth';
import { FailedKeys } from '../../../src/api/http/failed-keys';
import { Listener, type ListenerLimits } from '../../../src/api/http/listener';
import { ApiServer, KEYS } from '../../support/api-server';
import { keyDigest } from '../../../src/config';
import { REQUEST_BODY_BYTES_MAX } from '../../../src/domain/limits';

describe('the listener', () => {
  let listener: Listener;
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await listener.close(100, () => undefined);
  });

  async function listen(limits: ListenerLimits): Promise<void> {
    listener = await Listener.listen(
      { host: '127.0.0.1', port: 0 },
      (request, response) => void request.resume().on('end', () => response.end('ok')),
      limits,
    );
  }

  /** Sends a text, and resolves with all that comes until the connection is closed. */
  function send(text: string): Promise<string> {
    const socket = connect(Number(new URL(listener.url).port), '127.0.0.1');
    sockets.push(socket);
    return new Promise((resolve) => {
      let answer = '';
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.on('error', () => resolve(answer));
      socket.on('close', () => resolve(answer));
      socket.write(text);
    });
  }

  it('closes a connection whose headers do not come in time', async () => {
    await listen({ headersTimeoutMs: 150, checkIntervalMs: 30 });
    expect(await send('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('closes a connection whose body does not come in time', async () => {
    await listen({ headersTimeoutMs: 100, requestTimeoutMs: 150, checkIntervalMs: 30 });
    const text = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc';
    expect(await send(text)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('refuses headers of more than 16 KiB', async () => {
    await listen({});
    const text = `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(17 * 1024)}\r\n\r\n`;
    expect(await send(text)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('closes connections beyond its limit, and takes new ones when others have ended', async () => {
    await listen({ connectionsMax: 2 });
    const url = listener.url;
    const idle = [0, 1].map(() => connect(Number(new URL(url).port), '127.0.0.1'));
    sockets.push(...idle);
    await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    expect(await send(request)).toBe('');
    await Promise.all(
      idle.map((socket) => {
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.end();
        return closed;
      }),
    );
    expect(await send(request)).toContain('200 OK');
  });
});

describe('a body', () => {
  let api: ApiServer;
  afterEach(() => api.close());

  it('that is larger than the limit is refused, in one piece and in chunks', async () => {
    api = await ApiServer.start();
    const body = JSON.stringify({ primary_url: `http://s2/${'x'.repeat(REQUEST_BODY_BYTES_MAX)}` });
    expect(await api.call('/cluster/shards', { method: 'POST', body })).toMatchObject({ status: 413 });
    const chunked = await fetch(`${api.url}/cluster/shards`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.admin}`, 'content-type': 'application/json' },
      body: new Blob([body]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(413);
    expect(api.client.transitions).toEqual([]);
  });
});

describe('wrong keys', () => {
  let api: ApiServer;
  let nowMs = 0;
  const keyOf = (role: 'read' | 'admin') => ({ id: role, role, digest: keyDigest(KEYS[role]) });
  beforeEach(async () => {
    nowMs = 0;
    const failed = new FailedKeys(3, () => nowMs);
    api = await ApiServer.start({ authenticator: new Authenticator([keyOf('read'), keyOf('admin')], null, failed) });
  });
  afterEach(() => api.close());

  const map = (key: string | null) => api.call('/cluster/shards', { key });

  it('are answered with 429 and Retry-After beyond the limit, also on the map route', async () => {
    for (let n = 1; n <= 3; n++) expect((await map(`wrong-${n}`)).status).toBe(401);
    for (const path of ['/cluster/shards', '/cluster/map']) {
      const { status, json, headers } = await api.call(path, { key: 'wrong' });
      expect({ status, code: json['code'] }).toEqual({ status: 429, code: 'TooManyFailedKeys' });
      expect(headers.get('retry-after')).toBe('20');
    }
    nowMs += 20_000;
    expect((await map('wrong')).status).toBe(401);
    expect((await map('wrong')).status).toBe(429);
  });

  it('do not keep out a key that was right from the same address before', async () => {
    expect((await map(KEYS.admin)).status).toBe(200);
    for (let n = 1; n <= 5; n++) await map('wrong');
    expect((await map(KEYS.admin)).status).toBe(200);
  });

  it('waste a right guess that comes beyond the limit', async () => {
    for (let n = 1; n <= 3; n++) await map('wrong');
    expect((await map(KEYS.admin)).status).toBe(429);
    nowMs += 20_000;
    expect((await map(KEYS.admin)).status).toBe(200);
  });

  it('are not counted where no key was sent', async () => {
    for (let n = 1; n <= 10; n++) expect((await map(null)).status).toBe(401);
  });

  it('are counted by address, and by network over IPv6', () => {
    const failed = new FailedKeys(1, () => 0);
    failed.noteWrong('10.0.0.1');
    failed.noteWrong('2001:db8::1');
    expect(failed.retryAfterS('::ffff:10.0.0.1')).toBe(60);
    expect(failed.retryAfterS('10.0.0.2')).toBeNull();
    expect(failed.retryAfterS('2001:db8::ffff:2')).toBe(60);
    expect(failed.retryAfterS('2001:db8:0:1::1')).toBeNull();
  });

  it('are not limited where the limit is 0', () => {
    const failed = new FailedKeys(0, () => 0);
    failed.noteWrong('10.0.0.1');
    expect(failed.retryAfterS('10.0.0.1')).toBeNull();
  });
});
