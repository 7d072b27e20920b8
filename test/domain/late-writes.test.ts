import { DEFAULT_TIMINGS } from '../../src/domain/limits';
import { clockSkewMs, lateWritesUntil, type ToldTime } from '../../src/domain/late-writes';

const NOW = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

const told = (change: Partial<ToldTime>): ToldTime => ({
  ...{ worker: 'w', atMs: NOW, behindMs: 0, requestsForMs: 0, earlierUntilMs: 0 },
  ...change,
});
const until = (lateWritesUntilMs: number, said?: ToldTime) =>
  lateWritesUntil({ lateWritesUntilMs, ...(said === undefined ? {} : { told: said }) }, DEFAULT_TIMINGS, NOW);

describe('the end of late writes', () => {
  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])(
    'is as far away as the worker says, by the clock of the workflow, when its own is an hour %s',
    (_title, skewMs) => {
      const atMs = NOW + skewMs;
      expect(until(atMs + 20_000, told({ atMs, requestsForMs: 20_000 }))).toBe(NOW + 20_000);
    },
  );

  it('is that of an earlier attempt which said nothing, by the clock of the server', () => {
    const atMs = NOW + HOUR_MS;
    expect(until(NOW + 40_000, told({ atMs, earlierUntilMs: NOW + 40_000 }))).toBe(NOW + 40_000);
  });

  it('is never further away than the longest life of an attempt, also when nobody says whose clock it is', () => {
    expect(until(NOW + HOUR_MS)).toBe(NOW + DEFAULT_TIMINGS.attemptMs);
    expect(until(0, told({ earlierUntilMs: NOW + HOUR_MS }))).toBe(NOW + DEFAULT_TIMINGS.attemptMs);
  });

  it('is over when nothing is late', () => {
    expect(until(0)).toBe(0);
    expect(until(0, told({ atMs: NOW - HOUR_MS }))).toBe(0);
  });
});

describe('the clock of a worker', () => {
  it.each([
    ['is ahead by what it shows more than the workflow', told({ atMs: NOW + 3_000 }), 3_000],
    ['is behind by what it showed less than the server', told({ atMs: NOW - 9_000, behindMs: 3_000 }), -3_000],
    ['passes for right up to 2 s', told({ atMs: NOW + 2_000, behindMs: 2_000 }), null],
    ['is not taken for behind because its word came late', told({ atMs: NOW - HOUR_MS }), null],
  ])('%s', (_title, said, skewMs) => {
    expect(clockSkewMs(said, NOW)).toBe(skewMs);
  });
});
