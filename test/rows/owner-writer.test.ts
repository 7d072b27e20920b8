import { HeldRows, OwnerWriter } from '../../src/rows/owner-writer';
import type { Job, Row, RowShard } from '../../src/rows/ports';
import { keptRow, rowBytes } from '../../src/rows/row';

const JOB = { nowMs: () => 0 } as unknown as Job;

/** Rows of `bytes` bytes, each a view of a chunk that is 20 times as large. */
function viewedRow(id: string, bytes: number): Row {
  const chunk = Buffer.alloc(bytes * 20);
  chunk.write(id);
  return {
    id: chunk.subarray(0, id.length),
    vector: chunk.subarray(id.length, bytes),
    payload: Buffer.alloc(0),
  };
}

/** Shards that keep what was written, and answer a write when they are told to. */
class SlowOwners {
  readonly written: string[] = [];
  readonly batches: (readonly Row[])[] = [];
  #answers: ((error?: Error) => void)[] = [];

  readonly shard = (): RowShard =>
    ({
      upsert: async (_collection: string, rows: readonly Row[]): Promise<void> => {
        this.batches.push(rows);
        await new Promise<void>((resolve, reject) => {
          this.#answers.push((error) => (error === undefined ? resolve() : reject(error)));
        });
        this.written.push(...rows.map(({ id }) => id.toString()));
      },
    }) as unknown as RowShard;

  answer(error?: Error): void {
    for (const answer of this.#answers.splice(0)) answer(error);
  }

  async answerAll(until: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = until.finally(() => {
      isOver = true;
    });
    over.catch(() => undefined);
    while (!isOver) {
      this.answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await over;
  }
}

const writerOf = (owners: SlowOwners, held: HeldRows) => new OwnerWriter(JOB, owners.shard, { priming: null, held });

it('keeps of a row nothing but the row', () => {
  const row = viewedRow('a', 300);
  const kept = keptRow(row);
  expect(kept).toEqual(row);
  expect(kept.vector.buffer).not.toBe(row.vector.buffer);
});

it('sends every row once, in order', async () => {
  const owners = new SlowOwners();
  const writer = writerOf(owners, new HeldRows());
  const ids = Array.from({ length: 5_000 }, (_, at) => `row-${at}`);
  const adding = (async () => {
    for (const id of ids) await writer.add(1, 'c', viewedRow(id, 100));
    await writer.flush();
  })();
  await owners.answerAll(adding);
  expect(owners.written).toEqual(ids);
});

it('lets all writers of a worker together hold no more than the bound, however many there are', async () => {
  const held = new HeldRows(100_000);
  const owners = new SlowOwners();
  let most = 0;
  const adding = Promise.all(
    Array.from({ length: 8 }, async (_, writerAt) => {
      const writer = writerOf(owners, held);
      for (let at = 0; at < 1_000; at++) {
        await writer.add(at % 3, 'c', viewedRow(`${writerAt}-${at}`, 400));
        most = Math.max(most, held.bytes);
      }
      await writer.flush();
      await writer.close();
    }),
  );
  await owners.answerAll(adding);
  expect(owners.written).toHaveLength(8_000);
  // Each writer may go one row beyond its share.
  expect(most).toBeLessThanOrEqual(100_000 + 8 * 400);
  expect(held.bytes).toBe(0);
  expect(held.writers).toBe(0);
});

it('lets a writer go on in whole calls while another one waits for a shard with all that may be held', async () => {
  const held = new HeldRows(1_000_000);
  const slow = new SlowOwners();
  const fast = new SlowOwners();
  const first = writerOf(slow, held);
  for (let at = 0; at < 1_900; at++) await first.add(at % 2, 'c', viewedRow(`${at}`, 500));
  const second = writerOf(fast, held);
  const adding = (async () => {
    for (let at = 0; at < 1_000; at++) await second.add(1, 'c', viewedRow(`${at}`, 450));
    await second.flush();
  })();
  await fast.answerAll(adding);
  expect(fast.written).toHaveLength(1_000);
  expect(fast.batches.length).toBeLessThanOrEqual(2);
  await slow.answerAll(first.close());
});

it('gives back what it held when a write fails, and when the copy ends in between', async () => {
  const held = new HeldRows();
  const owners = new SlowOwners();
  const writer = writerOf(owners, held);
  for (let at = 0; at < 1_500; at++) await writer.add(1, 'c', viewedRow(`${at}`, 100));
  expect(held.bytes).toBe(rowBytes(viewedRow('0', 100)) * 1_500);
  owners.answer(new Error('the shard is gone'));
  await expect(writer.flush()).rejects.toThrow('the shard is gone');
  await writer.close();
  expect(held.bytes).toBe(0);
});
