/** A person grows a real cluster by the command line, and looks at it before and afterwards. */
import { spawn } from 'node:child_process';
import { operationViewSchema } from '../../src/wire/coordinator-api';
import { ClusterUnderTest } from '../support/cluster-under-test';
import { MAIN } from '../support/coordinator-process';
import { expectGrown, expectNothingWrong } from '../support/expectations';
import { describeWithQuiver } from '../support/real-quiver';

const KEY = 'e2e-key';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function command(url: string, words: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...words], {
    env: { PATH: process.env['PATH'] ?? '', COORDINATOR_URL: url, COORDINATOR_KEY: KEY },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

describeWithQuiver('the command line on a cluster that is written to', () => {
  let cluster: ClusterUnderTest;
  beforeAll(async () => {
    cluster = await ClusterUnderTest.start({ temporal: null });
  });
  afterAll(() => cluster.dispose());

  test('grows it with --wait, tells its phases, and finds nothing broken afterwards', async () => {
    const run = (...words: string[]) => command(cluster.api.url, words);
    const grown = await run('grow', cluster.joiner.url, '--wait', '--output', 'json', '--idempotency-key', 'cli');
    expect(grown).toMatchObject({ code: 0 });
    expect(operationViewSchema.parse(JSON.parse(grown.stdout))).toMatchObject({ id: 'grow-cli', status: 'succeeded' });
    // A short phase may end between two looks.
    const phases = new Set([...grown.stderr.matchAll(/^grow-cli (\S+)/gm)].map(([, phase]) => phase));
    expect([...phases].length).toBeGreaterThanOrEqual(3);
    expect(grown.stderr).toMatch(/^grow-cli \S+ \[[#·]{20}\] \d+% /m);
    // The same key starts nothing, and its end is known already.
    expect(await run('grow', cluster.joiner.url, '--wait', '--idempotency-key', 'cli')).toMatchObject({ code: 0 });
    const doctor = await run('doctor', '--json');
    expect(JSON.parse(doctor.stdout)).toMatchObject({ healthy: true, errors: 0 });
    expect((await run('shards')).stdout).toContain(cluster.joiner.url);
    expectNothingWrong(await cluster.verify());
    await expectGrown(cluster);
  });
});
