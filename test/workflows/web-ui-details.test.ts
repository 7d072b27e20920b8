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

  it('of an operation show why it is paused, until when, and what limits it', () => {
    const { progress } = newOperationState('grow', 'grow-a', 0);
    const pause = { reason: 'a release', by: 'ops', sinceMs: 0, untilMs: 60_000, holds: true };
    const limits = { maxBytesPerS: null, maxRowsPerS: 5_000, deleteShare: 0.2 };
    const details = progressDetails({ ...progress, pause, limits });
    expect(details).toContain(
      '⏸ **Paused** by ops since 1970-01-01 00:00:00: a release. It ends when 1970-01-01 00:01:00 has passed.',
    );
    expect(details).toContain('**Limited** to 5,000 rows/s, deletes for 0.2 of the time.');
    expect(progressDetails({ ...progress, pause: { ...pause, holds: false, untilMs: null } })).toContain(
      '⏸ **Pauses at its next safe point** by ops since 1970-01-01 00:00:00: a release. It ends when it is resumed.',
    );
    expect(progressDetails(progress)).not.toMatch(/Pause|Limited/);
  });

  it('of an operation show what slows it down', () => {
    const { progress } = newOperationState('grow', 'grow-a', 0);
    const slowed = [{ by: 'delete_latency', shardId: 2, seenMs: 310, boundMs: 120 }] as const;
    expect(progressDetails({ ...progress, slowed })).toContain(
      '🐌 **Slowed**: A delete on shard 2 takes 310 ms, the bound is 120 ms: it rests as long.',
    );
    expect(progressDetails(progress)).not.toContain('Slowed');
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
