/** The stages that the test commands are made of. Each is counted, and says its seconds and whether it is above its bound. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateTemporalCli } from '../src/temporal/dev-server/temporal-cli';
import { ToolMissingError } from '../src/temporal/dev-server/tool-cache';
import { locateQuiver } from '../test/support/real-quiver';
import { runCommand } from './run-command';
import { countResult, FAILED, lastLine, PASSED, slowest, sum, type Count, type TestTime } from './test-count';

/** A project of jest.config.js. */
export type Tier = 'unit' | 'temporal' | 'quiver' | 'campaign';

/** Files at once. Above two the tests of a 2-core machine only wait for each other; a file on real Quiver needs the machine alone. */
const FILES_AT_ONCE: Record<Tier, number> = { unit: 2, temporal: 2, quiver: 1, campaign: 1 };
const SLOWEST_SHOWN = 10;
const TITLE_CHARS_MAX = 120;

const times: TestTime[] = [];

/** Finds the programs that the tests start, and installs what is missing. Without real Quiver its tests are skipped. */
export function tools(): Promise<Count> {
  return stage('tools', async () => {
    const report = (line: string): void => console.log(line);
    process.env['TEMPORAL_CLI'] = await locateTemporalCli({ report });
    try {
      process.env['QUIVER_BIN'] = await locateQuiver({ report });
    } catch (error) {
      if (!(error instanceof ToolMissingError)) throw error;
      console.log(`The tests against real Quiver are skipped: ${error.message}`);
    }
  });
}

/** A program of node_modules/.bin that has to succeed. */
export function command(name: string, ...words: string[]): Promise<Count> {
  return stage(name, async () => {
    const { isOk, output } = await runCommand(words);
    if (!isOk) throw new Error(output);
  });
}

export async function stage(name: string, run: () => Promise<void>): Promise<Count> {
  const seconds = stopwatch();
  try {
    await run();
    console.log(`PASS ${name} (${seconds()})`);
    return PASSED;
  } catch (error) {
    console.log(`FAIL ${name} (${seconds()})\n${error instanceof Error ? error.message : String(error)}`);
    return FAILED;
  }
}

/** Runs tiers in one jest. A suite that could not even be loaded, and a jest that left no result, count as failed. */
export async function jest(tiers: readonly Tier[], options: readonly string[] = []): Promise<Count> {
  const seconds = stopwatch();
  const dir = await mkdtemp(join(tmpdir(), 'test-result-'));
  try {
    const outputFile = join(dir, 'result.json');
    const workers = Math.min(...tiers.map((tier) => FILES_AT_ONCE[tier]));
    const args = [
      'jest',
      '--ci',
      '--json',
      `--outputFile=${outputFile}`,
      `--maxWorkers=${workers}`,
      ...options,
      '--selectProjects',
      ...tiers,
    ];
    const { isOk, wasEnded } = await runCommand(args, { isLive: true, doneFile: outputFile });
    if (wasEnded) console.log('Jest had to be ended: a test left a timer, a socket or a process open.');
    const text = await readFile(outputFile, 'utf8').catch(() => '');
    const result = countResult(text);
    times.push(...slowest(text, SLOWEST_SHOWN));
    // Jest also fails for what it counts nowhere, such as a global teardown. A title that is nowhere is no success.
    const isNothingRun = result.passed + result.failed === 0;
    const count =
      (!isOk && result.failed === 0) || (isNothingRun && options.length > 0) ? sum([result, FAILED]) : result;
    if (isNothingRun) console.log('No test ran: look at the pattern and at the title, which is a regular expression.');
    console.log(`${count.failed > 0 ? 'FAIL' : 'PASS'} ${tiers.join(', ')} (${seconds()})`);
    return count;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Runs a whole command: says its slowest tests and its seconds, warns above `boundSeconds`, and ends with the count. */
export function conclude(name: string, boundSeconds: number, run: () => Promise<readonly Count[]>): void {
  const startedAtMs = Date.now();
  run().then(
    (counts) => {
      const seconds = (Date.now() - startedAtMs) / 1_000;
      const count = sum(counts);
      tellSlowest();
      console.log(`${name} took ${seconds.toFixed(0)} s`);
      if (seconds > boundSeconds) {
        console.log(`WARN: ${name} is meant to take at most ${boundSeconds} s on a quiet machine of 2 cores`);
      }
      console.log(lastLine(count));
      process.exitCode = count.failed > 0 ? 1 : 0;
    },
    (error: unknown) => {
      console.error(error);
      console.log(lastLine(FAILED));
      process.exitCode = 1;
    },
  );
}

function tellSlowest(): void {
  const shown = [...times].sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_SHOWN);
  if (shown.length === 0) return;
  console.log('The slowest tests:');
  for (const { seconds, title } of shown) {
    console.log(`  ${seconds.toFixed(1).padStart(6)} s  ${title.slice(0, TITLE_CHARS_MAX)}`);
  }
}

function stopwatch(): () => string {
  const startedAtMs = Date.now();
  return () => `${((Date.now() - startedAtMs) / 1_000).toFixed(1)} s`;
}
