import { loadSimulator } from './load';

const { SIM_SEED, SIM_TRACE, SIM_SEEDS } = process.env;

describe('the simulator', () => {
  it('runs', async () => {
    const { runSeed } = loadSimulator();
    const first = Number(SIM_SEED ?? 1);
    const began = performance.now();
    let bad = 0;
    for (let seed = first; seed < first + Number(SIM_SEEDS ?? 1); seed++) {
      const at = performance.now();
      const result = await runSeed(seed, { isTraced: SIM_TRACE !== undefined });
      const { faults, excused, ends, events, virtualMs, acknowledged } = result;
      if (faults.length > 0) bad += 1;
      if (SIM_TRACE !== undefined || faults.length > 0) {
        process.stdout.write(`seed ${seed} ${Math.round(performance.now() - at)} ms, ${events} events, ${virtualMs} virtual, ${acknowledged} acked\n  ${ends.join('\n  ')}\n  FAULTS ${faults.slice(0, 6).join('\n    ')}\n  excused ${excused.join("\n    ").slice(0, 1500)}\n`);
      }
      if (SIM_TRACE !== undefined) process.stdout.write(`${JSON.stringify(result.scenario)}\n${result.trace.join('\n')}\n`);
    }
    process.stdout.write(`${bad} bad, ${Math.round(performance.now() - began)} ms\n`);
  }, 600_000);
});
