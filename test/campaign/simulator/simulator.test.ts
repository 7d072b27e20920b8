/**
 * Runs of whole operations in virtual time, each decided by its seed.
 *
 *     SIMULATOR_SEED=7 SIMULATOR_SEEDS=1 npm run campaign -- simulator/simulator     one run, with its trace
 *     SIMULATOR_SEEDS=5000 npm run campaign -- simulator/simulator                   more of them
 */
import { randomInt } from 'node:crypto';
import { KNOWN_SEEDS } from './known-seeds';
import { loadSimulator } from './load';
import type { RunResult } from './run';

const { SIMULATOR_SEED, SIMULATOR_SEEDS, CAMPAIGN_SEED, CAMPAIGN_SHARE } = process.env;
/** A sample of the campaign, as CI takes it, runs fewer. */
const SEEDS = Number(SIMULATOR_SEEDS ?? (CAMPAIGN_SHARE === undefined ? 1_000 : 200));
const FIRST = Number(
  SIMULATOR_SEED ?? (CAMPAIGN_SEED === undefined ? randomInt(1_000_000) : Number(CAMPAIGN_SEED) * 1_000),
);
const MINUTES_MAX = 20;
const TRACE_LINES = 60;

describe('the simulator', () => {
  const { runSeed } = loadSimulator();

  it(
    'finds nothing in fresh seeds',
    async () => {
      say(`seeds ${FIRST} to ${FIRST + SEEDS - 1}`);
      const began = performance.now();
      const bad: number[] = [];
      let excused = 0;
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
        const result = await runSeed(seed, { isTraced: SEEDS === 1 });
        excused += result.excused.length;
        if (result.faults.length > 0) {
          bad.push(seed);
          say(await described(seed));
        } else if (SEEDS === 1) say(wordsOf(result));
      }
      const seconds = (performance.now() - began) / 1_000;
      say(`${SEEDS} seeds in ${seconds.toFixed(0)} s, ${(SEEDS / seconds).toFixed(1)} a second; ${excused} remainders`);
      expect(bad).toEqual([]);
    },
    MINUTES_MAX * 60_000,
  );

  it.each(KNOWN_SEEDS)('finds nothing in seed $seed any more: $what', async ({ seed }) => {
    const { faults } = await runSeed(seed);
    expect(faults).toEqual([]);
  });

  it('repeats a run by its seed', async () => {
    const runs = [await runSeed(11), await runSeed(11)];
    const facts = runs.map(({ events, virtualMs, acknowledged, ends }) => ({ events, virtualMs, acknowledged, ends }));
    expect(facts[0]).toEqual(facts[1]);
  });

  /** Once more, with a trace. */
  async function described(seed: number): Promise<string> {
    return wordsOf(await runSeed(seed, { isTraced: true }));
  }
});

function wordsOf({ seed, scenario, ends, faults, excused, trace }: RunResult): string {
  const lines = SEEDS === 1 ? trace : trace.slice(-TRACE_LINES);
  return [
    `seed ${seed}, repeat it by: SIMULATOR_SEED=${seed} SIMULATOR_SEEDS=1 npm run campaign -- simulator/simulator`,
    JSON.stringify(scenario),
    ...lines.map((line) => line.slice(0, 400)),
    ...ends,
    ...faults.map((fault) => `FAULT ${fault}`),
    ...excused.map((each) => `remainder: ${each}`),
  ].join('\n');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
