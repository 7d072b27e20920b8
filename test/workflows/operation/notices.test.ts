import type { ClusterTransition } from '../../../src/contract/cluster';
import { newOperationState } from '../../../src/contract/operation-state';
import type { RouterSuspect, WatchJudgement } from '../../../src/domain/router-watch';
import { noticeRouters } from '../../../src/workflows/operation/notices';
import type { OperationRun } from '../../../src/workflows/operation/run';

const suspect = (url: string, seeds: RouterSuspect['seeds']): RouterSuspect => ({
  url,
  seeds,
  fromMs: 0,
  untilMs: null,
  what: 'broke',
  shardUrls: [],
});

/** What a run in the place of a real one has the cluster workflow apply. */
async function applied(judgement: WatchJudgement): Promise<ClusterTransition[]> {
  const transitions: ClusterTransition[] = [];
  const changeCluster = ({ transition }: { transition: ClusterTransition }) => {
    transitions.push(transition);
    return Promise.resolve({ map: {}, lock: null });
  };
  const run = {
    cluster: 'c',
    state: newOperationState('grow', 'grow-a', 0),
    activities: { transition: () => ({ changeCluster }) },
    persist: (_what: string, step: () => Promise<unknown>) => step(),
  };
  await noticeRouters(run as unknown as OperationRun, judgement);
  return transitions;
}

describe('noticeRouters', () => {
  it('records in one transition every router that may have written, and none whose seeds are dead', async () => {
    const suspects = [suspect('http://r0', 'live'), suspect('http://r1', 'dead'), suspect('http://r2', 'unknown')];
    expect(await applied({ unbroken: false, reasons: [], suspects })).toMatchObject([
      {
        type: 'notice',
        notices: [
          { key: 'RouterServesSeeds.http_r0', operationId: 'grow-a' },
          { key: 'RouterServesSeeds.http_r2', operationId: 'grow-a' },
        ],
      },
    ]);
  });

  it.each<WatchJudgement>([
    { unbroken: true },
    { unbroken: false, reasons: ['it lags'], suspects: [] },
    { unbroken: false, reasons: ['it broke'], suspects: [suspect('http://r1', 'dead')] },
  ])('changes nothing when no router may have written: %j', async (judgement) => {
    expect(await applied(judgement)).toEqual([]);
  });
});
