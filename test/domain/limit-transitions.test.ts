import { readState, seedState } from '../../src/domain/cluster-state';
import { replaceLimits } from '../../src/domain/limit-transitions';
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

  it('are refused when they mean nothing', () => {
    expect(codeOf(() => replaceLimits(state, { ...NO_CLUSTER_LIMITS, maxRowsPerS: -1 }))).toBe('InvalidRequest');
    expect(codeOf(() => replaceLimits(state, { ...NO_CLUSTER_LIMITS, activeTo: '01:00' }))).toBe('InvalidRequest');
  });
});
