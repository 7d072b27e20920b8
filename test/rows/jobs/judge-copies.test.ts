import fc from 'fast-check';
import { decide, findingsOf, type Copy } from '../../../src/rows/jobs/judge-copies';
import type { Row } from '../../../src/rows/ports';

const rowWith = (value: string): Row => ({
  id: Buffer.from('a'),
  vector: Buffer.alloc(8),
  payload: Buffer.from(`{"v":${value}}`),
});
const row = fc.integer({ min: 0, max: 3 }).map((value) => rowWith(String(value)));
const owned = fc.option(row);
const copies: fc.Arbitrary<Copy[]> = fc
  .uniqueArray(fc.nat({ max: 6 }), { minLength: 1, maxLength: 5 })
  .chain((ids) => fc.tuple(...ids.map((id) => row.map((each) => ({ holder: String(id), row: each })))));
const prefer = fc.array(fc.nat({ max: 6 }).map(String), { maxLength: 3 });
const agree = (of: readonly Copy[]): boolean => of.every((each) => each.row.payload.equals(of[0]!.row.payload));

describe('what a repair decides on a point', () => {
  it('is to remove the copies exactly when the owner holds the point (INV-5)', () => {
    fc.assert(
      fc.property(owned, copies, prefer, (own, held, preferred) => {
        expect(decide(own, held, preferred).kind === 'remove').toBe(own !== null);
      }),
    );
  });

  it('is to move only what all holders agree on, or what the first preferred one of them holds', () => {
    fc.assert(
      fc.property(copies, prefer, (held, preferred) => {
        const decision = decide(null, held, preferred);
        const chosen = preferred.map((each) => held.find(({ holder }) => holder === each)).find((each) => each);
        if (agree(held)) expect(decision).toEqual({ kind: 'move', row: held[0]!.row });
        else if (chosen !== undefined) expect(decision).toEqual({ kind: 'move', row: chosen.row });
        else expect(decision).toEqual({ kind: 'leave' });
      }),
    );
  });

  it('leaves exactly the points that are told as conflicting, unless a holder is preferred', () => {
    fc.assert(
      fc.property(owned, copies, (own, held) => {
        const isConflict = findingsOf(own, held).includes('conflicting');
        expect(decide(own, held, []).kind === 'leave').toBe(isConflict);
      }),
    );
  });

  it('does not take a float that a shard reads as its neighbour for another value (ADR 13)', () => {
    const [one, other] = [rowWith('2.397238681154417e-23'), rowWith('2.3972386811544175e-23')];
    expect(findingsOf(one, [{ holder: '1', row: other }])).toEqual(['agreeing']);
    const held = [one, other].map((each, index) => ({ holder: String(index), row: each }));
    expect(decide(null, held, []).kind).toBe('move');
  });

  it('takes a vector that differs in one bit for another value', () => {
    const [one, other] = [rowWith('1'), { ...rowWith('1'), vector: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x80]) }];
    expect(findingsOf(one, [{ holder: '1', row: other }])).toEqual(['differing']);
  });
});
