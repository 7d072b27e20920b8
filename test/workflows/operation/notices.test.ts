import type { ClusterTransition } from '../../../src/contract/cluster';
import { newOperationState, type OperationState } from '../../../src/contract/operation-state';
import type { OperationKind } from '../../../src/domain/cluster-state';
import { NOTHING_FOUND } from '../../../src/domain/findings';
import type { OperationOutcome } from '../../../src/domain/progress';
import type { RouterSuspect, WatchJudgement } from '../../../src/domain/router-watch';
import { noticeRouters, noticesOf, withAttention } from '../../../src/workflows/operation/notices';
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

const SHARD = { id: 2, primary_url: 'http://s2:6333', replica_urls: [] };
const kept = (pointsKept: number): OperationOutcome => ({
  message: 'done',
  pointsMoved: 1,
  droppedByDonor: {},
  pointsKept,
  durationMs: 1,
});

/** An operation's run as far as its end looks at it. */
function ending(kind: OperationKind, change: Partial<OperationState> = {}): OperationRun {
  const state = { ...newOperationState(kind, `${kind}-a`, 0), shards: [SHARD], ...change };
  return { state } as unknown as OperationRun;
}

describe('the end of an operation that kept points', () => {
  it.each<[OperationKind, Partial<OperationState>, readonly string[]]>([
    ['grow', {}, []],
    ['drain', {}, [SHARD.primary_url]],
    ['recover', { recovers: { operationId: 'drain-b', kind: 'drain', stage: 'flipped' } }, [SHARD.primary_url]],
  ])('calls for attention and has a notice: a %s', (kind, change, leftovers) => {
    const run = ending(kind, change);
    const outcome = withAttention(run, 'succeeded', kept(3));
    expect(outcome.attention).toMatchObject([{ points: 3 }]);
    expect(noticesOf(run, 'succeeded', outcome)).toMatchObject({
      notices: [{ key: `PointsKept.${kind}-a`, leftovers }],
    });
  });

  it('leaves alone what the operation says of itself, and tells that', () => {
    const own = [{ what: 'rows of one collection kept', points: 2, mendedBy: 'a person' }];
    const run = ending('grow');
    const outcome = withAttention(run, 'succeeded', { ...kept(3), attention: own });
    expect(outcome.attention).toBe(own);
    expect(noticesOf(run, 'succeeded', outcome).notices?.[0]?.message).toBe(
      'grow-a: 2 rows of one collection kept: a person',
    );
  });

  it('says nothing when nothing was kept, when it was undone, and in a check', () => {
    expect(withAttention(ending('grow'), 'succeeded', kept(0)).attention).toBeUndefined();
    expect(withAttention(ending('grow'), 'failed', kept(3)).attention).toBeUndefined();
    expect(withAttention(ending('check'), 'succeeded', kept(3)).attention).toBeUndefined();
    expect(noticesOf(ending('grow'), 'failed', kept(3))).toEqual({});
  });
});

describe('the end of a reading', () => {
  const reading = (change: { collections?: readonly string[]; written?: number; onlyHere?: number } = {}) => {
    const { collections = null, written = 0, onlyHere = 0 } = change;
    const found = { ...NOTHING_FOUND, totals: { ...NOTHING_FOUND.totals, onlyHere } };
    const request = { collections, leftovers: [SHARD], prefer: [] };
    return { announced: { request }, repair: { found, left: found, written } } as unknown as Partial<OperationState>;
  };
  const foundClean = (kind: OperationKind, change: Parameters<typeof reading>[0] = {}) =>
    noticesOf(ending(kind, reading(change)), 'succeeded', kept(0)).foundClean;

  it('proves that all is in place when it has read everything and found nothing, with the leftovers that it read', () => {
    expect(foundClean('check')).toEqual({ leftovers: [SHARD.primary_url] });
    expect(foundClean('repair')).toEqual({ leftovers: [SHARD.primary_url] });
  });

  it('proves nothing when it read a part, found something, or went on to write', () => {
    expect(foundClean('check', { collections: ['docs'] })).toBeUndefined();
    expect(foundClean('check', { onlyHere: 1 })).toBeUndefined();
    expect(foundClean('repair', { written: 1 })).toBeUndefined();
  });
});
