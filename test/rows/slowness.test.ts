/** In virtual time: what a job, its pace and its deletes note of what slows them down. */
import { NO_LIMITS, type WorkLimits } from '../../src/domain/work-limits';
import { HeldRows, OwnerWriter } from '../../src/rows/owner-writer';
import { PacedDelete } from '../../src/rows/paced-delete';
import type { Job, Row, RowShard } from '../../src/rows/ports';
import { Slowness } from '../../src/rows/slowness';

let ms: number;
let given: Partial<WorkLimits>;
let slowness: Slowness;
let job: Job;
beforeEach(() => {
  ms = 0;
  given = {};
  slowness = new Slowness(() => ms);
  job = {
    signal: new AbortController().signal,
    nowMs: () => ms,
    sleep: (sleptMs) => {
      ms += sleptMs;
      return Promise.resolve();
    },
    report: () => undefined,
    limits: () => ({ ...NO_LIMITS, ...given }),
    slowness,
  };
});

/** Each of its calls takes so long. */
function shard(id: number, tookMs: () => number): RowShard {
  const call = (): void => void (ms += tookMs());
  return {
    id,
    upsert: () => Promise.resolve(call()),
    delete: (_collection: string, ids: readonly Buffer[]) => Promise.resolve((call(), ids.length)),
  } as unknown as RowShard;
}

const ids = (length: number): Buffer[] => Array.from({ length }, (_, n) => Buffer.from(String(n)));
const row = (n: number): Row => ({ id: Buffer.from(String(n)), vector: Buffer.alloc(16), payload: Buffer.alloc(0) });

async function write(rows: number, to: RowShard): Promise<void> {
  const writer = new OwnerWriter(job, () => to, { priming: null, held: new HeldRows() });
  for (let n = 0; n < rows; n++) await writer.add(2, 'docs', row(n));
  await writer.flush();
  await writer.close();
}

describe('what slows a job down', () => {
  it('is nothing while calls are fast and nothing limits it', async () => {
    await write(
      5_000,
      shard(2, () => 20),
    );
    await new PacedDelete(
      job,
      shard(2, () => 5),
    ).delete('docs', ids(500));
    expect(slowness.now()).toEqual([]);
  });

  it('is a shard that takes long for a write, with what it takes and the bound', async () => {
    await write(
      1_500,
      shard(2, () => 310),
    );
    expect(slowness.now()).toEqual([{ by: 'write_latency', shardId: 2, seenMs: 310, boundMs: 200 }]);
  });

  it('is a shard that takes long for a delete, and the share of the time that the job rests for it', async () => {
    await new PacedDelete(
      job,
      shard(1, () => 300),
    ).delete('docs', ids(200));
    expect(slowness.now()).toEqual([{ by: 'delete_latency', shardId: 1, seenMs: 300, boundMs: 120, restShare: 0.5 }]);
  });

  it('is a share of the time, where that asks for more rest than the latency', async () => {
    given = { deleteShare: 0.1 };
    await new PacedDelete(
      job,
      shard(1, () => 10),
    ).delete('docs', ids(2_000));
    const [only, ...others] = slowness.now();
    expect(others).toEqual([]);
    expect(only).toMatchObject({ by: 'delete_share', shardId: 1 });
    expect(only?.restShare).toBeCloseTo(0.9, 1);
  });

  it.each([
    ['max_rows_per_s', { maxRowsPerS: 100, maxBytesPerS: 1_000_000 }],
    ['max_bytes_per_s', { maxRowsPerS: 1_000_000, maxBytesPerS: 1_000 }],
  ] as const)('is %s, of no shard, when that is the one that is used up', async (by, limits) => {
    given = limits;
    await write(
      1_000,
      shard(2, () => 1),
    );
    const [only, ...others] = slowness.now();
    expect(others).toEqual([]);
    expect(only).toMatchObject({ by, shardId: null });
    expect(only?.restShare).toBeGreaterThan(0.9);
  });

  it('is forgotten some seconds after it was seen last, and a rest counts for as long', () => {
    slowness.called('write_latency', 2, { tookMs: 250, boundMs: 200 });
    ms = 3_000;
    slowness.rested('max_rows_per_s', null, 2_000);
    expect(slowness.now().map(({ by, restShare }) => [by, restShare])).toEqual([
      ['max_rows_per_s', 0.33],
      ['write_latency', undefined],
    ]);
    ms = 10_500;
    expect(slowness.now().map(({ by }) => by)).toEqual(['max_rows_per_s']);
    ms = 13_500;
    expect(slowness.now()).toEqual([]);
  });

  it('of a shard that hangs is told until its next call can have ended', () => {
    slowness.called('delete_latency', 2, { tookMs: 20_000, boundMs: 120 });
    ms = 39_000;
    expect(slowness.now()).toHaveLength(1);
    ms = 40_000;
    expect(slowness.now()).toEqual([]);
  });

  it('is told once a second while the job works, also that nothing does, and by no timer', () => {
    const told: [number, number][] = [];
    const telling = new Slowness(
      () => ms,
      (slowed) => told.push([ms, slowed.length]),
    );
    for (ms = 100; ms <= 3_000; ms += 100) {
      if (ms < 1_500) telling.called('write_latency', 2, { tookMs: 20, boundMs: 200 });
      else telling.called('write_latency', 2, { tookMs: 250, boundMs: 200 });
    }
    ms = 14_000;
    telling.glance();
    expect(told).toEqual([
      [1_000, 0],
      [2_000, 1],
      [3_000, 1],
      [14_000, 0],
    ]);
  });

  it('counts rests side by side once', () => {
    ms = 1_000;
    slowness.rested('max_rows_per_s', null, 500);
    slowness.rested('max_rows_per_s', null, 500);
    expect(slowness.now()).toEqual([{ by: 'max_rows_per_s', shardId: null, restShare: 0.5 }]);
  });

  it('of a leftover has no id of a shard', () => {
    slowness.called('delete_latency', 'http://old:6333', { tookMs: 300, boundMs: 120 });
    expect(slowness.now()).toEqual([{ by: 'delete_latency', shardId: null, seenMs: 300, boundMs: 120 }]);
  });
});
