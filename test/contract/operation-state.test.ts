import { newOperationState, readCarried, type OperationState } from '../../src/contract/operation-state';

function midway(): OperationState {
  return {
    ...newOperationState('grow', 'grow-a', 1_000),
    copy: { collections: ['docs'], rowsExpected: 10 },
    provenCollections: ['docs'],
    droppedByDonor: { '0': 7 },
    pointsKept: 3,
  };
}

describe('the state of an operation', () => {
  it('is the same after it went through JSON, as it does with continue-as-new', () => {
    for (const state of [newOperationState('drain', 'drain-a', 1), midway()]) {
      expect(readCarried(JSON.parse(JSON.stringify(state)) as OperationState)).toEqual(state);
    }
  });

  it('is read under its new words when release 0.2 wrote it', () => {
    const { progress, completed, shards, move, preflight } = midway();
    const of02 = {
      ...{ progress, completed, shards, move, preflight },
      proven: ['docs'],
      dropped: { '0': 7 },
      kept: 3,
      copy: { collections: [{ name: 'docs', countByShard: { '0': 10 } }], rowsExpected: 10, rowsRead: 4, nextPage: {} },
    };
    expect(readCarried(of02 as unknown as OperationState)).toMatchObject({
      provenCollections: ['docs'],
      droppedByDonor: { '0': 7 },
      pointsKept: 3,
      copy: { collections: ['docs'], rowsExpected: 10 },
      donors: {},
    });
  });
});
