import { loadSimulator } from './load';
import { MUTANTS } from './mutants';

/** Each of these mutants must be caught by one of these seeds, all of which the product passes. */
const SEEDS = 200;
const MINUTES_MAX = 10;

describe('the simulator catches', () => {
  it.each(MUTANTS.filter(({ elsewhere }) => elsewhere === undefined))(
    '$name',
    async (mutant) => {
      const { runSeed } = loadSimulator([mutant]);
      let caught: string | null = null;
      for (let seed = 1; seed <= Number(process.env['SIMULATOR_SEEDS'] ?? SEEDS) && caught === null; seed++) {
        const { faults } = await runSeed(seed);
        if (faults.length > 0) caught = `seed ${seed}: ${faults[0]?.slice(0, 120)}`;
      }
      process.stdout.write(`| ${mutant.name} | ${caught ?? 'NOT CAUGHT'} |\n`);
      expect(caught).not.toBeNull();
    },
    MINUTES_MAX * 60_000,
  );
});
