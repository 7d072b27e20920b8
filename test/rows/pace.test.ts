import { NO_LIMITS, type WorkLimits } from '../../src/domain/work-limits';
import { HeldRows, OwnerWriter } from '../../src/rows/owner-writer';
import { Pace, restAfterDelete } from '../../src/rows/pace';
import { PacedDelete } from '../../src/rows/paced-delete';
import type { Job, Row, RowShard } from '../../src/rows/ports';

const row = (bytes: number): Row => ({
  id: Buffer.alloc(1),
  vector: Buffer.alloc(bytes - 1),
  payload: Buffer.alloc(0),
});
const rows = (length: number, bytes = 10): Row[] => Array.from({ length }, () => row(bytes));

/** A job in virtual time, whose limits a test may change at any moment of it. */
class LimitedJob {
  ms = 0;
  given: Partial<WorkLimits> = {};
  /** Called before each sleep. */
  onSleep: () => void = () => undefined;

  readonly job = {
    nowMs: () => this.ms,
    sleep: (ms: number) => {
      this.onSleep();
      this.ms += ms;
      return Promise.resolve();
    },
    limits: () => ({ ...NO_LIMITS, ...this.given }),
  } as unknown as Job;
}

async function write(pace: Pace, batch: readonly Row[]): Promise<void> {
  await pace.ready();
  pace.owe(batch);
}

describe('the pace of a job', () => {
  it('is that of its rows a second, whatever the size of its calls', async () => {
    for (const size of [1, 7, 500]) {
      const limited = new LimitedJob();
      limited.given = { maxRowsPerS: 100 };
      const pace = new Pace(limited.job);
      for (let left = 1_000; left > 0; left -= size) await write(pace, rows(Math.min(size, left)));
      await pace.ready();
      expect(limited.ms).toBeGreaterThanOrEqual(9_990);
      expect(limited.ms).toBeLessThanOrEqual(12_000);
    }
  });

  it('is that of its bytes a second where that is the tighter limit', async () => {
    const limited = new LimitedJob();
    limited.given = { maxRowsPerS: 1_000_000, maxBytesPerS: 1_000 };
    const pace = new Pace(limited.job);
    for (let n = 0; n < 10; n++) await write(pace, rows(100));
    await pace.ready();
    expect(limited.ms).toBeGreaterThanOrEqual(9_990);
    expect(limited.ms).toBeLessThanOrEqual(11_000);
  });

  it('saves nothing up for a time without writes', async () => {
    const limited = new LimitedJob();
    limited.given = { maxRowsPerS: 100 };
    const pace = new Pace(limited.job);
    limited.ms = 60_000;
    for (let n = 0; n < 10; n++) await write(pace, rows(100));
    await pace.ready();
    expect(limited.ms - 60_000).toBeGreaterThanOrEqual(9_900);
  });

  it('follows a limit that changes while it waits, and one that goes', async () => {
    const limited = new LimitedJob();
    limited.given = { maxRowsPerS: 1 };
    const pace = new Pace(limited.job);
    await write(pace, rows(1_000));
    limited.onSleep = () => {
      if (limited.ms >= 2_000) limited.given = { maxRowsPerS: 1_000 };
    };
    await pace.ready();
    expect(limited.ms).toBeLessThanOrEqual(4_000);
    limited.given = { maxRowsPerS: 1 };
    await write(pace, rows(1_000));
    limited.onSleep = () => {
      limited.given = {};
    };
    await pace.ready();
    expect(limited.ms).toBeLessThanOrEqual(5_000);
  });

  it('waits for nothing without limits', async () => {
    const limited = new LimitedJob();
    const pace = new Pace(limited.job);
    for (let n = 0; n < 10; n++) await write(pace, rows(1_000));
    await pace.ready();
    expect(limited.ms).toBe(0);
    expect(new Pace({ nowMs: () => 0 } as unknown as Job).atMost({ rows: 8, bytes: 9 })).toEqual({ rows: 8, bytes: 9 });
  });
});

describe('an OwnerWriter with limits', () => {
  it('writes at most as much as they say, in calls of a second', async () => {
    const limited = new LimitedJob();
    limited.given = { maxRowsPerS: 50 };
    const batches: number[] = [];
    const shard = {
      upsert: (_collection: string, written: readonly Row[]) => {
        batches.push(written.length);
        return Promise.resolve();
      },
    } as unknown as RowShard;
    const writer = new OwnerWriter(limited.job, () => shard, { priming: null, held: new HeldRows() });
    for (const each of rows(1_000)) await writer.add(1, 'docs', each);
    await writer.flush();
    expect(writer.points).toBe(1_000);
    expect(Math.max(...batches)).toBeLessThanOrEqual(50);
    expect(limited.ms).toBeGreaterThanOrEqual(18_000);
    expect(limited.ms).toBeLessThanOrEqual(22_000);
  });
});

describe('deletes with a share of the time', () => {
  it('take at most that share', async () => {
    for (const deleteShare of [0.1, 0.5]) {
      const limited = new LimitedJob();
      limited.given = { deleteShare };
      let tookMs = 0;
      const shard = {
        delete: (_collection: string, ids: readonly Buffer[]) => {
          tookMs += 10;
          limited.ms += 10;
          return Promise.resolve(ids.length);
        },
      } as unknown as RowShard;
      const ids = Array.from({ length: 2_000 }, (_, n) => Buffer.from(String(n)));
      expect(await new PacedDelete(limited.job, shard).delete('docs', ids)).toBe(2_000);
      expect(tookMs / limited.ms).toBeLessThanOrEqual(deleteShare);
      expect(tookMs / limited.ms).toBeGreaterThan(deleteShare * 0.9);
    }
  });

  it('go on at once when the limit goes', async () => {
    const limited = new LimitedJob();
    limited.given = { deleteShare: 0.001 };
    limited.onSleep = () => {
      limited.given = {};
    };
    await restAfterDelete(limited.job, { shard: 0, tookMs: 1_000, atLeastMs: 0 });
    expect(limited.ms).toBeLessThanOrEqual(500);
  });
});
