import { newOperationState, readCarried, type OperationState } from '../../src/contract/operation-state';

const SWEEP = {
  collections: ['docs'],
  step: 'confirm',
  index: 0,
  cursor: null,
  current: 1,
  currentHeld: 2,
  round: 1,
} as const;

function midway(): OperationState {
  return {
    ...newOperationState('grow', 'grow-a', 1_000),
    provenCollections: ['docs'],
    droppedByDonor: { '0': 7 },
    pointsKept: 3,
    sweep: { ...SWEEP, leftOnDonors: 4, heldByOwners: 5 },
  };
}

describe('the state of an operation', () => {
  it('is the same after it went through JSON, as it does with continue-as-new', () => {
    for (const state of [newOperationState('drain', 'drain-a', 1), midway()]) {
      expect(readCarried(JSON.parse(JSON.stringify(state)) as OperationState)).toEqual(state);
    }
  });

  it('is read under its new words when release 0.2 wrote it', () => {
    const { provenCollections, droppedByDonor, pointsKept, ...rest } = midway();
    const of02 = {
      ...rest,
      proven: provenCollections,
      dropped: droppedByDonor,
      kept: pointsKept,
      sweep: { ...SWEEP, left: 4, held: 5 },
    };
    expect(readCarried(of02 as unknown as OperationState)).toEqual(midway());
  });

  it('is read when release 0.2 wrote it before its sweep', () => {
    const { provenCollections, droppedByDonor, pointsKept, ...rest } = newOperationState('grow', 'grow-a', 1);
    const of02 = { ...rest, proven: provenCollections, dropped: droppedByDonor, kept: pointsKept };
    expect(readCarried(of02 as unknown as OperationState)).toEqual(newOperationState('grow', 'grow-a', 1));
  });
});
