import fc from 'fast-check';
import { decide, findingsOf, type Copy } from '../../../src/activities/repair/judge-point';

const raw = fc.integer({ min: 0, max: 3 }).map((value) => Buffer.from(`{"id":"a","payload":{"v":${value}}}`));
const owned = fc.option(raw);
const copies: fc.Arbitrary<Copy[]> = fc
  .uniqueArray(fc.nat({ max: 6 }), { minLength: 1, maxLength: 5 })
  .chain((ids) => fc.tuple(...ids.map((id) => raw.map((each) => ({ holder: String(id), raw: each })))));
const prefer = fc.array(fc.nat({ max: 6 }).map(String), { maxLength: 3 });
const agree = (of: readonly Copy[]): boolean => of.every((each) => each.raw.equals(of[0]!.raw));

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
        if (agree(held)) expect(decision).toEqual({ kind: 'move', raw: held[0]!.raw });
        else if (chosen !== undefined) expect(decision).toEqual({ kind: 'move', raw: chosen.raw });
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

  it('does not take a float that a shard reads as its neighbour for another value', () => {
    const point = (value: string): Buffer => Buffer.from(`{"id":"a","payload":{"v":${value}}}`);
    const [one, other] = [point('2.397238681154417e-23'), point('2.3972386811544175e-23')];
    expect(findingsOf(one, [{ holder: '1', raw: other }])).toEqual(['agreeing']);
    expect(
      decide(
        null,
        [
          { holder: '1', raw: one },
          { holder: '2', raw: other },
        ],
        [],
      ).kind,
    ).toBe('move');
  });
});
