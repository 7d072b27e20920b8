/** A mutant whose text has gone would be found out by the campaign alone, which runs before a release. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MUTANTS } from '../campaign/simulator/mutants';

describe('the mutants of the simulator', () => {
  it.each(MUTANTS)('find in the product what they break: $name', ({ file, from }) => {
    const text = readFileSync(join(__dirname, '../../src', `${file}.ts`), 'utf8');
    expect(text.split(from)).toHaveLength(2);
  });
});
