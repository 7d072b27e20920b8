/** Watching an operation: to its end, away from it, and while the API is away. */
import { ApiServer, STATE } from '../support/api-server';
import { CliRun, cli } from '../support/cli-run';
import { GROW, GROWN, recordOf } from '../support/an-operation';
import { StubCoordinator } from '../support/stub-coordinator';
import { waitFor } from '../support/wait-for';
import { viewOfProgress } from '../../src/api/views/operation';
import type { OperationProgress } from '../../src/domain/progress';

const RUNNING = 5;

describe('a watch on the real API', () => {
  let api: ApiServer;
  let progress: OperationProgress;
  beforeEach(async () => {
    api = await ApiServer.start();
    progress = GROW;
    api.client.state = { ...STATE, operations: [recordOf()] };
    api.client.queryProgress = () => Promise.resolve(progress);
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
  });
  afterEach(() => api.close());

  it('tells each news in a line of its own without a terminal, and prints the end on the standard output', async () => {
    const run = new CliRun(['op', 'watch', 'grow-k'], { url: api.url });
    await waitFor('the first line', () => run.stderr.includes('\n'));
    expect(run.stderr).toBe('grow-k copy [#####···············] 25% 10/40 rows 5/s ETA 6s\n');
    const waiting = { reason: 'shard 1 does not answer', sinceMs: Date.now(), endsWhen: 'it answers' };
    progress = { ...GROW, waiting };
    await waitFor('the wait', () => run.stderr.includes('shard 1'));
    progress = GROWN;
    expect(await run.ended).toBe(0);
    expect(run.stderr.split('\n')).toEqual([
      expect.stringMatching(/^grow-k copy/),
      expect.stringMatching(/^grow-k copy .* · waits for \d+s: shard 1 does not answer; ends when it answers$/),
      '',
    ]);
    expect(run.stdout).toMatch(/^operation +grow-k$/m);
  });

  it('draws in place on a terminal, with colours, and none of them with NO_COLOR', async () => {
    const options = { url: api.url, isTerminal: true };
    const run = new CliRun(['op', 'watch', 'grow-k'], options);
    await waitFor('two drawings', () => run.stderr.split('grow-k copy').length > 2);
    progress = GROWN;
    expect(await run.ended).toBe(0);
    expect(run.stderr).toContain('\u001b[1F\u001b[J');
    expect(run.stdout).toContain('\u001b[1m');
    const plain = await cli(['op', 'watch', 'grow-k'], { ...options, environment: { NO_COLOR: '1' } });
    expect(plain.stdout).not.toContain('\u001b');
  });

  it('ends with 1 when the operation fails or is cancelled', async () => {
    for (const status of ['failed', 'cancelled', 'refused'] as const) {
      progress = { ...GROWN, status };
      expect(await cli(['op', 'watch', 'grow-k'], { url: api.url })).toMatchObject({ code: 1 });
    }
  });

  it('is only detached by Ctrl-C: it says how to go on, ends with 5 and cancels nothing', async () => {
    let cancels = 0;
    api.client.cancelOperation = () => {
      cancels += 1;
      return Promise.resolve(GROW);
    };
    const run = new CliRun(['grow', 'http://s2:6333', '--idempotency-key', 'k', '--wait'], { url: api.url });
    await waitFor('it watches', () => run.stderr.includes('grow-k copy'));
    run.interrupt();
    expect(await run.ended).toBe(RUNNING);
    expect(run.stderr).toContain('detached: grow-k runs on. Watch it with: quiver-coordinator op watch grow-k');
    expect(run.stdout).toBe('');
    expect(cancels).toBe(0);
    expect(run.canBeInterrupted).toBe(false);
  });

  it('says that a start may have happened when Ctrl-C comes before its answer', async () => {
    api.client.startOperation = () => new Promise(() => undefined);
    const run = new CliRun(['grow', 'http://s2:6333', '--idempotency-key', 'k'], { url: api.url });
    await waitFor('it asks', () => run.canBeInterrupted);
    run.interrupt();
    expect(await run.ended).toBe(RUNNING);
    expect(run.stderr).toContain('the start of grow-k was asked for and may have happened');
  });

  it('ends with 5 when its time is over', async () => {
    const { code, stderr } = await cli(['op', 'watch', 'grow-k', '--timeout', '0.2'], { url: api.url });
    expect(code).toBe(RUNNING);
    expect(stderr).toContain('are over: grow-k runs on');
  });

  it('shows nothing of the way with --quiet', async () => {
    const run = new CliRun(['op', 'watch', 'grow-k', '--quiet', '--output', 'json'], { url: api.url });
    await waitFor('it was asked', () => run.canBeInterrupted);
    progress = GROWN;
    expect(await run.ended).toBe(0);
    expect(run.stderr).toBe('');
    expect(JSON.parse(run.stdout)).toMatchObject({ id: 'grow-k', status: 'succeeded' });
  });
});

describe('a watch on a coordinator', () => {
  let stub: StubCoordinator;
  const LINE = 'GET /cluster/operations/grow-k';
  beforeEach(async () => {
    stub = await StubCoordinator.start();
  });
  afterEach(() => stub.close());

  it('goes on when an answer is missing in between', async () => {
    const problem = {
      type: 'about:blank',
      title: 'x',
      status: 503,
      detail: 'Temporal is away',
      code: 'TemporalUnreachable',
    };
    const away = { status: 503, headers: { 'Content-Type': 'application/problem+json' }, body: problem };
    const answers = [{ body: viewOfProgress(GROW, null) }, away, { body: viewOfProgress(GROWN, null) }];
    stub.answers.set(LINE, () => answers.shift() ?? away);
    const { code, stderr } = await cli(['op', 'watch', 'grow-k'], { url: stub.url });
    expect(code).toBe(0);
    expect(stderr).toMatch(/no word of it for 0s, asking again: TemporalUnreachable/);
  });

  it('ends at once when there is no such operation', async () => {
    const { code, stderr } = await cli(['op', 'watch', 'grow-k'], { url: stub.url });
    expect(code).toBe(1);
    expect(stderr).toContain('older than this command');
    expect(stub.asked).toHaveLength(1);
  });

  it('asks a coordinator that can wait to do so, and goes on from what it knows when nothing changed', async () => {
    const waited = { ETag: '"1"', 'Preference-Applied': 'wait=5' };
    const answers = [
      { headers: waited, body: viewOfProgress(GROW, null) },
      { status: 304, headers: waited, body: '' },
      { headers: waited, body: viewOfProgress(GROWN, null) },
    ];
    stub.answers.set(LINE, () => answers.shift() ?? { body: viewOfProgress(GROWN, null) });
    const beganMs = Date.now();
    expect(await cli(['op', 'watch', 'grow-k'], { url: stub.url })).toMatchObject({ code: 0 });
    // Two pauses between three answers: with the coordinator's own waiting they are short ones.
    expect(Date.now() - beganMs).toBeLessThan(1_000);
    expect(stub.asked.map(({ headers }) => [headers['prefer'], headers['if-none-match']])).toEqual([
      [undefined, undefined],
      ['wait=5', '"1"'],
      ['wait=5', '"1"'],
    ]);
  });
});
