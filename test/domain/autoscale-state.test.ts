import {
  addStandby,
  markStandbys,
  NO_AUTOSCALE,
  recordEvaluation,
  refreshNotices,
  removeStandby,
  replacePolicy,
  seedAutoscale,
  type AutoscaleState,
} from '../../src/domain/autoscale-state';
import { DEFAULT_POLICY, type Evaluation } from '../../src/domain/autoscale-policy';
import { seedState, type ClusterState, type OperationEnd } from '../../src/domain/cluster-state';
import { EVALUATIONS_MAX, NAMED_NOTICES_MAX, STANDBYS_MAX, TEXT_CHARS_MAX } from '../../src/domain/limits';
import { announce, flip, release, reserve, takeOver, withdraw } from '../../src/domain/lock-transitions';
import { at, codeOf } from '../support/domain-builders';

const urls = ({ standbys }: AutoscaleState): string[] => standbys.map((each) => each.primary_url);
const ENABLED = { ...DEFAULT_POLICY, enabled: true, highWaterPoints: 10 };
const evaluation = (change: Partial<Evaluation> = {}): Evaluation => ({
  atMs: 1,
  reason: 'below_mark',
  message: 'calm',
  pointsMax: 1,
  unreadable: [],
  operationId: null,
  refusal: null,
  ...change,
});

describe('the seed of the policy', () => {
  it('is taken over once, and what comes later changes nothing', () => {
    const first = seedAutoscale(NO_AUTOSCALE, { policy: ENABLED, standbys: [at('a')], nowMs: 5 });
    expect(first).toMatchObject({ seeded: true, policy: ENABLED, standbys: [{ addedAtMs: 5, unusable: null }] });
    expect(seedAutoscale(first, { policy: DEFAULT_POLICY, standbys: [at('b')], nowMs: 6 })).toBe(first);
  });

  it('does not come after a policy that was set by hand', () => {
    const byHand = replacePolicy(NO_AUTOSCALE, ENABLED);
    expect(seedAutoscale(byHand, { policy: DEFAULT_POLICY, standbys: [], nowMs: 6 })).toBe(byHand);
  });

  it('keeps one of two standbys at the same address', () => {
    const before = addStandby(NO_AUTOSCALE, at('a'), 1);
    expect(urls(seedAutoscale(before, { policy: ENABLED, standbys: [at('a'), at('b')], nowMs: 2 }))).toEqual([
      'http://a:6333',
      'http://b:6333',
    ]);
  });
});

describe('what is too much for a state', () => {
  const long = 'x'.repeat(100_000);
  const standbys = Array.from({ length: STANDBYS_MAX }, (_, n) => at(`standby-${n}`));
  const pool = seedAutoscale(NO_AUTOSCALE, { policy: ENABLED, standbys, nowMs: 1 });

  it('is cut out of the reason of a standby and of the message of an evaluation', () => {
    const findings = [{ primaryUrl: 'http://standby-0:6333', problem: long }];
    const [marked] = markStandbys(pool, findings, 2).standbys;
    const [recorded] = recordEvaluation(pool, evaluation({ message: long }), { streak: 0 }).evaluations;
    for (const text of [marked?.unusable?.reason, recorded?.message]) {
      expect(text).toContain('characters left out');
      expect(text?.length).toBeLessThanOrEqual(TEXT_CHARS_MAX);
    }
  });

  it('is left out of all evaluations but the newest one, where a whole large cluster could not be read', () => {
    const unreadable = Array.from({ length: 1_024 }, (_, id) => id);
    const once = recordEvaluation(pool, evaluation({ unreadable }), { streak: 0 });
    const twice = recordEvaluation(once, evaluation({ unreadable }), { streak: 0 });
    expect(twice.evaluations.map((each) => each.unreadable.length)).toEqual([1_024, NAMED_NOTICES_MAX]);
  });

  it('is counted by a notice of its own, whose beginning stays', () => {
    const unreadable = Array.from({ length: 1_024 }, (_, id) => id);
    const findings = standbys.map(({ primary_url: primaryUrl }) => ({ primaryUrl, problem: long }));
    const marked = recordEvaluation(markStandbys(pool, findings, 2), evaluation({ unreadable, message: long }), {
      streak: 0,
    });
    const { notices } = refreshNotices(refreshNotices(marked, 5), 9);
    expect(notices).toHaveLength(2 * (NAMED_NOTICES_MAX + 1));
    expect(Math.max(...notices.map(({ message }) => message.length))).toBeLessThanOrEqual(TEXT_CHARS_MAX);
    expect(notices.filter(({ about }) => about.startsWith('more'))).toMatchObject([
      { code: 'ShardUnreadable', sinceMs: 5, message: expect.stringContaining('(20, 21, 22 and 1001 more)') },
      { code: 'StandbyUnusable', sinceMs: 5, message: expect.stringContaining('and 105 more') },
    ]);
  });
});

it('a new policy begins the row of evaluations above the mark again', () => {
  expect(replacePolicy({ ...NO_AUTOSCALE, streak: 3 }, ENABLED)).toMatchObject({ streak: 0, policy: ENABLED });
});

describe('the pool of standbys', () => {
  it('keeps the order in which they came', () => {
    const pool = ['a', 'b', 'c'].reduce((state, name) => addStandby(state, at(name), 1), NO_AUTOSCALE);
    expect(urls(removeStandby(pool, 'http://a:6333'))).toEqual(['http://b:6333', 'http://c:6333']);
  });

  it('refuses an address that any standby answers at, as primary or replica', () => {
    const pool = addStandby(NO_AUTOSCALE, at('a', 'r'), 1);
    expect(codeOf(() => addStandby(pool, at('r'), 2))).toBe('StandbyKnown');
    expect(codeOf(() => addStandby(pool, at('b', 'a'), 2))).toBe('StandbyKnown');
  });

  it('is bounded', () => {
    const full = Array.from({ length: STANDBYS_MAX }).reduce<AutoscaleState>(
      (state, _, n) => addStandby(state, at(`s${n}`), 1),
      NO_AUTOSCALE,
    );
    expect(codeOf(() => addStandby(full, at('more'), 1))).toBe('InvalidRequest');
  });

  it('refuses to remove a standby that it does not have', () => {
    expect(codeOf(() => removeStandby(NO_AUTOSCALE, 'http://a:6333'))).toBe('UnknownStandby');
  });

  it('marks one as unusable from the first time on, and takes the mark away when it is usable', () => {
    const pool = addStandby(addStandby(NO_AUTOSCALE, at('a'), 1), at('b'), 1);
    const down = (reason: string) => [{ primaryUrl: 'http://a:6333', problem: reason }];
    const marked = markStandbys(markStandbys(pool, down('down'), 10), down('still down'), 20);
    expect(marked.standbys.map((each) => each.unusable)).toEqual([
      { reason: 'still down', sinceMs: 10, triedAtMs: 20 },
      null,
    ]);
    const up = markStandbys(marked, [{ primaryUrl: 'http://a:6333', problem: null }], 30);
    expect(up.standbys[0]?.unusable).toBeNull();
  });

  it('passes over findings about a standby that is gone meanwhile', () => {
    expect(markStandbys(NO_AUTOSCALE, [{ primaryUrl: 'http://a:6333', problem: 'down' }], 1).standbys).toEqual([]);
  });
});

it('remembers a bounded number of evaluations, newest first', () => {
  let state = NO_AUTOSCALE;
  for (let atMs = 1; atMs <= EVALUATIONS_MAX + 5; atMs++)
    state = recordEvaluation(state, evaluation({ atMs }), { streak: 2 });
  expect(state.evaluations).toHaveLength(EVALUATIONS_MAX);
  expect(state.streak).toBe(2);
  expect(state.evaluations[0]?.atMs).toBe(EVALUATIONS_MAX + 5);
});

describe('what an operator must notice', () => {
  const after = (change: Partial<Evaluation>, state: AutoscaleState, nowMs: number): AutoscaleState =>
    refreshNotices(recordEvaluation(state, evaluation(change), { streak: 0 }), nowMs);
  const enabled = { ...NO_AUTOSCALE, policy: ENABLED };
  const codes = (state: AutoscaleState): string[] => state.notices.map((each) => each.code);

  it.each([
    ['NoStandbyLeft', { reason: 'no_standby' }],
    ['CapReached', { reason: 'at_cap' }],
    ['ShardUnreadable', { reason: 'shard_unreadable', unreadable: [1] }],
    ['ShardUnreadable', { reason: 'grow', unreadable: [1] }],
    ['GrowRefused', { reason: 'grow', refusal: 'DonorUnreachable' }],
  ] as const)('is %s after an evaluation with %j, until one without', (code, change) => {
    const noticed = after(change, enabled, 7);
    expect(noticed.notices).toMatchObject([{ code, sinceMs: 7 }]);
    expect(codes(after({}, noticed, 8))).toEqual([]);
  });

  it('keeps its beginning for longer than evaluations are remembered', () => {
    let state = after({ reason: 'no_standby', message: 'first words' }, enabled, 100);
    for (let n = 1; n <= 2 * EVALUATIONS_MAX; n++)
      state = after({ reason: 'no_standby', message: `${n}` }, state, 100 + n);
    expect(state.notices).toMatchObject([{ sinceMs: 100, message: `${2 * EVALUATIONS_MAX}` }]);
  });

  it('tells unreadable shards and unusable standbys apart', () => {
    const pool = markStandbys(addStandby(enabled, at('a'), 1), [{ primaryUrl: 'http://a:6333', problem: 'down' }], 2);
    const state = after({ reason: 'shard_unreadable', unreadable: [0, 3] }, pool, 3);
    expect(state.notices.map((each) => each.about)).toEqual(['shard 0', 'shard 3', 'http://a:6333']);
  });

  it('is nothing while the policy is disabled', () => {
    expect(codes(after({ reason: 'no_standby' }, NO_AUTOSCALE, 1))).toEqual([]);
  });
});

describe('a grow that takes a standby', () => {
  const pool = (): ClusterState => {
    const autoscale = ['a', 'b'].reduce<AutoscaleState>((state, name) => addStandby(state, at(name), 1), {
      ...NO_AUTOSCALE,
      policy: ENABLED,
      lastScaleAtMs: 50,
    });
    return { ...seedState([at('s0'), at('s1')]), autoscale };
  };
  const take = (state: ClusterState, operationId: string, name: string): ClusterState =>
    reserve(state, { operationId, request: { kind: 'grow', shards: [at(name)], fromStandby: true }, nowMs: 100 });
  const end = (state: ClusterState, operationId: string, how: OperationEnd, code: string | null = null): ClusterState =>
    release(state, { operationId, end: how, code, pointsMoved: 0, message: 'why', nowMs: 200 });

  it('takes standby, cooldown and lock in one transition', () => {
    const taken = take(pool(), 'grow-1', 'a');
    expect(taken.lock).toMatchObject({ operationId: 'grow-1', standby: { lastScaleBeforeMs: 50 } });
    expect(urls(taken.autoscale)).toEqual(['http://b:6333']);
    expect(taken.autoscale.lastScaleAtMs).toBe(100);
  });

  it('is refused, and takes nothing, when another evaluation was faster', () => {
    const taken = take(pool(), 'grow-1', 'a');
    expect(codeOf(() => take(taken, 'grow-2', 'b'))).toBe('OperationInProgress');
    const gone = { ...taken, lock: null };
    expect(codeOf(() => take(gone, 'grow-2', 'a'))).toBe('UnknownStandby');
  });

  it('takes one once, however often it asks', () => {
    const taken = take(pool(), 'grow-1', 'a');
    expect(take(taken, 'grow-1', 'a')).toBe(taken);
  });

  it('keeps the standby for good when it flipped', () => {
    const flipped = flip(announce(take(pool(), 'grow-1', 'a'), 'grow-1'), 'grow-1');
    expect(urls(end(flipped, 'grow-1', 'succeeded').autoscale)).toEqual(['http://b:6333']);
  });

  it('gives it back to the front after an undo, marked, with the cooldown going on (INV-7)', () => {
    const undone = withdraw(announce(take(pool(), 'grow-1', 'a'), 'grow-1'), 'grow-1');
    const { autoscale } = end(undone, 'grow-1', 'failed', 'PatienceExhausted');
    expect(urls(autoscale)).toEqual(['http://a:6333', 'http://b:6333']);
    expect(autoscale.standbys[0]).toMatchObject({ addedAtMs: 1, unusable: { reason: 'why', sinceMs: 200 } });
    expect(autoscale.lastScaleAtMs).toBe(100);
  });

  it('gives it back without a mark after a cancel', () => {
    const undone = withdraw(announce(take(pool(), 'grow-1', 'a'), 'grow-1'), 'grow-1');
    expect(end(undone, 'grow-1', 'cancelled').autoscale.standbys[0]?.unusable).toBeNull();
  });

  it.each([
    ['JoinerUnreachable', true],
    ['DonorUnreachable', false],
  ])('gives cooldown and standby back as they were after a refusal with %s', (code, isMarked) => {
    const { autoscale } = end(take(pool(), 'grow-1', 'a'), 'grow-1', 'refused', code);
    expect(urls(autoscale)).toEqual(['http://a:6333', 'http://b:6333']);
    expect(autoscale.lastScaleAtMs).toBe(50);
    expect(autoscale.standbys[0]?.unusable !== null).toBe(isMarked);
  });

  it('is given back by the recovery of a terminated operation', () => {
    const announced = announce(take(pool(), 'grow-1', 'a'), 'grow-1');
    const recovering = takeOver(announced, { operationId: 'recover-1', from: 'grow-1', nowMs: 150 });
    const { autoscale, lock } = end(withdraw(recovering, 'recover-1'), 'recover-1', 'succeeded');
    expect(lock).toBeNull();
    expect(urls(autoscale)).toEqual(['http://a:6333', 'http://b:6333']);
  });

  it('is not given back twice when it was added by hand meanwhile', () => {
    const undone = withdraw(announce(take(pool(), 'grow-1', 'a'), 'grow-1'), 'grow-1');
    const again = { ...undone, autoscale: addStandby(undone.autoscale, at('a'), 150) };
    expect(urls(end(again, 'grow-1', 'failed').autoscale)).toEqual(['http://b:6333', 'http://a:6333']);
  });
});
