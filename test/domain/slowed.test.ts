import { SLOWED_OF_STEP_MAX, SLOWED_SHOWN_MAX } from '../../src/domain/limits';
import { SLOWED_BY, slowedInWords, worstOfAll, worstOfStep, type Slowed } from '../../src/domain/slowed';
import type { WorkLimits } from '../../src/domain/work-limits';

const LIMITS: WorkLimits = { maxBytesPerS: 1_000_000_000, maxRowsPerS: 5_000, deleteShare: 0.2 };
const many = (length: number): Slowed[] =>
  Array.from({ length }, (_, n) => ({ by: 'delete_latency', shardId: n, restShare: n / length }));

describe('what slows an operation down', () => {
  it('is told in words: which shard, what was seen, the bound, and how much it costs', () => {
    const latency = { shardId: 2, seenMs: 310, boundMs: 120 };
    expect(slowedInWords({ by: 'delete_latency', ...latency, restShare: 0.5 }, undefined)).toBe(
      'A delete on shard 2 takes 310 ms, the bound is 120 ms: it rests as long. The step stands still for 50 % of the time',
    );
    expect(slowedInWords({ by: 'write_latency', ...latency }, undefined)).toBe(
      'A write to shard 2 takes 310 ms, the bound is 120 ms: fewer rows go at once',
    );
    expect(slowedInWords({ by: 'max_rows_per_s', shardId: 0, restShare: 0.62 }, LIMITS)).toBe(
      'The step on shard 0 has used up its part of max_rows_per_s, which is 5000. The step stands still for 62 % of the time',
    );
    expect(slowedInWords({ by: 'max_bytes_per_s', shardId: null }, undefined)).toBe(
      'The step on a shard has used up its part of max_bytes_per_s',
    );
    expect(slowedInWords({ by: 'delete_share', shardId: 1 }, LIMITS)).toBe(
      'Deletes on shard 1 keep to delete_share, which is 0.2',
    );
    expect(slowedInWords({ by: 'asked_to_wait', shardId: null, seenMs: 1_500 }, LIMITS)).toBe(
      'A shard asked for a pause of 2 s',
    );
  });

  it('is told in sentences of at most 20 words, whatever it is', () => {
    for (const by of SLOWED_BY) {
      for (const shardId of [null, 1_023]) {
        const text = slowedInWords({ by, shardId, seenMs: 86_400_000, boundMs: 200, restShare: 1 }, LIMITS);
        for (const sentence of text.split('. ')) expect(sentence.split(' ').length).toBeLessThanOrEqual(20);
      }
    }
  });

  it('is cut to the worst, where a pause that a shard asked for is the worst of all', () => {
    const asked: Slowed = { by: 'asked_to_wait', shardId: 7, seenMs: 1 };
    const step = worstOfStep([...many(100), asked]);
    expect(step).toHaveLength(SLOWED_OF_STEP_MAX);
    expect(step.map(({ shardId }) => shardId)).toEqual([7, 99, 98, 97]);
    const all = worstOfAll([...many(100), asked]);
    expect(all).toHaveLength(SLOWED_SHOWN_MAX);
    expect(all[0]).toBe(asked);
    expect(all.at(-1)?.shardId).toBe(99);
  });
});
