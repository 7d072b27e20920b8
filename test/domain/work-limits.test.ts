import {
  isUnlimited,
  limitsOf,
  NO_CLUSTER_LIMITS,
  NO_LIMITS,
  requireClusterLimits,
  windowOpensAtMs,
} from '../../src/domain/work-limits';
import { codeOf } from '../support/domain-builders';

const at = (time: string): number => Date.parse(`2026-03-04T${time}Z`);
const opensAt = (activeFrom: string, activeTo: string, time: string): string | null => {
  const opensAtMs = windowOpensAtMs({ ...NO_CLUSTER_LIMITS, activeFrom, activeTo }, at(time));
  return opensAtMs === null ? null : new Date(opensAtMs).toISOString();
};

describe('the limits of an operation', () => {
  it('are its own, one by one, and else those of the cluster', () => {
    const cluster = { ...NO_CLUSTER_LIMITS, maxBytesPerS: 100, maxRowsPerS: 10 };
    expect(limitsOf({ maxBytesPerS: 5, deleteShare: 0.5 }, cluster)).toEqual({
      maxBytesPerS: 5,
      maxRowsPerS: 10,
      deleteShare: 0.5,
    });
    expect(limitsOf({ maxBytesPerS: null }, cluster).maxBytesPerS).toBe(100);
    expect(isUnlimited(limitsOf({}, null))).toBe(true);
  });
});

describe('the window in which operations work', () => {
  it('is always open where there is none', () => {
    expect(windowOpensAtMs(null, 0)).toBeNull();
    expect(windowOpensAtMs(NO_CLUSTER_LIMITS, 0)).toBeNull();
  });

  it.each([
    ['01:00', '05:00', '01:00:00', null],
    ['01:00', '05:00', '04:59:59.999', null],
    ['01:00', '05:00', '05:00:00', '2026-03-05T01:00:00.000Z'],
    ['01:00', '05:00', '00:59:59', '2026-03-04T01:00:00.000Z'],
    ['22:30', '04:00', '23:59:59', null],
    ['22:30', '04:00', '00:00:00', null],
    ['22:30', '04:00', '04:00:00', '2026-03-04T22:30:00.000Z'],
  ])('from %s to %s, seen at %s, opens at %s', (from, to, now, opens) => {
    expect(opensAt(from, to, now)).toBe(opens);
  });
});

describe('limits that mean nothing', () => {
  it.each([
    { maxBytesPerS: 0 },
    { maxRowsPerS: 1.5 },
    { maxRowsPerS: Infinity },
    { deleteShare: 0 },
    { deleteShare: 1.01 },
    { deleteShare: NaN },
    { activeFrom: '01:00' },
    { activeFrom: '24:00', activeTo: '01:00' },
    { activeFrom: '1:00', activeTo: '02:00' },
    { activeFrom: '01:00', activeTo: '01:00' },
  ])('as %j are refused', (change) => {
    expect(codeOf(() => requireClusterLimits({ ...NO_CLUSTER_LIMITS, ...change }))).toBe('InvalidRequest');
  });

  it('are not those at a bound', () => {
    const limits = { ...NO_LIMITS, maxBytesPerS: 1, maxRowsPerS: 1, deleteShare: 1 };
    expect(() => requireClusterLimits({ ...limits, activeFrom: '00:00', activeTo: '23:59' })).not.toThrow();
  });
});
