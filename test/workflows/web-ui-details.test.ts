import { newOperationState } from '../../src/contract/operation-state';
import { seedState } from '../../src/domain/cluster-state';
import { recordNotices } from '../../src/domain/notices';
import { clusterDetails, progressDetails } from '../../src/workflows/web-ui-details';
import { at } from '../support/domain-builders';

describe('the details in the Web UI', () => {
  it('of the cluster show what an operator must notice', () => {
    const notice = { key: 'a', code: 'PointsKept', message: 'run a repair', operationId: null } as const;
    expect(clusterDetails(recordNotices(seedState([at('s0')]), [notice], 0))).toContain(
      '⚠️ 1970-01-01 00:00:00: run a repair',
    );
    expect(clusterDetails(seedState([at('s0')]))).not.toContain('⚠️');
  });

  it('of an operation show what it leaves to a person, and the call that mends it', () => {
    const { progress } = newOperationState('grow', 'grow-a', 0);
    const attention = [{ what: 'points kept', points: 1_200, mendedBy: 'POST /cluster/repair' }];
    const outcome = {
      message: '',
      pointsMoved: 0,
      droppedByDonor: {},
      pointsKept: 1_200,
      durationMs: 0,
      attention,
    };
    expect(progressDetails({ ...progress, outcome })).toContain(
      '⚠️ **Attention**: 1,200 points kept. It is mended by `POST /cluster/repair`.',
    );
  });
});
