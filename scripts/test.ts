/**
 * `npm test`: every tier but the campaign. The last line is `N passed, N failed[, N skipped]`.
 *
 *     npm test                     check, build, and the tests on Temporal and on real Quiver
 *     npm test -- grow -t cancel   files and titles, as jest takes them; with --all also of the campaign
 *     npm test -- --all            all of that, and the whole campaign
 *     npm test -- --ci             the same with a part of the rows, and a part of the campaign; a fresh seed chooses both
 */
import { randomInt } from 'node:crypto';
import { parseArguments } from './arguments';
import { build } from './build';
import { campaign, sampleOfCi, sampleTables } from './campaign';
import { check } from './check';
import { ROOT } from './run-command';
import { conclude, jest, stage, tools, type Tier } from './stages';
import type { Count } from './test-count';

const BOUND_SECONDS = 720;
const CI_BOUND_SECONDS = 1_500;
const ALL_BOUND_SECONDS = 3_300;

/** Of the harness over the rows, which takes ten minutes in all. */
const CI_SHARE_OF_ROWS = '0.25';

process.chdir(ROOT);
const { flags, jest: options } = parseArguments(process.argv.slice(2), ['all', 'ci']);

async function test(): Promise<readonly Count[]> {
  return [
    ...(await check()),
    await tools(),
    await stage('build', build),
    await jest(['temporal']),
    await jest(['quiver']),
  ];
}

async function testOfCi(): Promise<readonly Count[]> {
  const seed = String(randomInt(1_000_000));
  sampleTables(seed, CI_SHARE_OF_ROWS);
  console.log(`The rows are chosen by: CAMPAIGN_SEED=${seed} CAMPAIGN_SHARE=${CI_SHARE_OF_ROWS} npm test`);
  return [...(await test()), await sampleOfCi(seed)];
}

if (options.length > 0) {
  const tiers: Tier[] = ['unit', 'temporal', 'quiver'];
  if (flags.has('all')) tiers.push('campaign');
  conclude('test', BOUND_SECONDS, async () => {
    if (flags.has('ci')) throw new Error('--ci runs everything that CI does: leave the pattern out, or --ci');
    return [await tools(), await stage('build', build), await jest(tiers, options)];
  });
} else if (flags.has('ci')) {
  conclude('test --ci', CI_BOUND_SECONDS, testOfCi);
} else if (flags.has('all')) {
  conclude('test --all', ALL_BOUND_SECONDS, async () => [...(await test()), await campaign(null, [])]);
} else {
  conclude('test', BOUND_SECONDS, test);
}
