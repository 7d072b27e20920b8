import { request } from 'undici';
import { pino } from 'pino';
import { Authenticator } from '../../../src/api/http/auth';
import { Listener } from '../../../src/api/http/listener';
import { MetricsPage, type MetricsPageOptions } from '../../../src/api/metrics/page';
import { metricsListener } from '../../../src/api/metrics/serve';
import { keyDigest } from '../../../src/config';

const KEY = 'key-of-read';
let listener: Listener;
const logged: string[] = [];
afterEach(() => listener.close(0, () => undefined));

async function listen(options: Partial<MetricsPageOptions> = {}): Promise<void> {
  listener = await Listener.listen(
    { host: '127.0.0.1', port: 0 },
    metricsListener({
      metrics: new MetricsPage({ cluster: 'c', role: 'worker', ...options }),
      authenticator: new Authenticator([{ id: 'prometheus', role: 'read', digest: keyDigest(KEY) }]),
      logger: pino({ level: 'error' }, { write: (line: string) => void logged.push(line) }),
    }),
  );
}

async function call(
  path: string,
  { method = 'GET', key = KEY }: { method?: 'GET' | 'HEAD' | 'POST'; key?: string | null } = {},
) {
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  const answer = await request(`${listener.url}${path}`, { method, headers });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
}

describe('a listener for the page alone', () => {
  it('shows what a process without an API knows, behind the same keys', async () => {
    await listen({ readCore: () => Promise.resolve('temporal_num_pollers 4\n') });
    const { status, text } = await call('/metrics?any=1');
    expect(status).toBe(200);
    expect(text).toMatch(/^coordinator_info\{cluster="c",role="worker"\} 1$/m);
    expect(text).toMatch(/^temporal_num_pollers 4\n$/m);
    expect(text).not.toContain('coordinator_map_version');
    expect((await call('/metrics', { key: null })).status).toBe(401);
    expect((await call('/metrics', { key: 'other' })).status).toBe(401);
  });

  it('needs no key when it is open', async () => {
    await listen({ isOpen: true });
    expect((await call('/metrics', { key: null })).status).toBe(200);
  });

  it('answers HEAD with the headers alone', async () => {
    await listen();
    const { status, text, headers } = await call('/metrics', { method: 'HEAD' });
    expect([status, text, Number(headers['content-length']) > 0]).toEqual([200, '', true]);
  });

  it('has no other path and no other method', async () => {
    await listen();
    expect((await call('/cluster/map')).status).toBe(404);
    const { status, headers } = await call('/metrics', { method: 'POST' });
    expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
  });

  it('is 500 without details, and logged, when the page fails for an unforeseen reason', async () => {
    await listen({ readCore: () => Promise.reject(new Error('inner words')) });
    const { status, text } = await call('/metrics');
    expect(status).toBe(500);
    expect(text).not.toContain('inner words');
    expect(logged.join('')).toContain('inner words');
  });
});
