/**
 * `npm test`: sets up what the tests need, then checks format, lint, types and build, then runs all tests. Each check counts as a test.
 * The last line is `N passed, N failed`, with `, N skipped` when real Quiver could not be had.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateTemporalCli } from '../src/temporal/dev-server/temporal-cli';
import { ToolMissingError } from '../src/temporal/dev-server/tool-cache';
import { locateQuiver } from '../test/support/real-quiver';
import { build } from './build';
import { ROOT, runCommand } from './run-command';
import { countResult, FAILED, lastLine, PASSED, sum, type Count } from './test-count';

/** Above this many at once the tests of a 2-core machine only wait for each other. */
const UNIT_WORKERS = 2;

async function main(): Promise<Count> {
  const tools = await check('tools', setUpTools);
  const checks = await Promise.all([
    check('format', () => command('prettier', '--check', '--log-level=warn', '.')).then(async (format) =>
      sum([format, await check('lint', () => command('eslint', '--max-warnings=0', '.'))]),
    ),
    check('types', () => command('tsc', '--noEmit')).then(async (types) => sum([types, await check('build', build)])),
  ]);
  const unit = await jest('unit', `--maxWorkers=${UNIT_WORKERS}`);
  const e2e = await jest('e2e', '--runInBand');
  return sum([tools, ...checks, unit, e2e]);
}

async function setUpTools(): Promise<void> {
  const report = (line: string): void => console.log(line);
  process.env['TEMPORAL_CLI'] = await locateTemporalCli({ report });
  try {
    process.env['QUIVER_BIN'] = await locateQuiver({ report });
  } catch (error) {
    if (!(error instanceof ToolMissingError)) throw error;
    console.log(`The tests against real Quiver are skipped: ${error.message}`);
  }
}

async function command(...words: string[]): Promise<void> {
  const { isOk, output } = await runCommand(words);
  if (!isOk) throw new Error(output);
}

async function check(name: string, run: () => Promise<void>): Promise<Count> {
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

/** Runs one jest project. A suite that could not even be loaded, and a jest that left no result, count as failed. */
async function jest(project: string, ...options: string[]): Promise<Count> {
  const seconds = stopwatch();
  const dir = await mkdtemp(join(tmpdir(), 'test-result-'));
  try {
    const outputFile = join(dir, 'result.json');
    const args = ['--ci', '--passWithNoTests', `--selectProjects=${project}`, '--json', `--outputFile=${outputFile}`];
    const { isOk } = await runCommand(['jest', ...args, ...options], true);
    const result = countResult(await readFile(outputFile, 'utf8').catch(() => ''));
    // Jest also fails for what it counts nowhere, such as a global teardown.
    const count = !isOk && result.failed === 0 ? sum([result, FAILED]) : result;
    console.log(`${count.failed > 0 ? 'FAIL' : 'PASS'} ${project} (${seconds()})`);
    return count;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function stopwatch(): () => string {
  const startedAtMs = Date.now();
  return () => `${((Date.now() - startedAtMs) / 1_000).toFixed(1)} s`;
}

process.chdir(ROOT);
const seconds = stopwatch();
main().then(
  (count) => {
    console.log(`All stages took ${seconds()}`);
    console.log(lastLine(count));
    process.exitCode = count.failed > 0 ? 1 : 0;
  },
  (error: unknown) => {
    console.error(error);
    console.log(lastLine(FAILED));
    process.exitCode = 1;
  },
);
