/** A mutant whose text has gone would be found out by the campaign alone, which runs before a release. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MUTANTS } from '../campaign/simulator/mutants';

describe('the mutants of the simulator', () => {
  it.each(MUTANTS)('find in the product what they break: $name', ({ file, from }) => {
    const text = readFileSync(join(__dirname, '../../src', `${file}.ts`), 'utf8');
    expect(text.split(from)).toHaveLength(2);
  });

  it('are caught by the seeds, at least fifteen of them, or name a test that is there', () => {
    expect(MUTANTS.filter(({ elsewhere }) => elsewhere === undefined).length).toBeGreaterThanOrEqual(15);
    for (const { elsewhere } of MUTANTS) {
      if (elsewhere != null) expect(existsSync(join(__dirname, '../..', elsewhere))).toBe(true);
    }
  });
});
