/** The verbs of pause, throttle, limits, routers and dry runs: what they send, and what they make of the answer. */
import { viewOfProgress } from '../../src/api/views/operation';
import { cli } from '../support/cli-run';
import { GROW } from '../support/an-operation';
import { StubCoordinator } from '../support/stub-coordinator';

const LIMITS = { max_bytes_per_s: null, max_rows_per_s: 500, delete_share: null, active_from: null, active_to: null };
const VIEW = viewOfProgress(GROW, null);

let stub: StubCoordinator;
beforeEach(async () => {
  stub = await StubCoordinator.start();
});
afterEach(() => stub.close());

const run = (...words: string[]) => cli(words, { url: stub.url });
const bodies = () => stub.asked.map(({ line, body }) => [line, body]);

describe('op pause, resume and throttle', () => {
  it('pause for a span, and show why and until when', async () => {
    const paused = {
      reason: 'backup',
      since: '2026-01-02T03:04:05Z',
      until: '2026-01-02T04:00:00Z',
      by: 'a',
      holds: false,
    };
    stub.answer('POST /cluster/operations/grow-k/pause', { ...VIEW, paused, limits: null });
    const beganMs = Date.now();
    const { code, stdout } = await run('op', 'pause', 'grow-k', '--reason', 'backup', '--until', '30m');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^status +pausing$/m);
    expect(stdout).toMatch(/^held up +pauses at the next safe point: backup; until 2026-01-02T04:00:00Z$/m);
    const { reason, until } = stub.asked[0]?.body as { reason: string; until: string };
    expect(reason).toBe('backup');
    expect(Date.parse(until) - beganMs).toBeGreaterThanOrEqual(30 * 60_000);
    expect(Date.parse(until) - beganMs).toBeLessThan(31 * 60_000);
  });

  it('say that a command asks, and with which key', async () => {
    stub.answer('GET /cluster/operations/grow-k', VIEW);
    expect((await run('op', 'show', 'grow-k')).code).toBe(0);
    const { 'user-agent': agent, authorization } = stub.asked[0]?.headers ?? {};
    expect({ agent, authorization }).toEqual({ agent: 'quiver-coordinator-cli', authorization: 'Bearer key-of-admin' });
  });

  it('resume without a body', async () => {
    stub.answer('POST /cluster/operations/grow-k/resume', { ...VIEW, paused: null });
    expect((await run('op', 'resume', 'grow-k')).code).toBe(0);
    expect(bodies()).toEqual([['POST /cluster/operations/grow-k/resume', undefined]]);
  });

  it('throttle by the names of REST, and take a limit off', async () => {
    const limits = { max_bytes_per_s: 1_048_576, max_rows_per_s: null, delete_share: 0.5 };
    stub.answer('PATCH /cluster/operations/grow-k', { ...VIEW, limits });
    const words = ['max_bytes_per_s=1048576', 'max_rows_per_s=none', 'delete_share=0.5'];
    const { stdout } = await run('op', 'throttle', 'grow-k', ...words);
    expect(stdout).toMatch(/^limits +1\.0 MiB\/s, deletes 0\.5 of the time$/m);
    expect(bodies()).toEqual([['PATCH /cluster/operations/grow-k', limits]]);
  });
});

describe('limits', () => {
  it('keep what is not named', async () => {
    stub.answer('GET /cluster/limits', LIMITS);
    stub.answer('PUT /cluster/limits', { ...LIMITS, active_from: '22:00', active_to: '04:00' });
    const { stdout } = await run('limits', 'set', 'active_from=22:00', 'active_to=04:00');
    expect(stdout).toBe('limits           500 rows/s\noperations work  from 22:00 to 04:00 UTC\n');
    expect(bodies()[1]).toEqual(['PUT /cluster/limits', { ...LIMITS, active_from: '22:00', active_to: '04:00' }]);
  });
});

describe('routers', () => {
  const ROUTERS = {
    entries: ['dns+http://routers:6333'],
    routers: [
      { url: 'http://10.0.0.1:6333', entry: 'dns+http://routers:6333', version: 4, lag: 0, error: null },
      { url: 'http://10.0.0.2:6333', entry: 'dns+http://routers:6333', version: null, lag: null, error: 'no answer' },
    ],
    pollers: [
      { address: '10.0.0.9', key_id: 'read', last_poll: new Date().toISOString(), version: 4, explained_by: null },
    ],
  };

  it('show each version, and the poller that nobody explains', async () => {
    stub.answer('GET /cluster/routers', ROUTERS);
    const { stdout } = await run('routers');
    expect(stdout).toMatch(/^http:\/\/10\.0\.0\.1:6333 +dns\+http:\/\/routers:6333 +4 +0 +-$/m);
    expect(stdout).toMatch(/^10\.0\.0\.9 +read +\d+s +4 +NOBODY/m);
    expect(JSON.parse((await run('routers', 'list', '--output', 'json')).stdout)).toEqual(ROUTERS);
  });

  it('add, remove and set entries', async () => {
    stub.answer('PATCH /cluster/routers', ROUTERS);
    stub.answer('PUT /cluster/routers', ROUTERS);
    await run('routers', 'add', 'http://r1:6333', 'http://r2:6333');
    await run('routers', 'remove', 'http://r1:6333', '--yes');
    await run('routers', 'set', 'http://r2:6333', '--yes');
    expect(bodies()).toEqual([
      ['PATCH /cluster/routers', { add: ['http://r1:6333', 'http://r2:6333'] }],
      ['PATCH /cluster/routers', { remove: ['http://r1:6333'] }],
      ['PUT /cluster/routers', { entries: ['http://r2:6333'] }],
    ]);
  });
});

describe('status', () => {
  it('does not read the map, because whoever does counts as a router', async () => {
    stub.answer('GET /cluster/shards', { version: 4, shards: [] });
    stub.answer('GET /cluster/health', {});
    stub.answer('GET /cluster/operations', { operations: [VIEW] });
    stub.answer('GET /cluster/notices', { notices: [] });
    expect((await run('status')).stdout).toMatch(/^map version +4$/m);
    expect(stub.asked.map(({ line }) => line)).not.toContain('GET /cluster/map');
  });
});

describe('a dry run', () => {
  const PLAN = {
    dry_run: true,
    kind: 'drain',
    would: 'start',
    refusal: null,
    steps: [{ phase: 'copy', does: 'copies 40 rows' }],
    shards: [
      {
        shard_id: 1,
        role: 'donor',
        source: 'follower',
        rows: 100,
        bytes: 2_048,
        rows_to_move: 40,
        bytes_to_move: 1_024,
        scans: 2,
        stop_ms: 0,
      },
    ],
    rows_to_move: 40,
    bytes_to_move: 1_024,
    duration_s: { least: 60, most: 150, basis: 'the last grow' },
    noticed_by: ['no search'],
  };

  it('shows shards, steps and a range of time, and asks nobody', async () => {
    stub.answer('GET /cluster/limits', LIMITS);
    stub.answer('POST /cluster/shards/1/drain?dry_run=true', PLAN);
    const { code, stdout } = await run('drain', '1', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^time +1m 00s to 2m 30s \(the last grow\)$/m);
    expect(stdout).toMatch(/^1 +donor +follower +100 +40 +1\.0 KiB +2 +0 ms$/m);
    expect(stdout).toMatch(/^copy +copies 40 rows$/m);
  });

  it('ends with 4 when the start would be refused', async () => {
    stub.answer('GET /cluster/limits', LIMITS);
    const refusal = { code: 'LastShard', detail: 'it is the last one' };
    const line = 'POST /cluster/operations/grow-k/cancel?dry_run=true';
    stub.answer(line, { ...PLAN, would: 'refuse', refusal, steps: [], shards: [] });
    const { code, stdout } = await run('op', 'cancel', 'grow-k', '--dry-run');
    expect(code).toBe(4);
    expect(stdout).toMatch(/^would +be refused: LastShard: it is the last one$/m);
  });

  it('does not start anything where dry runs are not known', async () => {
    const { code, stderr } = await run('grow', 'http://s2:6333', '--dry-run');
    expect(code).toBe(1);
    expect(stderr).toContain('it knows no dry run and would start the operation');
    expect(stub.asked.map(({ line }) => line)).toEqual(['GET /cluster/limits']);
  });
});
