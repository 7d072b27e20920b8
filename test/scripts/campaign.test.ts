import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chooseFiles } from '../../scripts/campaign';

const CAMPAIGN = join(__dirname, '..', 'campaign');

describe("CI's sample of the campaign", () => {
  it('takes the same file for the same seed, and each file for some seed', () => {
    expect(chooseFiles('7')).toEqual(chooseFiles('7'));
    const reached = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const files = chooseFiles(String(seed));
      expect(files).toHaveLength(1);
      for (const file of files) reached.add(file);
    }
    expect(reached.size).toBe(6);
  });

  it('names files that exist', () => {
    const files = new Set(Array.from({ length: 60 }, (_, seed) => chooseFiles(String(seed))).flat());
    const isThere = (file: string): boolean =>
      ['quiver', 'temporal'].some((tier) => existsSync(join(CAMPAIGN, `${file}.${tier}.test.ts`)));
    expect([...files].filter((file) => !isThere(file))).toEqual([]);
  });
});
