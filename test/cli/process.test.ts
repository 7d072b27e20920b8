/** The program as a process of its own: which stream has what, how it ends, and what a signal does. */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ApiServer, KEYS, STATE } from '../support/api-server';
import { GROW, recordOf } from '../support/an-operation';
import { waitFor } from '../support/wait-for';

const ROOT = join(__dirname, '../..');
const TSX = pathToFileURL(join(dirname(require.resolve('tsx/package.json')), 'dist', 'loader.mjs')).href;
const START_TIMEOUT_MS = 60_000;

let api: ApiServer;
beforeEach(async () => {
  api = await ApiServer.start();
});
afterEach(() => api.close());

function start(words: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', TSX, join(ROOT, 'src/main.ts'), ...words], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'] ?? '', COORDINATOR_URL: api.url, COORDINATOR_KEY: KEYS.admin, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const run = { child, stdout: '', stderr: '', ended: Promise.resolve<number | null>(null) };
  child.stdout.on('data', (chunk: Buffer) => (run.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (run.stderr += chunk.toString()));
  run.ended = new Promise((resolve) => child.once('close', resolve));
  return run;
}

describe('the process', () => {
  it('has results on the standard output, without colours, and nothing else there', async () => {
    const run = start(['map', '--output', 'json'], { FORCE_COLOR: '1' });
    expect(await run.ended).toBe(0);
    expect(JSON.parse(run.stdout)).toMatchObject({ version: 1 });
    expect(run.stderr).toBe('');
    const table = start(['map']);
    expect(await table.ended).toBe(0);
    expect(table.stdout).toMatch(/^version 1\n/);
    expect(table.stdout).not.toContain('\u001b');
  });

  it('ends with the code of what went wrong, and says it on the standard error', async () => {
    const ends = async (words: readonly string[], environment = {}) => {
      const run = start(words, environment);
      return { code: await run.ended, stdout: run.stdout, isTold: run.stderr !== '' };
    };
    const told = (code: number) => ({ code, stdout: '', isTold: true });
    expect(
      await Promise.all([
        ends([]),
        ends(['serv']),
        ends(['serve', 'now']),
        ends(['map'], { COORDINATOR_KEY: 'wrong' }),
        ends(['map'], { COORDINATOR_URL: 'http://127.0.0.1:2' }),
        ends(['drain', '1']),
      ]),
    ).toEqual([told(2), told(2), told(2), told(1), told(3), told(2)]);
  });

  it('is detached from its operation by SIGINT, and cancels nothing', async () => {
    api.client.state = { ...STATE, operations: [recordOf()] };
    api.client.queryProgress = () => Promise.resolve(GROW);
    api.client.describeOperation = () =>
      Promise.resolve({ isRunning: true, temporalStatus: 'RUNNING', failingTask: null });
    let cancels = 0;
    api.client.cancelOperation = () => {
      cancels += 1;
      return Promise.resolve(GROW);
    };
    const run = start(['op', 'watch', 'grow-k']);
    await waitFor('it watches', () => run.stderr.includes('grow-k copy'), START_TIMEOUT_MS);
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(5);
    expect(run.stderr).toContain('grow-k runs on. Watch it with: quiver-coordinator op watch grow-k');
    expect(run.stdout).toBe('');
    expect(cancels).toBe(0);
  });

  it('ends quietly when its reader is gone', async () => {
    const run = start(['op', 'list']);
    run.child.stdout.destroy();
    await run.ended;
    expect(run.stderr).not.toMatch(/EPIPE|at /);
  });
});
