import fc from 'fast-check';
import { cooldownLeftMs, decide, type DecisionInput, type ShardLoad } from '../../src/domain/autoscale-decision';
import { type AutoscalePolicy, DECISION_REASONS, DEFAULT_POLICY } from '../../src/domain/autoscale-policy';

const NOW = 1_000_000;
const load = (shardId: number, points: number): ShardLoad => ({ shardId, points, problem: null });
const unreadable = (shardId: number): ShardLoad => ({ shardId, points: null, problem: 'connection refused' });

/** Above the mark, with everything that a grow needs. */
const input = (change: Partial<DecisionInput> = {}, policy: Partial<AutoscalePolicy> = {}): DecisionInput => ({
  policy: { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 100, ...policy },
  shardIds: [0, 1],
  busyWith: null,
  loads: [load(0, 40), load(1, 101)],
  standbys: 1,
  lastScaleAtMs: null,
  streak: 0,
  lowStreak: 0,
  nowMs: NOW,
  ...change,
});

describe('decide', () => {
  it('grows when one shard holds more points than the mark', () => {
    expect(decide(input())).toEqual({
      reason: 'grow',
      message: 'the fullest shard holds 101 points, the mark is 100',
      pointsMax: 101,
      unreadable: [],
      streak: 1,
      lowStreak: 0,
      shardId: null,
    });
  });

  it('is calm at exactly the mark', () => {
    expect(decide(input({ loads: [load(0, 40), load(1, 100)] }))).toMatchObject({ reason: 'below_mark', streak: 0 });
  });

  /** Each row takes away one more obstacle: the first that stands is the reason. */
  it('names the first obstacle of all that stand, in a fixed order', () => {
    const obstacles: { change?: Partial<DecisionInput>; policy?: Partial<AutoscalePolicy>; reason: string }[] = [
      { policy: { enabled: false }, reason: 'disabled' },
      { policy: { highWaterPoints: 0 }, reason: 'no_high_water_mark' },
      { change: { busyWith: 'operation drain-a is running' }, reason: 'operation_running' },
      { change: { lastScaleAtMs: NOW - 1_000 }, reason: 'cooling_down' },
      { policy: { sustainEvaluations: 2 }, reason: 'not_sustained' },
      { policy: { maxShards: 2 }, reason: 'at_cap' },
      { change: { standbys: 0 }, reason: 'no_standby' },
      { reason: 'grow' },
    ];
    for (let first = 0; first < obstacles.length; first++) {
      const standing = obstacles.slice(first);
      const change = Object.assign({}, ...standing.map((each) => each.change ?? {})) as Partial<DecisionInput>;
      const policy = Object.assign({}, ...standing.map((each) => each.policy ?? {})) as Partial<AutoscalePolicy>;
      expect(decide(input(change, policy)).reason).toBe(obstacles[first]?.reason);
    }
  });

  it('may grow by what the readable shards say, and names the unreadable shard', () => {
    const decision = decide(input({ loads: [unreadable(0), load(1, 101)] }));
    expect(decision).toMatchObject({ reason: 'grow', unreadable: [0], pointsMax: 101 });
    expect(decision.message).toContain('not read: shard 0 (connection refused)');
  });

  it('treats a shard without a load as unknown, and not as empty (INV-8)', () => {
    expect(decide(input({ shardIds: [0, 1, 2], loads: [load(0, 1), load(1, 1)] }))).toMatchObject({
      reason: 'shard_unreadable',
      unreadable: [2],
    });
  });

  it('ignores the load of a shard that is no longer in the map', () => {
    expect(decide(input({ shardIds: [0], loads: [load(0, 1), load(9, 1_000)] })).reason).toBe('below_mark');
  });

  it('is not held by a cap that is not reached', () => {
    expect(decide(input({}, { maxShards: 3 })).reason).toBe('grow');
  });

  it('grows at the evaluation that completes the row, and not before', () => {
    const policy = { sustainEvaluations: 3 };
    const first = decide(input({}, policy));
    const second = decide(input({ streak: first.streak }, policy));
    const third = decide(input({ streak: second.streak }, policy));
    expect([first, second, third].map(({ reason }) => reason)).toEqual(['not_sustained', 'not_sustained', 'grow']);
    expect(second.message).toContain('evaluation 2 of the 3');
  });

  it('begins the row again after a calm evaluation, and keeps it after one that could not tell', () => {
    const policy = { sustainEvaluations: 3 };
    expect(decide(input({ streak: 2, loads: [load(0, 1), load(1, 1)] }, policy)).streak).toBe(0);
    expect(decide(input({ streak: 2, loads: [load(0, 1), unreadable(1)] }, policy)).streak).toBe(2);
  });

  it('begins the row again while an operation moves points, because these count twice', () => {
    expect(decide(input({ streak: 2, busyWith: 'operation grow-a is running' })).streak).toBe(0);
  });

  it('waits until the cooldown is over, to the millisecond', () => {
    const policy = { cooldownSecs: 60 };
    expect(decide(input({ lastScaleAtMs: NOW - 59_999 }, policy)).reason).toBe('cooling_down');
    expect(decide(input({ lastScaleAtMs: NOW - 60_000 }, policy)).reason).toBe('grow');
  });
});

describe('decide, by bytes', () => {
  const heavy = { shardId: 1, points: 10, bytes: 5_000, problem: null };

  it('grows when the vectors of one shard are heavier than the mark, however few they are', () => {
    const loads = [{ ...load(0, 40), bytes: 20 }, heavy];
    expect(decide(input({ loads }, { highWaterBytes: 4_999 }))).toMatchObject({
      reason: 'grow',
      message: 'the fullest shard holds 5000 bytes, the mark is 4999',
    });
    expect(decide(input({ loads }, { highWaterBytes: 5_000 }))).toMatchObject({
      reason: 'below_mark',
      message:
        'the fullest shard holds 40 points, the mark is 100; the fullest shard holds 5000 bytes, the mark is 5000',
    });
  });

  it('takes bytes that were not told for unknown, where they count (INV-8)', () => {
    const policy = { highWaterBytes: 100, lowWaterPoints: 50 };
    const loads = [load(0, 1), load(1, 1)];
    expect(decide(input({ loads }, policy)).reason).toBe('shard_unreadable');
    expect(decide(input({ loads }, { ...policy, highWaterBytes: 0 })).reason).toBe('shrink');
  });

  it('needs no mark in points', () => {
    const policy = { highWaterPoints: 0, highWaterBytes: 100 };
    expect(decide(input({ loads: [load(0, 1), heavy] }, policy)).reason).toBe('grow');
  });
});

describe('decide, when every shard is low', () => {
  const three = { shardIds: [0, 1, 2], loads: [load(0, 20), load(1, 12), load(2, 12)] };
  const low = { lowWaterPoints: 30 };
  const decided = (change: Partial<DecisionInput> = {}, policy: Partial<AutoscalePolicy> = {}) =>
    decide(input({ ...three, ...change }, { ...low, ...policy }));

  it('takes out the emptiest shard, of equals the newest', () => {
    expect(decided()).toMatchObject({ reason: 'shrink', shardId: 2, lowStreak: 1 });
  });

  it('is calm when one shard is not, and without a low mark', () => {
    expect(decided({ loads: [load(0, 30), load(1, 1), load(2, 1)] }).reason).toBe('below_mark');
    expect(decided({}, { lowWaterPoints: 0 }).reason).toBe('below_mark');
  });

  it('never does it on a shard that could not be read (INV-8)', () => {
    expect(decided({ loads: [load(0, 1), unreadable(1), load(2, 1)] }).reason).toBe('shard_unreadable');
  });

  it('waits until it was low often enough in a row, and for its own cooldown', () => {
    expect(decided({ lowStreak: 1 }, { sustainEvaluations: 3 })).toMatchObject({
      reason: 'not_sustained',
      lowStreak: 2,
    });
    const cooling = { cooldownSecs: 10, shrinkCooldownSecs: 60 };
    expect(decided({ lastScaleAtMs: NOW - 59_000 }, cooling).reason).toBe('cooling_down');
    expect(decided({ lastScaleAtMs: NOW - 60_000 }, cooling).reason).toBe('shrink');
  });

  it('keeps min_shards, and never the last one', () => {
    expect(decided({}, { minShards: 3 }).reason).toBe('at_floor');
    expect(decided({ shardIds: [0], loads: [load(0, 1)] }).reason).toBe('at_floor');
  });

  it('leaves the rest well below the marks', () => {
    // 20 + 12 / 2 = 26 points, 0.7 of 37.2.
    expect(decided({}, { highWaterPoints: 38 }).reason).toBe('shrink');
    expect(decided({}, { highWaterPoints: 37 })).toMatchObject({ reason: 'rest_too_full', shardId: null });
    const loads = three.loads.map((each) => ({ ...each, bytes: 1_000 }));
    expect(decided({ loads }, { highWaterBytes: 2_000 }).reason).toBe('rest_too_full');
  });
});

it('cools down no longer than the cooldown when the clock was set back since the last grow', () => {
  expect(cooldownLeftMs({ ...DEFAULT_POLICY, cooldownSecs: 60 }, NOW + 3_600_000, NOW)).toBe(60_000);
});

describe('decide, whatever it is given', () => {
  const ids = fc.uniqueArray(fc.nat({ max: 20 }), { maxLength: 8 });
  const loads = fc.array(
    fc.record({
      shardId: fc.nat({ max: 20 }),
      points: fc.option(fc.nat({ max: 200 }), { nil: null }),
      bytes: fc.option(fc.nat({ max: 200 }), { nil: null }),
      problem: fc.option(fc.constantFrom('refused', 'timed out'), { nil: null }),
    }),
    { maxLength: 12 },
  );
  const inputs: fc.Arbitrary<DecisionInput> = fc.record({
    policy: fc.record({
      enabled: fc.boolean(),
      highWaterPoints: fc.nat({ max: 200 }),
      highWaterBytes: fc.nat({ max: 200 }),
      lowWaterPoints: fc.nat({ max: 200 }),
      shrinkCooldownSecs: fc.nat({ max: 600 }),
      minShards: fc.integer({ min: 1, max: 4 }),
      intervalSecs: fc.integer({ min: 1, max: 60 }),
      cooldownSecs: fc.nat({ max: 600 }),
      maxShards: fc.nat({ max: 10 }),
      sustainEvaluations: fc.integer({ min: 1, max: 4 }),
    }),
    shardIds: ids,
    busyWith: fc.option(fc.constant('operation grow-a is running'), { nil: null }),
    loads,
    standbys: fc.nat({ max: 3 }),
    lastScaleAtMs: fc.option(fc.integer({ min: NOW - 700_000, max: NOW + 10_000 }), { nil: null }),
    streak: fc.nat({ max: 5 }),
    lowStreak: fc.nat({ max: 5 }),
    nowMs: fc.constant(NOW),
  });
  const loadOf = ({ loads: all }: DecisionInput, id: number): ShardLoad | undefined =>
    all.find((each) => each.shardId === id);
  const pointsOf = (each: DecisionInput, id: number): number | null => loadOf(each, id)?.points ?? null;

  it('gives a known reason with a sentence', () => {
    fc.assert(
      fc.property(inputs, (each) => {
        const { reason, message } = decide(each);
        expect(DECISION_REASONS).toContain(reason);
        expect(message).not.toMatch(/undefined|null|NaN/);
      }),
    );
  });

  it('shrinks only when every shard was read to be low, and the rest stay well below the marks', () => {
    fc.assert(
      fc.property(inputs, (each) => {
        const { reason, lowStreak, shardId } = decide(each);
        if (reason !== 'shrink') return;
        const { policy, shardIds } = each;
        expect(shardIds.every((id) => (pointsOf(each, id) ?? Infinity) < policy.lowWaterPoints)).toBe(true);
        expect(policy.enabled && each.busyWith === null && shardIds.length > policy.minShards).toBe(true);
        expect(cooldownLeftMs({ cooldownSecs: policy.shrinkCooldownSecs }, each.lastScaleAtMs, NOW)).toBe(0);
        expect(lowStreak).toBeGreaterThanOrEqual(policy.sustainEvaluations);
        const points = shardIds.map((id) => pointsOf(each, id) ?? 0);
        expect(pointsOf(each, shardId ?? -1)).toBe(Math.min(...points));
        const sum = points.reduce((total, of) => total + of, 0);
        if (policy.highWaterPoints > 0) expect(sum / (points.length - 1)).toBeLessThanOrEqual(policy.highWaterPoints);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is never calm, and never forgets a row, while a shard is unknown (INV-8)', () => {
    fc.assert(
      fc.property(inputs, (each) => {
        fc.pre(each.shardIds.some((id) => pointsOf(each, id) === null));
        const decision = decide(each);
        expect(decision.reason).not.toBe('below_mark');
        if (decision.reason === 'shard_unreadable') expect(decision.streak).toBe(each.streak);
      }),
    );
  });

  it('grows only when a shard of the map was read to be above the mark and nothing speaks against it', () => {
    fc.assert(
      fc.property(inputs, (each) => {
        const { reason, streak } = decide(each);
        if (reason !== 'grow') return;
        const { policy } = each;
        const isAbove = (of: 'points' | 'bytes', mark: number): boolean =>
          mark > 0 && each.shardIds.some((id) => (loadOf(each, id)?.[of] ?? 0) > mark);
        expect(isAbove('points', policy.highWaterPoints) || isAbove('bytes', policy.highWaterBytes)).toBe(true);
        expect(policy.enabled && each.busyWith === null && each.standbys > 0).toBe(true);
        expect(cooldownLeftMs(policy, each.lastScaleAtMs, NOW)).toBe(0);
        expect(policy.maxShards === 0 || each.shardIds.length < policy.maxShards).toBe(true);
        expect(streak).toBeGreaterThanOrEqual(policy.sustainEvaluations);
      }),
    );
  });
});
