import { DELETE_IDS_MAX, PacedDelete } from '../../src/rows/paced-delete';
import type { Job, RowShard } from '../../src/rows/ports';

const ids = (length: number): Buffer[] => Array.from({ length }, (_, n) => Buffer.from(`id-${n}`));

/** A shard that takes `msOf` for so many ids, in virtual time. */
function shardThatTakes(msOf: (idsInCall: number) => number) {
  let nowMs = 0;
  const calls: { readonly ids: number; readonly tookMs: number }[] = [];
  let sleptMs = 0;
  const job: Pick<Job, 'nowMs' | 'sleep'> = {
    nowMs: () => nowMs,
    sleep: (ms) => {
      sleptMs += ms;
      nowMs += ms;
      return Promise.resolve();
    },
  };
  const shard: Pick<RowShard, 'delete'> = {
    delete: (_collection, some) => {
      const tookMs = msOf(some.length);
      nowMs += tookMs;
      calls.push({ ids: some.length, tookMs });
      return Promise.resolve(some.length);
    },
  };
  const paced = new PacedDelete(job as Job, shard as RowShard);
  return { paced, calls, nowMs: () => nowMs, sleptMs: () => sleptMs };
}

describe('PacedDelete', () => {
  it('deletes every id once, and counts what was there', async () => {
    const { paced, calls } = shardThatTakes((n) => n / 2);
    expect(await paced.delete('docs', ids(1_234))).toBe(1_234);
    expect(calls.reduce((sum, call) => sum + call.ids, 0)).toBe(1_234);
  });

  it('holds a shard for about 30 ms a call, without a rest, whatever an id costs', async () => {
    for (const msPerId of [0.1, 0.5, 2]) {
      const { paced, calls, sleptMs } = shardThatTakes((n) => 1 + n * msPerId);
      await paced.delete('docs', ids(3_000));
      expect(Math.max(...calls.slice(8).map(({ tookMs }) => tookMs))).toBeLessThanOrEqual(32);
      expect(sleptMs()).toBe(0);
    }
  });

  it('does not shrink for a time that is not that of the ids', async () => {
    const { paced, calls, nowMs } = shardThatTakes((n) => 35 + n / 2);
    await paced.delete('docs', ids(5_000));
    expect(Math.min(...calls.slice(8, -1).map((call) => call.ids))).toBeGreaterThanOrEqual(25);
    expect(Math.max(...calls.map(({ tookMs }) => tookMs))).toBeLessThanOrEqual(61);
    expect(nowMs()).toBeLessThan(10_000);
  });

  it('takes short calls again when the long ones are over', async () => {
    let fixedMs = 100;
    const { paced, calls } = shardThatTakes((n) => fixedMs + n / 2);
    await paced.delete('docs', ids(2_000));
    fixedMs = 1;
    calls.length = 0;
    await paced.delete('docs', ids(5_000));
    expect(Math.max(...calls.slice(10).map(({ tookMs }) => tookMs))).toBeLessThanOrEqual(32);
  });

  it('takes no more ids than a shard takes in one call', async () => {
    const { paced, calls } = shardThatTakes(() => 1);
    await paced.delete('docs', ids(20_000));
    expect(Math.max(...calls.map((call) => call.ids))).toBe(DELETE_IDS_MAX);
  });

  it('gives a crowded shard as much time as it takes', async () => {
    const { paced, nowMs, sleptMs } = shardThatTakes(() => 200);
    await paced.delete('docs', ids(100));
    expect(sleptMs()).toBe(nowMs() / 2);
  });

  it('asks right before each call which ids may still go', async () => {
    const { paced, calls } = shardThatTakes((n) => n / 2);
    const asked: number[] = [];
    const deleted = await paced.delete('docs', ids(500), (some) => {
      asked.push(calls.length);
      return Promise.resolve(calls.length < 3 ? some : []);
    });
    expect(asked.slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect(calls).toHaveLength(3);
    expect(deleted).toBe(calls.reduce((sum, call) => sum + call.ids, 0));
  });

  it('does not take the short time of a few last ids for room', async () => {
    const { paced, calls } = shardThatTakes((n) => n);
    for (let n = 0; n < 50; n++) await paced.delete('docs', ids(3));
    await paced.delete('docs', ids(100));
    expect(Math.max(...calls.map((call) => call.ids))).toBeLessThanOrEqual(25);
  });
});
