import fc from 'fast-check';
import { forecast, lastMoveAtMs } from '../../src/domain/forecast';

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;
const START_MS = 1_800_000_000_000;
const evaluation = (minute: number, pointsMax: number | null, unreadable: number[] = []) => ({
  atMs: START_MS + minute * MINUTE_MS,
  pointsMax,
  unreadable,
});
const POLICY = { highWaterPoints: 10_000 };

describe('the forecast', () => {
  it('follows a straight growth exactly, whatever its pace', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 3, max: 20 }), (perMinute, kept) => {
        const newestFirst = Array.from({ length: kept }, (_, n) => evaluation(kept - n, (kept - n) * perMinute));
        expect(forecast(POLICY, newestFirst, null)).toEqual({
          pointsPerDay: perMinute * 1_440,
          daysUntilMark: Math.max(0, (10_000 - kept * perMinute) / (perMinute * 1_440)),
        });
      }),
    );
  });

  it('reads one point a minute as 1,440 a day', () => {
    const evaluations = [evaluation(2, 1_002), evaluation(1, 1_001), evaluation(0, 1_000)];
    expect(forecast(POLICY, evaluations, null)).toEqual({ pointsPerDay: 1_440, daysUntilMark: 8_998 / 1_440 });
  });

  it('never reaches a mark that does not come nearer, and has reached one that is below', () => {
    const shrinking = [evaluation(2, 998), evaluation(1, 999), evaluation(0, 1_000)];
    expect(forecast(POLICY, shrinking, null)).toEqual({ pointsPerDay: -1_440, daysUntilMark: null });
    expect(forecast({ highWaterPoints: 900 }, shrinking, null)).toMatchObject({ daysUntilMark: 0 });
    expect(forecast({ highWaterPoints: 0 }, shrinking, null)).toMatchObject({ daysUntilMark: null });
  });

  it.each([
    ['two evaluations', [evaluation(5, 2), evaluation(0, 1)], null],
    ['less than a minute', [evaluation(0.9, 3), evaluation(0.5, 2), evaluation(0, 1)], null],
    ['what could not be read', [evaluation(5, 3), evaluation(3, null), evaluation(2, 2, [1]), evaluation(0, 1)], null],
    ['what was before the last move', [evaluation(5, 3), evaluation(3, 2), evaluation(0, 1)], START_MS + 2 * MINUTE_MS],
    ['nothing', [], null],
  ])('is not known from %s', (_what, evaluations, movedAtMs) => {
    expect(forecast(POLICY, evaluations, movedAtMs)).toBeNull();
  });

  it('counts from the newest evaluation', () => {
    const evaluations = [evaluation(1_440, 9_000), evaluation(720, 8_500), evaluation(0, 8_000)];
    expect(forecast(POLICY, evaluations, null)).toEqual({ pointsPerDay: 1_000, daysUntilMark: 1 });
    expect(evaluations[0]!.atMs - evaluations[2]!.atMs).toBe(DAY_MS);
  });

  it('begins anew with the end of a grow or a drain, and waits for one that runs', () => {
    const ended = (kind: 'grow' | 'drain' | 'check', endedAtMs: number | null) => ({ kind, endedAtMs });
    expect(lastMoveAtMs([])).toBeNull();
    expect(lastMoveAtMs([ended('check', 9), ended('grow', 7), ended('drain', 8)])).toBe(8);
    expect(lastMoveAtMs([ended('grow', null), ended('drain', 8)])).toBe(Number.POSITIVE_INFINITY);
  });
});
