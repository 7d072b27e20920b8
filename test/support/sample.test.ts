import { sample } from './sample';

const ROWS = Array.from({ length: 20 }, (_, row) => row);
const of = (seed: string, share = '0.25', table = 'kills') =>
  sample(table, ROWS, { CAMPAIGN_SEED: seed, CAMPAIGN_SHARE: share });

describe('a sample of the campaign', () => {
  it('is all rows without a seed', () => {
    expect(sample('kills', ROWS, {})).toEqual(ROWS);
  });

  it('is the same share of the rows, in their order, for the same seed', () => {
    const chosen = of('7');
    expect(chosen).toHaveLength(5);
    expect(chosen).toEqual([...chosen].sort((a, b) => a - b));
    expect(of('7')).toEqual(chosen);
  });

  it('differs between seeds and between tables, and reaches every row', () => {
    expect(of('7')).not.toEqual(of('8'));
    expect(of('7')).not.toEqual(of('7', '0.25', 'cancels'));
    const reached = new Set(Array.from({ length: 60 }, (_, seed) => of(String(seed))).flat());
    expect(reached.size).toBe(ROWS.length);
  });

  it('has at least one row of each table', () => {
    expect(of('7', '0')).toHaveLength(1);
  });
});
