import { status } from '@grpc/grpc-js';
import { QueryNotRegisteredError } from '@temporalio/client';
import { sharedLimits } from '../../../src/activities/frame/shared-limits';
import { LimitWatch } from '../../../src/activities/rows/limit-watch';
import { NO_LIMITS, type WorkLimits } from '../../../src/domain/work-limits';
import { waitFor } from '../../support/wait-for';

const SLOW: WorkLimits = { ...NO_LIMITS, maxRowsPerS: 10 };
const FAST: WorkLimits = { ...NO_LIMITS, maxRowsPerS: 1_000 };

describe('the limits of a step', () => {
  it('are those it was asked for with, and then what its operation says', async () => {
    let told: WorkLimits | null = null;
    const watch = new LimitWatch(SLOW, () => Promise.resolve(told));
    watch.start(5);
    expect(watch.limits).toEqual(SLOW);
    told = FAST;
    await waitFor('the new limits', () => watch.limits === FAST);
    watch.stop();
  });

  it('stay as they were while the operation does not answer', async () => {
    let asked = 0;
    const watch = new LimitWatch(SLOW, () => {
      asked += 1;
      return asked % 2 === 0 ? Promise.resolve(null) : Promise.reject(new Error('no answer'));
    });
    watch.start(5);
    await waitFor('some looks', () => asked > 3);
    expect(watch.limits).toEqual(SLOW);
    watch.stop();
  });
});

describe('the limits of an operation', () => {
  const of = (runId: string) => ({ workflowId: 'grow/c/a', runId });

  it('are asked for once for all steps of it, and again after a moment', async () => {
    let [nowMs, asked] = [0, 0];
    const read = sharedLimits(
      () => {
        asked += 1;
        return Promise.resolve(SLOW);
      },
      () => nowMs,
    );
    expect(await Promise.all([read(of('r')), read(of('r'))])).toEqual([SLOW, SLOW]);
    expect(asked).toBe(1);
    await read(of('other'));
    nowMs = 2_000;
    await read(of('r'));
    expect(asked).toBe(3);
  });

  it('are none where it does not know the question, and unknown where it does not answer', async () => {
    const notKnown = sharedLimits(() =>
      Promise.reject(new QueryNotRegisteredError('no such query', status.INVALID_ARGUMENT)),
    );
    expect(await notKnown(of('r'))).toEqual(NO_LIMITS);
    const silent = sharedLimits(() => {
      throw new Error('gone');
    });
    expect(await silent(of('r'))).toBeNull();
  });
});
