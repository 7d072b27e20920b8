import fc from 'fast-check';
import { merge } from '../../../src/rows/spool/merge';

const id = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('a/b', 'a b', '\u{FFFD}', '\u{10000}', 'ä').map((text) => Buffer.from(text)),
);
const run = fc
  .uniqueArray(id, { selector: (each) => each.toString('latin1'), maxLength: 12 })
  .map((ids) => ids.sort((a, b) => a.compare(b)).map((each) => ({ id: each })));

describe('a merge of sorted runs', () => {
  it('brings every id once, in byte order, with what each run holds of it', () => {
    fc.assert(
      fc.property(fc.array(run, { maxLength: 4 }), (runs) => {
        const merged = [...merge(runs)];
        const wanted = [...new Set(runs.flat().map((each) => each.id.toString('latin1')))];
        const expected = wanted.map((each) => Buffer.from(each, 'latin1')).sort((a, b) => a.compare(b));
        expect(merged.map((each) => each.id)).toEqual(expected);
        for (const { id: each, rows } of merged) {
          expect(rows).toEqual(runs.map((of) => of.find((held) => held.id.equals(each)) ?? null));
        }
      }),
    );
  });

  it('puts U+FFFD before U+10000, as their bytes are, and not as JavaScript orders text', () => {
    const [low, high] = [Buffer.from('\u{FFFD}'), Buffer.from('\u{10000}')];
    const merged = [...merge([[{ id: high }], [{ id: low }]])];
    expect(merged.map((each) => each.id)).toEqual([low, high]);
  });
});
