import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lookAtNode, lookAtSpool, isLocal } from '../../src/cli/doctor/local';
import { REMEDIES, lookAtClock } from '../../src/cli/doctor/remote';
import type { Report } from '../../src/cli/doctor/findings';
import { PROBLEM_STATUS } from '../../src/api/http/problem';
import { ClientError } from '../../src/client/errors';
import { ApiServer, STATE } from '../support/api-server';
import { cli } from '../support/cli-run';
import { GROW, recordOf } from '../support/an-operation';
import { StubCoordinator } from '../support/stub-coordinator';

const SPACE = { environment: { COORDINATOR_DATA_DIR: tmpdir() } };

async function examine(url: string, key = 'key-of-admin') {
  const { code, stdout, stderr } = await cli(['doctor', '--json'], { url, key, ...SPACE });
  const report = JSON.parse(stdout) as Report;
  const at = (subject: string) => report.findings.find((each) => each.subject === subject);
  return { code, stderr, report, at };
}

describe('doctor on the real API', () => {
  let api: ApiServer;
  beforeEach(async () => {
    api = await ApiServer.start();
  });
  afterEach(() => api.close());

  it('looks at everything and ends with 0 where nothing is broken', async () => {
    const { code, stderr, report, at } = await examine(api.url);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(report).toMatchObject({ healthy: true, errors: 0 });
    for (const subject of [
      'Node',
      'API',
      'clock of the API',
      'Temporal and cluster',
      'map',
      'shard 0',
      'shard 1',
      'notices',
    ]) {
      expect(at(subject)).toMatchObject({ subject, level: 'ok', remedy: null });
    }
    expect(at('spool disk')).toBeDefined();
  });

  it('names the shard that is silent, and the one that does not tell its rows', async () => {
    await api.close();
    api = await ApiServer.start({ probeShard: (url) => Promise.resolve(url !== 'http://s1:6333') });
    api.marks.down.add('http://s0:6333');
    const { code, at } = await examine(api.url);
    expect(at('shard 0')).toMatchObject({ level: 'warning', seen: expect.stringContaining('does not tell its rows') });
    expect(at('shard 1')).toMatchObject({ level: 'error', seen: expect.stringContaining('does not answer') });
    expect(code).toBe(1);
  });

  it('ends with 1 without a Temporal, and says what to start', async () => {
    api.client.trouble = new ClientError('TemporalUnreachable', 'Temporal does not answer');
    const { code, at } = await examine(api.url);
    expect(code).toBe(1);
    expect(at('Temporal and cluster')).toMatchObject({
      level: 'error',
      remedy: expect.stringContaining('start Temporal'),
    });
  });

  it('ends with 1 and names the setting when the key is wrong', async () => {
    const { code, at, report } = await examine(api.url, 'wrong-key');
    expect(code).toBe(1);
    expect(at('map')).toMatchObject({ level: 'error', remedy: expect.stringContaining('COORDINATOR_KEY_FILE') });
    expect(JSON.stringify(report)).not.toContain('wrong-key');
  });

  it('tells notices with their remedy, and an operation that waits', async () => {
    const waiting = { reason: 'shard 1 does not answer', sinceMs: Date.now(), endsWhen: 'it answers' };
    api.client.state = {
      ...STATE,
      operations: [recordOf()],
      notices: [
        {
          key: 'a',
          code: 'ClockSkew',
          message: 'worker w is 5 s ahead',
          sinceMs: 0,
          lastSeenMs: 0,
          operationId: null,
        } as never,
      ],
    };
    api.client.queryProgress = () => Promise.resolve({ ...GROW, waiting });
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    const { code, at } = await examine(api.url);
    expect(at('notice ClockSkew')).toMatchObject({
      level: 'warning',
      remedy: expect.stringContaining('set the clock'),
    });
    expect(at('grow-k')).toMatchObject({ level: 'warning', seen: expect.stringContaining('shard 1 does not answer') });
    expect(code).toBe(0);
  });

  it('prints a table with what to do below it', async () => {
    api.marks.down.add('http://s1:6333');
    const { stdout } = await cli(['doctor'], { url: api.url, ...SPACE });
    expect(stdout).toMatch(/^ok +shard 0 +owner, 3 rows, no identity yet$/m);
    expect(stdout).toMatch(/^What to do\n[^]*warn shard 1: let its key be/m);
    expect(stdout).toMatch(/^\d+ errors, \d+ warnings$/m);
  });

  it('ends with 3, and still prints what it found here, where nothing listens', async () => {
    const { url } = api;
    await api.close();
    const { code, at } = await examine(url);
    expect(code).toBe(3);
    expect(at('API')).toMatchObject({ level: 'error', remedy: 'start it, or set COORDINATOR_URL' });
    expect(at('Node')).toMatchObject({ level: 'ok' });
    api = await ApiServer.start();
  });
});

describe('doctor on a coordinator with routers', () => {
  it('tells the router behind, the router away and the poller that nobody explains', async () => {
    const stub = await StubCoordinator.start();
    const identity = { uid: null, epoch: null };
    const address = { primary_url: 'http://s0', replica_urls: [], grpc_url: 'http://s0:1' };
    const shard = { id: 0, role: 'owner', ...address, identity, rows: 1, source: null };
    const router = { entry: 'e', lag: null, error: null };
    stub.answer('GET /healthz', 'ok');
    stub.answer('GET /readyz', 'ok');
    stub.answer('GET /cluster/shards', { version: 4, shards: [shard] });
    stub.answer('GET /cluster/health', { '0': true });
    const notice = { key: 'u', code: 'UnknownRouter', message: '10.0.0.9 polls', since: '2026-01-02T03:04:05Z' };
    stub.answer('GET /cluster/notices', { notices: [{ ...notice, last_seen: notice.since, operation_id: null }] });
    stub.answer('GET /cluster/routers', {
      entries: ['e'],
      routers: [
        { ...router, url: 'http://r0', version: 4 },
        { ...router, url: 'http://r1', version: 3 },
        { ...router, url: 'http://r2', version: null, error: 'no answer' },
      ],
      pollers: [
        { address: '10.0.0.9', key_id: 'read', last_poll: new Date().toISOString(), version: 4, explained_by: null },
      ],
    });
    const { code, at } = await examine(stub.url);
    expect(code).toBe(1);
    expect(at('router http://r0')).toMatchObject({ level: 'ok' });
    expect(at('router http://r1')).toMatchObject({ level: 'warning', seen: 'version 3, and the map has 4' });
    expect(at('router http://r2')).toMatchObject({ level: 'error', seen: 'no answer' });
    expect(at('poller 10.0.0.9')).toMatchObject({ level: 'warning', remedy: expect.stringContaining('routers add') });
    expect(at('notice UnknownRouter')).toMatchObject({ level: 'error' });
    expect(stub.asked.map(({ line }) => line)).not.toContain('GET /cluster/map');
    // What this one does not have, it does not have yet: no fault of the cluster.
    expect(at('operations')).toMatchObject({ level: 'unknown', remedy: 'upgrade it' });
    await stub.close();
  });
});

describe('a look', () => {
  it('takes a clock for skewed only when neither end of the call explains it', () => {
    const sentMs = Date.UTC(2026, 0, 2, 3, 4, 5);
    const at = (offsetMs: number) =>
      lookAtClock(new Date(sentMs + offsetMs).toUTCString(), { sentMs, nowMs: sentMs + 500 }).level;
    expect([-60_000, -4_000, -3_000, 0, 2_000, 4_000].map(at)).toEqual([
      'warning',
      'warning',
      'ok',
      'ok',
      'ok',
      'warning',
    ]);
    expect(lookAtClock(null, { sentMs, nowMs: sentMs }).level).toBe('unknown');
  });

  it('refuses a Node that is too old', () => {
    expect(['18.20.0', '20.17.9', '20.18.0', '24.1.0'].map((each) => lookAtNode(each).level)).toEqual([
      'error',
      'error',
      'ok',
      'ok',
    ]);
  });

  it('warns of a disk that has less than the ids of all rows need, on this machine only', () => {
    const look = (url: string, rows: number) => lookAtSpool(SPACE.environment, { url, rows });
    expect(look('http://127.0.0.1:6333', 1)[0]?.check).toBe('spool');
    expect(look('http://127.0.0.1:6333', Number.MAX_SAFE_INTEGER)).toMatchObject([{ level: 'warning' }]);
    expect(look('http://coordinator:6333', Number.MAX_SAFE_INTEGER)).toEqual([]);
    expect(['http://localhost:1', 'http://[::1]:1', 'http://10.0.0.1', 'http://127.example.com'].map(isLocal)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('warns of a key that others can read', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'cli-'));
    const file = join(dir, 'key');
    for (const [mode, level] of [
      [0o644, 'warning'],
      [0o600, 'ok'],
    ] as const) {
      writeFileSync(file, 'k', { mode });
      const { stdout } = await cli(['doctor', '--json', '--key-file', file], { url: 'http://127.0.0.1:1', key: null });
      const { findings } = JSON.parse(stdout) as Report;
      expect(findings.find(({ check }) => check === 'key-file')).toMatchObject({ level });
      rmSync(file);
    }
    rmSync(dir, { recursive: true });
  });

  it('has a remedy for every code that makes an API unready, and for every notice that the documents name', () => {
    const read = (page: string): string => readFileSync(join(__dirname, '../../docs', page), 'utf8');
    const reasons = /reasons of a 503 are ([^]*?)\./.exec(read('reference/rest.md'))?.[1] ?? '';
    const codes = [...reasons.matchAll(/`(\w+)`/g)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(3);
    expect(Object.keys(REMEDIES.ready)).toEqual(expect.arrayContaining(codes));
    for (const code of Object.keys(REMEDIES.ready)) expect(Object.keys(PROBLEM_STATUS)).toContain(code);
    const notices = /### Notices\n([^]*?)\n### /.exec(read('operating.md'))?.[1] ?? '';
    const told = [...notices.matchAll(/^\| `(\w+)`/gm)].map(([, code]) => code);
    expect(told.length).toBeGreaterThan(3);
    expect(Object.keys(REMEDIES.notices)).toEqual(expect.arrayContaining(told));
  });
});
