import fc from 'fast-check';
import {
  DELETED_SHARE_MAX,
  hasLostData,
  judgeGone,
  judgeLeft,
  judgePair,
  type LeftRow,
} from '../../src/domain/row-decisions';

describe('judgePair', () => {
  it.each([
    [true, true, true, 'same'],
    [true, true, false, 'put'],
    [true, false, false, 'put'],
    [false, true, false, 'delete'],
    [false, false, false, 'absent'],
  ] as const)(
    'makes the owner like the donor (on donor %s, on owner %s, same %s): %s',
    (isOnDonor, isOnOwner, isSame, is) => {
      expect(judgePair({ isOnDonor, isOnOwner, isSame })).toBe(is);
    },
  );
});

const leftRow: fc.Arbitrary<LeftRow> = fc
  .record({
    proof: fc.constantFrom('as-donor', 'as-owner', 'other', 'lost', null),
    isOnOwner: fc.boolean(),
    isSame: fc.boolean(),
    isWatchUnbroken: fc.boolean(),
    came: fc.constantFrom('late', 'unsure', null),
  })
  // Only a row that the owner holds can be the same, or be as the proof says of the owner.
  .filter(({ isOnOwner, isSame, proof }) => isOnOwner || (!isSame && proof !== 'as-owner'));

describe('judgeLeft', () => {
  it('drops as deleted only what the owner lacks, and what it is known to have held (INV-5)', () => {
    fc.assert(
      fc.property(leftRow, (row) => {
        if (judgeLeft(row) !== 'drop-as-deleted') return;
        expect(row.isOnOwner).toBe(false);
        // The proof showed it there, or it was written to both sides after the proof, the owner first.
        expect(row.proof === 'as-donor' || (row.isWatchUnbroken && row.came !== 'late')).toBe(true);
      }),
    );
  });

  it('keeps what may have been deleted on its owner or never been there, where nobody looked in time', () => {
    const unseen = { proof: null, isOnOwner: false, isSame: false, isWatchUnbroken: true } as const;
    expect(judgeLeft({ ...unseen, came: 'unsure' })).toBe('keep');
    expect(judgeLeft({ ...unseen, came: 'late' })).toBe('carry');
    expect(judgeLeft({ ...unseen, came: null })).toBe('drop-as-deleted');
  });

  it('drops only what the owner holds, with its own value or a newer one', () => {
    fc.assert(
      fc.property(leftRow, (row) => {
        if (judgeLeft(row) === 'drop') expect(row.isOnOwner).toBe(true);
      }),
    );
  });

  it('carries nothing over a value of the owner that no pass has proven', () => {
    fc.assert(
      fc.property(leftRow, (row) => {
        if (judgeLeft(row) !== 'carry') return;
        expect(!row.isOnOwner || row.proof === 'as-owner').toBe(true);
      }),
    );
  });

  it('takes nothing for deleted, and carries nothing to an owner that lacks it, where the proof is lost and the watch broken', () => {
    fc.assert(
      fc.property(leftRow, (row) => {
        const decision = judgeLeft({ ...row, proof: 'lost', isWatchUnbroken: false, isSame: false });
        expect(decision).toBe('keep');
      }),
    );
  });
});

describe('judgeGone', () => {
  it('passes a delete on only where a router may have had an old map, and the owner has not changed the row since', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.boolean(), (ownerHoldsProof, isWatchUnbroken) => {
        const decision = judgeGone({ ownerHoldsProof, isWatchUnbroken });
        expect(decision === 'delete').toBe(ownerHoldsProof && !isWatchUnbroken);
      }),
    );
  });
});

describe('hasLostData', () => {
  it.each([
    [0, 0, false],
    [100, 100, false],
    [101, 101, true],
    [101, 10_000, true],
    [101, 10_100, false],
    [1_000, 100_000, false],
    [1_001, 100_000, true],
  ])('of %d missing rows out of %d is %s', (missing, expected, lost) => {
    expect(hasLostData(missing, expected)).toBe(lost);
  });

  it('believes an owner that shows its identity when it lacks up to a fifth, which clients have deleted', () => {
    expect(hasLostData(2_000, 10_000, DELETED_SHARE_MAX)).toBe(false);
    expect(hasLostData(2_001, 10_000, DELETED_SHARE_MAX)).toBe(true);
  });
});
