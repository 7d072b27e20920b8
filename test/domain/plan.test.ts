import { refuseCancel } from '../../src/domain/cancel';
import { seedState, type ClusterState, type OperationRecord } from '../../src/domain/cluster-state';
import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import { reserve } from '../../src/domain/lock-transitions';
import { NOTHING_PLANNED, stateOnceBegun, type PlannedShard } from '../../src/domain/plan';
import { durationOf, type DurationFacts } from '../../src/domain/plan-duration';
import { newOperationState } from '../../src/contract/operation-state';
import { at, codeOf } from '../support/domain-builders';

const two = (): ClusterState => seedState([at('s0'), at('s1')]);

describe('the state once an operation has begun', () => {
  it('has its shards joining, or leaving, and leaves the given state alone', () => {
    const state = two();
    const before = JSON.stringify(state);
    const grown = stateOnceBegun(state, { kind: 'grow', shards: [at('s2'), at('s3')], fromStandby: false });
    expect(grown.map).toMatchObject({ version: 2, joining: [2, 3] });
    expect(grown.lock?.shards).toMatchObject([{ id: 2 }, { id: 3 }]);
    expect(stateOnceBegun(state, { kind: 'drain', shardId: 1 }).map).toMatchObject({ version: 2, leaving: [1] });
    expect(stateOnceBegun(state, { kind: 'repair' }).map).toEqual(state.map);
    expect(JSON.stringify(state)).toBe(before);
  });

  it('is refused for the reasons of the cluster workflow', () => {
    const state = two();
    expect(codeOf(() => stateOnceBegun(state, { kind: 'drain', shardId: 9 }))).toBe('UnknownShard');
    expect(codeOf(() => stateOnceBegun(seedState([at('s0')]), { kind: 'drain', shardId: 0 }))).toBe('LastShard');
    expect(codeOf(() => stateOnceBegun(state, { kind: 'grow', shards: [at('s1')], fromStandby: false }))).toBe(
      'ShardAlreadyInMap',
    );
    const locked = reserve(state, { operationId: 'repair-a', request: { kind: 'repair' }, nowMs: 1 });
    for (const kind of ['repair', 'check'] as const) {
      expect(codeOf(() => stateOnceBegun(locked, { kind }))).toBe('OperationInProgress');
    }
  });
});

describe('a cancel', () => {
  const progress = newOperationState('grow', 'grow-a', 0).progress;

  it('is refused behind the flip, after the end, and of a recovery', () => {
    expect(codeOf(() => refuseCancel(progress, true))).toBe('no error');
    expect(codeOf(() => refuseCancel(progress, false))).toBe('PointOfNoReturnPassed');
    expect(codeOf(() => refuseCancel({ ...progress, pointOfNoReturnPassed: true }, true))).toBe(
      'PointOfNoReturnPassed',
    );
    expect(codeOf(() => refuseCancel({ ...progress, status: 'succeeded' }, true))).toBe('OperationEnded');
  });
});

describe('the duration of a plan', () => {
  const shard = (change: Partial<PlannedShard>): PlannedShard => ({
    shardId: 0,
    role: 'donor',
    source: 'primary',
    rows: 0,
    bytes: 0,
    rowsToMove: 0,
    bytesToMove: 0,
    scans: 2,
    stopMs: 0,
    ...change,
  });
  /** As in docs/benchmarks.md: 1,000,000 rows of 64 dimensions on two donors, and no waits. */
  const grow: DurationFacts = {
    kind: 'grow',
    plan: {
      ...NOTHING_PLANNED,
      rowsToMove: 333_333,
      bytesToMove: 333_333 * 256,
      rowsRead: 2_000_000,
      shards: [shard({ rowsToMove: 166_667 }), shard({ rowsToMove: 166_666 }), shard({ role: 'receiver' })],
    },
    records: [],
    timings: { ...DEFAULT_TIMINGS, graceMs: 0, inFlightMs: 0, settleMs: 0, warmUpMs: 0 },
    routers: 0,
  };
  const record = (change: Partial<OperationRecord>): OperationRecord => ({
    operationId: 'grow-a',
    kind: 'grow',
    shardIds: [2],
    startedAtMs: 0,
    endedAtMs: 10_000,
    end: 'succeeded',
    pointsMoved: 30_000,
    message: '',
    ...change,
  });

  it('holds what was measured, without records of its own', () => {
    const { leastS, mostS, basis } = durationOf(grow);
    expect(leastS).toBeLessThan(105);
    expect(mostS).toBeGreaterThan(105);
    expect(mostS).toBeLessThan(3 * 105);
    expect(basis).toContain('docs/benchmarks.md');
  });

  it('takes the rates of this cluster, from the slowest to the fastest of its moves', () => {
    const records = [record({}), record({ kind: 'drain', endedAtMs: 15_000 })];
    const { leastS, mostS, basis } = durationOf({ ...grow, records });
    expect(basis).toBe('2 operations of this cluster moved 2000 to 3000 rows a second from begin to end');
    expect([leastS, mostS]).toEqual([74, 250]);
  });

  it.each([
    ['too few rows', { pointsMoved: 9_999 }],
    ['an operation that was undone', { end: 'cancelled' }],
    ['an operation that runs', { end: null, endedAtMs: null }],
    ['a repair', { kind: 'repair' }],
  ] as const)('does not learn from %s', (_, change) => {
    expect(durationOf({ ...grow, records: [record(change)] }).basis).toContain('docs/benchmarks.md');
  });

  it('adds the waits: a grace twice where no router is listed, their patience where some are', () => {
    const idle = { ...grow, plan: NOTHING_PLANNED, timings: { ...DEFAULT_TIMINGS, settleMs: 0, warmUpMs: 0 } };
    expect(durationOf(idle)).toMatchObject({ leastS: 11, mostS: 16 });
    expect(durationOf({ ...idle, routers: 2 })).toMatchObject({ leastS: 5, mostS: 130 });
  });

  it('waits for an index of what is received, for as long as the settings allow', () => {
    const plan = { ...NOTHING_PLANNED, rowsToMove: 20_000, shards: [shard({ role: 'receiver', rowsToMove: 20_000 })] };
    const without = durationOf({ ...grow, plan });
    const within = (warmUpMs: number) => durationOf({ ...grow, plan, timings: { ...grow.timings, warmUpMs } });
    expect(within(300_000).mostS - without.mostS).toBe(55);
    expect(within(10_000).mostS - without.mostS).toBe(10);
    expect(within(300_000).leastS).toBe(without.leastS);
  });

  it('reads shards side by side at best, and again for each pass of a repair at worst', () => {
    const plan = { ...NOTHING_PLANNED, rowsRead: 2_000_000, shards: [shard({ rows: 1_000_000, scans: 1 })] };
    expect(durationOf({ ...grow, kind: 'check', plan })).toMatchObject({ leastS: 27, mostS: 162 });
    expect(durationOf({ ...grow, kind: 'repair', plan })).toMatchObject({ leastS: 27, mostS: 810 });
  });
});
