import { readState, seedState, type OperationLock } from '../../src/domain/cluster-state';
import { areLimitsByHand, replaceLimits, seedLimits } from '../../src/domain/limit-transitions';
import { NO_CLUSTER_LIMITS } from '../../src/domain/work-limits';
import { at, codeOf } from '../support/domain-builders';

const state = seedState([at('s0')]);

describe('the limits of the cluster', () => {
  it('are not in a state in which nobody has said any, as those of earlier releases', () => {
    expect(state).not.toHaveProperty('limits');
  });

  it('are replaced as a whole, touch nothing else, and go through continue-as-new', () => {
    const limits = { ...NO_CLUSTER_LIMITS, maxRowsPerS: 5 };
    const after = replaceLimits(state, limits);
    expect(after).toEqual({ ...state, limits });
    expect(readState(JSON.parse(JSON.stringify(after)) as typeof after)).toEqual(after);
    expect(replaceLimits(after, NO_CLUSTER_LIMITS).limits).toEqual(NO_CLUSTER_LIMITS);
  });

  it('keep nothing that is not theirs, so that the state is bounded', () => {
    const limits = { ...NO_CLUSTER_LIMITS, other: 'x' } as typeof NO_CLUSTER_LIMITS;
    expect(replaceLimits(state, limits).limits).toEqual(NO_CLUSTER_LIMITS);
  });

  it('are seeded by settings, and again by changed ones, until somebody sets them by hand', () => {
    const seed = { ...NO_CLUSTER_LIMITS, maxRowsPerS: 5 };
    const seeded = seedLimits(state, seed);
    expect(seeded).toEqual({ ...state, limits: seed, areLimitsSeeded: true });
    const again = seedLimits(seeded, { ...NO_CLUSTER_LIMITS, deleteShare: 0.5 });
    expect(again.limits).toEqual({ ...NO_CLUSTER_LIMITS, deleteShare: 0.5 });
    const byHand = replaceLimits(again, NO_CLUSTER_LIMITS);
    expect([areLimitsByHand(state), areLimitsByHand(again), areLimitsByHand(byHand)]).toEqual([false, false, true]);
    expect(seedLimits(byHand, seed)).toBe(byHand);
    expect(readState(JSON.parse(JSON.stringify(again)) as typeof again)).toEqual(again);
  });

  it('of an earlier release count as set by hand', () => {
    const before = { ...state, limits: { ...NO_CLUSTER_LIMITS, maxRowsPerS: 9 } };
    expect(seedLimits(before, { ...NO_CLUSTER_LIMITS, maxRowsPerS: 5 })).toBe(before);
  });

  it('are not lifted by settings that say nothing, which were lost perhaps', () => {
    const seeded = seedLimits(state, { ...NO_CLUSTER_LIMITS, maxRowsPerS: 5 });
    expect(seedLimits(seeded, NO_CLUSTER_LIMITS)).toBe(seeded);
    expect(seedLimits(state, NO_CLUSTER_LIMITS)).toBe(state);
  });

  it('are only tightened by settings while an operation holds the lock, and a window is never changed then', () => {
    const lock = { operationId: 'grow-a' } as OperationLock;
    const loose = { maxBytesPerS: 900, maxRowsPerS: null, deleteShare: 0.9, activeFrom: '08:00', activeTo: '09:00' };
    const tight = { maxBytesPerS: 800, maxRowsPerS: 5, deleteShare: 0.1, activeFrom: '22:00', activeTo: '23:00' };
    const locked = { ...seedLimits(state, tight), lock };
    expect(seedLimits(locked, loose).limits).toEqual({ ...tight });
    const window = { activeFrom: '08:00', activeTo: '09:00' };
    expect(seedLimits({ ...seedLimits(state, loose), lock }, tight).limits).toEqual({ ...tight, ...window });
    expect(seedLimits({ ...state, lock }, loose).limits).toEqual(loose);
    expect(seedLimits({ ...locked, lock: null }, loose).limits).toEqual(loose);
  });

  it('are refused when they mean nothing', () => {
    expect(codeOf(() => replaceLimits(state, { ...NO_CLUSTER_LIMITS, maxRowsPerS: -1 }))).toBe('InvalidRequest');
    expect(codeOf(() => replaceLimits(state, { ...NO_CLUSTER_LIMITS, activeTo: '01:00' }))).toBe('InvalidRequest');
    expect(codeOf(() => seedLimits(state, { ...NO_CLUSTER_LIMITS, deleteShare: 2 }))).toBe('InvalidRequest');
  });
});
