/**
 * `npm test`: sets up what the tests need, then checks format, lint, types and build, then runs all tests. Each check counts as a test.
 * The last line is `N passed, N failed`, with `, N skipped` when real Quiver could not be had.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateTemporalCli } from '../src/temporal/temporal-cli';
import { ToolMissingError } from '../src/temporal/tool-cache';
import { locateQuiver } from '../test/support/real-quiver';
import { build } from './build';
import { ROOT, runCommand } from './run-command';

/** Above this many at once the tests of a 2-core machine only wait for each other. */
const UNIT_WORKERS = 2;

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}
const PASSED: Count = { passed: 1, failed: 0, skipped: 0 };
const FAILED: Count = { passed: 0, failed: 1, skipped: 0 };

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
  const startedAtMs = Date.now();
  const seconds = (): string => `${((Date.now() - startedAtMs) / 1_000).toFixed(1)} s`;
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
  const dir = await mkdtemp(join(tmpdir(), 'test-result-'));
  try {
    const outputFile = join(dir, 'result.json');
    const args = ['--ci', '--passWithNoTests', `--selectProjects=${project}`, '--json', `--outputFile=${outputFile}`];
    const { isOk } = await runCommand(['jest', ...args, ...options], true);
    const result = await readResult(outputFile);
    // Jest also fails for what it counts nowhere, such as a global teardown.
    return !isOk && result.failed === 0 ? sum([result, FAILED]) : result;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function readResult(outputFile: string): Promise<Count> {
  try {
    const result = JSON.parse(await readFile(outputFile, 'utf8')) as Record<string, number>;
    const of = (name: string): number => result[name] ?? 0;
    return {
      passed: of('numPassedTests'),
      failed: of('numFailedTests') + of('numRuntimeErrorTestSuites'),
      skipped: of('numPendingTests') + of('numTodoTests'),
    };
  } catch {
    return FAILED;
  }
}

function sum(counts: readonly Count[]): Count {
  const total = (of: (count: Count) => number): number => counts.reduce((all, count) => all + of(count), 0);
  return {
    passed: total((count) => count.passed),
    failed: total((count) => count.failed),
    skipped: total((count) => count.skipped),
  };
}

process.chdir(ROOT);
main().then(
  ({ passed, failed, skipped }) => {
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    process.exitCode = failed > 0 ? 1 : 0;
  },
  (error: unknown) => {
    console.error(error);
    console.log('0 passed, 1 failed');
    process.exitCode = 1;
  },
);
