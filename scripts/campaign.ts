/**
 * `npm run campaign`: every fault in every phase, a soak, and other versions of Node, on real Quiver.
 *
 *     npm run campaign -- --seed 7              a part of each table, chosen by the seed
 *     npm run campaign -- --seed 7 --share 0.2  how large a part (default 0.25)
 *     npm run campaign -- --shard 1/3           the first third of the files
 *     npm run campaign -- cancelled -t copy     files and titles, as jest takes them
 */
import { createHash } from 'node:crypto';
import { parseArguments } from './arguments';
import { build } from './build';
import { ROOT } from './run-command';
import { conclude, jest, stage, tools } from './stages';
import type { Count } from './test-count';

const BOUND_SECONDS = 2_400;
const SHARE = '0.25';
/** What a sample leaves out, because it has no rows to choose from and takes long. */
const NOT_SAMPLED = ['soak', 'node-versions', 'package', 'production'];
/** Of the sample that CI runs, in so many files: it has 25 minutes in all. */
const CI_SHARE = '0.12';
const CI_FILES = 1;
const SAMPLED_FILES = ['cancelled', 'parts-killed', 'router-restarts', 'shard-faults', 'terminated', 'worker-killed'];

/** From here on jest runs so large a part of each table; test/support/sample.ts chooses it. */
export function sampleTables(seed: string, share: string): void {
  process.env['CAMPAIGN_SEED'] = seed;
  process.env['CAMPAIGN_SHARE'] = share;
}

/** All of it, or the part that `seed` chooses. Tools and build come before it. */
export async function campaign(
  sampled: { seed: string; share: string; files?: readonly string[] } | null,
  options: readonly string[],
): Promise<Count> {
  if (sampled === null) {
    const count = await jest(['campaign'], options);
    if (count.failed > 0) console.log("Repeat one by: npm run campaign -- <its file> -t '<words of its title>'");
    return count;
  }
  const { seed, share, files = [] } = sampled;
  sampleTables(seed, share);
  const repeat = ['npm run campaign -- --seed', seed, '--share', share, ...files].join(' ');
  console.log(`The campaign's sample is repeated by: ${repeat}`);
  const count = await jest(
    ['campaign'],
    [...options, ...NOT_SAMPLED.map((name) => `--testPathIgnorePatterns=test/campaign/${name}`)],
  );
  if (count.failed > 0) console.log(`Repeat one by: ${repeat} <its file> -t '<words of its title>'`);
  return count;
}

/** It is fast, and finds what no other test can, so every run of CI has fresh seeds of it. */
const SIMULATOR = 'simulator/simulator';
const CI_SIMULATOR_SEEDS = 200;

/** A part of a few files, chosen by a seed. */
export function sampleOfCi(seed: string): Promise<Count> {
  const files = [...chooseFiles(seed), SIMULATOR];
  process.env['SIMULATOR_SEEDS'] ??= String(CI_SIMULATOR_SEEDS);
  return campaign(
    { seed, share: CI_SHARE, files },
    files.map((file) => `--testPathPatterns=test/campaign/${file}`),
  );
}

export function chooseFiles(seed: string): readonly string[] {
  const rank = (file: string): string => createHash('sha256').update(`${seed}/${file}`).digest('hex');
  return [...SAMPLED_FILES].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, CI_FILES);
}

if (require.main === module) {
  process.chdir(ROOT);
  const { values, jest: options } = parseArguments(process.argv.slice(2), ['seed=', 'share=', 'shard=']);
  const { seed, share = SHARE, shard } = values;
  const sampled = seed === undefined ? null : { seed, share };
  const ofShard = shard === undefined ? [] : [`--shard=${shard}`];
  conclude('campaign', BOUND_SECONDS, async () => [
    await tools(),
    await stage('build', build),
    await campaign(sampled, [...ofShard, ...options]),
  ]);
}
