import fc from 'fast-check';
import { isInSlice, sidesOf } from '../../../src/activities/rows/slice-stream';
import { PlacementPlan } from '../../../src/domain/placement-plan';

const aPlacement = fc
  .uniqueArray(fc.record({ id: fc.nat(50), role: fc.constantFrom('stays', 'joining', 'leaving') }), {
    minLength: 1,
    maxLength: 6,
    selector: (shard) => shard.id,
  })
  .map((shards) => ({
    shards: shards.map(({ id }) => id),
    joining: shards.filter(({ role }) => role === 'joining').map(({ id }) => id),
    leaving: shards.filter(({ role }) => role === 'leaving').map(({ id }) => id),
  }));

describe('sidesOf', () => {
  it('names every shard that gives or takes a point, whichever shards join and leave', () => {
    fc.assert(
      fc.property(aPlacement, fc.array(fc.string(), { minLength: 20 }), (placement, ids) => {
        const plan = new PlacementPlan(placement);
        const { donors, receivers } = sidesOf(placement);
        for (const id of ids) {
          plan.locate(Buffer.from(id));
          const giver = placement.shards.find((shard) => isInSlice(plan, 'donor', shard));
          const taker = placement.shards.find((shard) => isInSlice(plan, 'receiver', shard));
          const moves = plan.donor >= 0 && plan.donor !== plan.owner;
          expect([giver, taker]).toEqual(moves ? [plan.donor, plan.owner] : [undefined, undefined]);
          if (moves) expect(donors.includes(plan.donor) && receivers.includes(plan.owner)).toBe(true);
        }
      }),
    );
  });
});
