import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:net';
import { lookAtNode, isLocal } from '../../src/cli/doctor/local';
import { lookAtPorts } from '../../src/cli/doctor/ports';
import { REMEDIES, lookAtClock } from '../../src/cli/doctor/remote';
import type { Report } from '../../src/cli/doctor/findings';
import { PROBLEM_STATUS } from '../../src/api/http/problem';
import { ClientError } from '../../src/client/calls/errors';
import type { Diagnosis } from '../../src/client/diagnosis-client';
import type { SeenShard } from '../../src/domain/diagnosis';
import { ApiServer, DIAGNOSIS, STATE } from '../support/api-server';
import { cli } from '../support/cli-run';
import { GROW, recordOf } from '../support/an-operation';
import { StubCoordinator } from '../support/stub-coordinator';

async function examine(url: string, key = 'key-of-admin') {
  const { code, stdout, stderr } = await cli(['doctor', '--json'], { url, key });
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
      'version of Temporal',
      'retention of namespace default',
      'search attribute CoordinatorPhase',
      'workers',
      'clock of the API against Temporal',
      'worker',
      'Node of the worker on worker-a',
      'clock of the worker on worker-a against Temporal',
      'spool disk on worker-a',
      'shard 0 from the worker',
    ]) {
      expect(at(subject)).toMatchObject({ subject, level: 'ok', remedy: null });
    }
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
    const { stdout } = await cli(['doctor'], { url: api.url });
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

describe('doctor on what the API and a worker see', () => {
  let api: ApiServer;
  beforeEach(async () => {
    api = await ApiServer.start();
  });
  afterEach(() => api.close());

  const told = DIAGNOSIS.seen as Exclude<Diagnosis['seen'], { readonly problem: string }>;
  const [shard] = told.shards as readonly [SeenShard];

  async function withShard(change: Partial<SeenShard>) {
    api.diagnosis.found = { ...DIAGNOSIS, seen: { ...told, shards: [{ ...shard, ...change }] } };
    return examine(api.url);
  }

  it.each<[string, Partial<SeenShard>, 'error' | 'warning', string]>([
    ['shard 0 from the worker', { problem: 'no answer (ECONNREFUSED)' }, 'error', 'open the way from the worker'],
    ['key of shard 0', { key: { role: 'refused', isScoped: null, problem: '401' } }, 'error', 'SHARD_KEY'],
    ['key of shard 0', { key: { role: 'write', isScoped: false, problem: null } }, 'error', 'the role admin'],
    ['key of shard 0', { key: { role: null, isScoped: true, problem: null } }, 'error', 'take the scope off'],
    ['identity of shard 0', { identity: { seen: 'other', problem: 'it shows none' } }, 'error', 'its own volume'],
    ['gRPC of shard 0', { grpc: { url: 'http://s0:1', problem: 'no answer' } }, 'warning', 'grpc_url'],
    ['follower http://f of shard 0', { followers: [{ url: 'http://f', problem: 'behind' }] }, 'warning', 'by PATCH'],
    ['scan of shard 0', { stopMs: 60_000 }, 'warning', '--accept-stop'],
    ['clock of shard 0 against the worker', { clockSkewMs: -5_000 }, 'warning', 'synchronize'],
  ])('names the fault %s, with its remedy', async (subject, change, level, remedy) => {
    const { code, at } = await withShard(change);
    expect(at(subject)).toMatchObject({ level, remedy: expect.stringContaining(remedy) });
    expect(at('shard 0 from the worker')?.level).not.toBe('ok');
    expect(code).toBe(level === 'error' ? 1 : 0);
  });

  it('does not take what is unknown for a fault', async () => {
    const unknown = { key: { role: null, isScoped: null, problem: '503' }, identity: { seen: null, problem: '503' } };
    const { code, at } = await withShard({ ...unknown, rows: null, source: null, stopMs: null });
    expect(at('key of shard 0')).toMatchObject({ level: 'unknown', seen: '503' });
    expect(at('identity of shard 0')).toMatchObject({ level: 'unknown' });
    expect(at('rows of shard 0')).toMatchObject({ level: 'unknown' });
    expect(code).toBe(0);
  });

  it('warns of a retention, search attributes and clocks', async () => {
    const { temporal } = DIAGNOSIS;
    api.diagnosis.found = {
      ...DIAGNOSIS,
      temporal: { ...temporal, retentionMs: 3_600_000, searchAttributes: { CoordinatorCluster: false } },
      apiSkewMs: 4_000,
      seen: { ...told, workerSkewMs: -90_000 },
    };
    const { code, at } = await examine(api.url);
    expect(at('retention of namespace default')).toMatchObject({
      level: 'warning',
      seen: expect.stringContaining('1h 00m'),
      remedy: expect.stringContaining('--retention 72h'),
    });
    expect(at('search attribute CoordinatorCluster')).toMatchObject({
      level: 'warning',
      remedy: expect.stringContaining('search-attribute create'),
    });
    expect(at('clock of the API against Temporal')).toMatchObject({ level: 'warning', seen: '4s ahead' });
    expect(at('clock of the worker on worker-a against Temporal')).toMatchObject({ seen: '1m 30s behind' });
    expect(code).toBe(0);
  });

  it('ends with 1 without a worker, and says what to start', async () => {
    const temporal = { ...DIAGNOSIS.temporal, pollers: [] };
    api.diagnosis.found = { ...DIAGNOSIS, temporal, apiSkewMs: null, seen: { problem: 'no worker answered' } };
    const { code, at } = await examine(api.url);
    expect(at('workers')).toMatchObject({ level: 'error', remedy: expect.stringContaining('start a worker') });
    expect(at('worker')).toMatchObject({ level: 'error', seen: 'no worker answered' });
    expect(at('clock of the API against Temporal')).toMatchObject({ level: 'unknown' });
    expect(code).toBe(1);
  });

  it('warns of a disk that has less than the ids of all rows need, and of an old Node', async () => {
    const worker = { ...told.worker, spoolFreeBytes: 1_024, node: '18.20.0' };
    api.diagnosis.found = { ...DIAGNOSIS, seen: { ...told, worker } };
    const { code, at } = await examine(api.url);
    expect(at('spool disk on worker-a')).toMatchObject({
      level: 'warning',
      seen: expect.stringContaining('1.0 KiB free for /var/spool'),
      remedy: expect.stringContaining('COORDINATOR_SPOOL_DIR'),
    });
    expect(at('Node of the worker on worker-a')).toMatchObject({ level: 'error' });
    expect(code).toBe(1);
  });

  it('says how many shards are not listed, and how many were not asked', async () => {
    api.diagnosis.found = { ...DIAGNOSIS, seen: { ...told, shardsLeftOut: 900, shardsNotAsked: 7 } };
    const { report } = await examine(api.url);
    const more = report.findings.filter(({ subject }) => subject === 'more shards').map(({ seen }) => seen);
    expect(more).toEqual([expect.stringContaining('900'), expect.stringContaining('7 were not asked')]);
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
        { ...router, url: 'http://r3', version: 0 },
        { ...router, url: 'http://r4', version: 9 },
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
    expect(at('router http://r3')).toMatchObject({ level: 'error', seen: expect.stringContaining('serves its seeds') });
    expect(at('router http://r4')).toMatchObject({
      level: 'error',
      seen: expect.stringContaining('another coordinator'),
    });
    expect(at('poller 10.0.0.9')).toMatchObject({ level: 'warning', remedy: expect.stringContaining('routers add') });
    expect(at('notice UnknownRouter')).toMatchObject({ level: 'error' });
    expect(stub.asked.map(({ line }) => line)).not.toContain('GET /cluster/map');
    // What this one does not have, it does not have yet: no fault of the cluster.
    expect(at('operations')).toMatchObject({ level: 'unknown', remedy: 'upgrade it' });
    expect(at('what a worker sees')).toMatchObject({ level: 'unknown', remedy: 'upgrade it' });
    await stub.close();
  });
});

describe('the ports of this machine', () => {
  let other: Server;
  let held: number;
  beforeEach(async () => {
    other = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    held = (other.address() as { port: number }).port;
  });
  afterEach(() => new Promise((resolve) => other.close(resolve)));

  it('are looked at where no coordinator answers, with who needs them', async () => {
    const environment = {
      COORDINATOR_TEMPORAL_PORT: String(held),
      COORDINATOR_TEMPORAL_UI_PORT: '0',
      COORDINATOR_METRICS_ADDR: '0.0.0.0:1',
    };
    const findings = await lookAtPorts(environment, 'http://127.0.0.1:2');
    expect(findings).toMatchObject([
      { subject: 'port 2', level: 'ok', seen: 'free for the API' },
      { subject: `port ${held}`, level: 'warning', remedy: expect.stringContaining('COORDINATOR_TEMPORAL_PORT') },
      { subject: 'port 1', level: 'ok', seen: 'free for its metrics' },
    ]);
    const { stdout } = await cli(['doctor', '--json'], { url: `http://127.0.0.1:${held}`, environment });
    const report = JSON.parse(stdout) as Report;
    expect(report.findings.filter(({ check }) => check === 'port')).toContainEqual(
      expect.objectContaining({ level: 'warning', remedy: expect.stringContaining('QUIVER_REST_ADDR') }),
    );
  });

  it("are nobody's matter where Temporal, or the coordinator, runs elsewhere", async () => {
    expect(await lookAtPorts({ TEMPORAL_ADDRESS: 'temporal:7233' }, 'http://127.0.0.1:2')).toHaveLength(1);
    expect(await lookAtPorts({}, 'http://coordinator:6333')).toEqual([]);
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

  it('takes only addresses of this machine for local', () => {
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
