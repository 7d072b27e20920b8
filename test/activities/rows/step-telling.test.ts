import { StepTelling } from '../../../src/activities/rows/step-telling';
import { SLOWED_OF_STEP_MAX } from '../../../src/domain/limits';
import type { StepProgress } from '../../../src/domain/progress';
import type { Slowed } from '../../../src/domain/slowed';

const LATENCY: Slowed = { by: 'delete_latency', shardId: 2, seenMs: 310, boundMs: 120, restShare: 0.5 };
const DAY_S = 24 * 60 * 60;
const DONE = { rowsRead: 5, points: 4, bytes: 3, expected: 9 };
const SECOND_MS = 1_000;

let told: { readonly atMs: number; readonly step: StepProgress }[];
let nowMs: number;
let telling: StepTelling;
beforeEach(beginStep);

function beginStep(): void {
  told = [];
  nowMs = 0;
  telling = new StepTelling(0, 7, (step) => told.push({ atMs: nowMs, step }));
}

function run(seconds: number, each: (second: number) => void): void {
  for (let second = 1; second <= seconds; second++) {
    nowMs = second * SECOND_MS;
    each(second);
  }
}

describe('a step', () => {
  it('tells how far it has come ever more rarely, and names nothing that slows it down when nothing does', () => {
    run(DAY_S, () => {
      telling.report(DONE, nowMs);
      telling.slowed([], nowMs);
    });
    expect(told.length).toBeGreaterThan(50);
    expect(told.length).toBeLessThan(100);
    expect(told[0]).toEqual({ atMs: 2_000, step: { shardId: 7, ...DONE } });
  });

  it('tells within a second what begins to slow it down, and when that is over', () => {
    run(3_600, (second) => {
      telling.report(DONE, nowMs);
      telling.slowed(second >= 1_000 && second < 2_000 ? [LATENCY] : [], nowMs);
    });
    expect(told.find(({ step }) => step.slowed !== undefined)).toEqual({
      atMs: 1_000_000,
      step: { shardId: 7, ...DONE, slowed: [LATENCY] },
    });
    expect(told.find(({ atMs, step }) => atMs > 1_000_000 && step.slowed === undefined)?.atMs).toBe(2_000_000);
  });

  it('tells it also when it reports nothing else, as a drop', () => {
    run(60, () => telling.slowed([LATENCY], nowMs));
    expect(told[0]?.step).toEqual({ shardId: 7, points: 0, bytes: 0, rowsRead: 0, expected: 0, slowed: [LATENCY] });
    expect(told.length).toBeGreaterThan(1);
  });

  it('gives a rate, which holds for the step, the shard of the step', () => {
    run(3, () => telling.slowed([{ by: 'max_rows_per_s', shardId: null }, LATENCY], nowMs));
    expect(told[0]?.step.slowed).toEqual([{ by: 'max_rows_per_s', shardId: 7 }, LATENCY]);
  });

  it('makes its history longer by 24 signals and 512 bytes a signal at most, however often that changes in two days', () => {
    run(2 * DAY_S, () => telling.report(DONE, nowMs));
    const without = told.length;
    beginStep();
    const most = Array.from({ length: SLOWED_OF_STEP_MAX }, (_, n): Slowed => ({ ...LATENCY, shardId: 1_000 + n }));
    run(2 * DAY_S, (second) => {
      telling.report(DONE, nowMs);
      telling.slowed(second % 20 < 10 ? most : [], nowMs);
    });
    expect(told.length).toBeGreaterThan(without);
    expect(told.length).toBeLessThanOrEqual(without + 24);
    const bytes = told.map(({ step }) => JSON.stringify(step.slowed ?? []).length);
    expect(Math.max(...bytes)).toBeGreaterThan(100);
    expect(Math.max(...bytes)).toBeLessThanOrEqual(512);
  });
});
