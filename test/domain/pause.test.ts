import { isOver, pausedBy } from '../../src/domain/pause';
import { codeOf } from '../support/domain-builders';

const request = { reason: 'a release', untilMs: null, by: 'ops' };

describe('a pause', () => {
  it('begins when it is asked for, and holds nothing yet', () => {
    expect(pausedBy(undefined, request, 1_000)).toEqual({ ...request, sinceMs: 1_000, holds: false });
  });

  it('that is asked for again has the new words and the new end, and lasts since its beginning', () => {
    const before = { ...request, sinceMs: 1_000, holds: true };
    const again = { reason: 'still', untilMs: 9_000, by: 'other' };
    expect(pausedBy(before, again, 5_000)).toEqual({ ...again, sinceMs: 1_000, holds: true });
  });

  it('that is asked for after the end of another one is a new one', () => {
    const before = { ...request, untilMs: 2_000, sinceMs: 1_000, holds: true };
    expect(pausedBy(before, request, 5_000)).toMatchObject({ sinceMs: 5_000, holds: false });
  });

  it('is refused without a reason, with a long one, and with an end that has passed', () => {
    for (const change of [{ reason: '' }, { reason: 'x'.repeat(201) }, { untilMs: 1_000 }, { untilMs: NaN }]) {
      expect(codeOf(() => pausedBy(undefined, { ...request, ...change }, 1_000))).toBe('InvalidRequest');
    }
    expect(() => pausedBy(undefined, { ...request, reason: 'x'.repeat(200), untilMs: 1_001 }, 1_000)).not.toThrow();
  });

  it('is over at its end, and never without one', () => {
    expect(isOver(undefined, 0)).toBe(true);
    const pause = pausedBy(undefined, { ...request, untilMs: 2_000 }, 1_000);
    expect([isOver(pause, 1_999), isOver(pause, 2_000)]).toEqual([false, true]);
    expect(isOver({ ...pause, untilMs: null }, 1e15)).toBe(false);
  });
});
