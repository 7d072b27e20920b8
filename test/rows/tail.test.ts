import type { Job, RowShard, ScanEvent } from '../../src/rows/ports';
import { Slice } from '../../src/rows/slice';
import { Tail } from '../../src/rows/tail';

/** Every row of shard 0 moves to shard 1. */
const slice = new Slice({ shards: [0, 1], joining: [], leaving: [0] }, 0);
const moving = Array.from({ length: 110_000 }, (_, n) => Buffer.from(`id-${n}`)).filter(
  (id) => slice.ownerOf(id) !== null,
);
const [first, second] = moving as [Buffer, Buffer];

/** What a shard tells, when the test says so. */
class Told implements AsyncIterator<ScanEvent> {
  readonly #events: (ScanEvent | null)[] = [];
  #wake: () => void = () => undefined;

  tell(...events: (ScanEvent | null)[]): Promise<void> {
    this.#events.push(...events);
    this.#wake();
    return new Promise((resolve) => setImmediate(resolve));
  }

  async next(): Promise<IteratorResult<ScanEvent>> {
    while (this.#events.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    const event = this.#events.shift();
    return event == null ? { done: true, value: undefined } : { done: false, value: event };
  }
}

let told: Told;
let tail: Tail;
beforeEach(() => {
  told = new Told();
  tail = new Tail(told, slice, { end: () => undefined, of: { kind: 'primary' } });
});

const changed = (id: Buffer, isDelete = false): ScanEvent => ({ kind: 'changed', collection: 'c', id, isDelete });

describe('a tail', () => {
  it('names each id once, in byte order, and tells what came before it was taken from what came after', async () => {
    await told.tell(changed(second), changed(first), changed(second));
    const taken = tail.take().get('c');
    expect(taken).toEqual([first, second].sort((a, b) => a.compare(b)));
    await told.tell(changed(first));
    expect(tail.take().get('c')).toEqual([first]);
  });

  it('takes one delete of its own operation for no news, and the next one for a change', async () => {
    tail.expectDeletes('c', [first, second]);
    await told.tell(changed(first, true), changed(second), changed(second, true));
    expect(tail.ids('c')).toEqual([second]);
    await told.tell(changed(first, true));
    expect(tail.has('c', first)).toBe(true);
  });

  it('keeps no more own deletes than a call has, and none when it is lost', async () => {
    tail.expectDeletes('c', moving.slice(0, 20_000));
    await told.tell(changed(moving[19_999]!, true), changed(moving[0]!, true));
    expect(tail.ids('c')).toEqual([moving[19_999]]);
    await told.tell(null);
    expect(tail.isKept).toBe(false);
    tail.expectDeletes('c', moving.slice(0, 5));
  });

  it('is lost behind more changes than it remembers', async () => {
    await told.tell(...moving.slice(0, 50_000).map((id) => changed(id)));
    expect(tail.isKept).toBe(true);
    await told.tell(changed(moving[50_000]!));
    expect(tail.isKept).toBe(false);
  });

  it('says of which collections the rows went without being named', async () => {
    await told.tell({ kind: 'collection-created', collection: 'a' }, { kind: 'collection-dropped', collection: 'b' });
    expect(['a', 'b'].map((name) => tail.wasDropped(name))).toEqual([false, true]);
  });
});

describe('a tail that is asked whether it is up to date', () => {
  let nowMs = 0;
  const sleeps: number[] = [];
  let barriers: string[] = [];
  beforeEach(() => {
    nowMs = 0;
    sleeps.length = 0;
    barriers = [];
  });
  const shard = {
    setBarrier: (barrier: string) => Promise.resolve(barriers.push(barrier) > 0),
  } as unknown as RowShard;
  const jobOf = (onSleep: (slept: number) => void): Job =>
    ({
      nowMs: () => nowMs,
      sleep: async (ms: number) => {
        nowMs += ms;
        sleeps.push(ms);
        onSleep(sleeps.length);
        await new Promise((resolve) => setImmediate(resolve));
      },
    }) as unknown as Job;

  it('says so when what the shard was given just now has come, and not before', async () => {
    const job = jobOf((slept) => {
      if (slept === 3) void told.tell(changed(first), { kind: 'barrier', barrier: barriers[0]! });
    });
    expect(await tail.toldSoFar(job, shard)).toBe('all');
    expect(sleeps.length).toBeGreaterThanOrEqual(3);
    expect(tail.has('c', first)).toBe(true);
  });

  it.each([
    ['the barrier of another call comes', () => void told.tell({ kind: 'barrier', barrier: 'other' })],
    ['nothing comes', () => undefined],
    ['it is lost meanwhile', () => void told.tell({ kind: 'tail-lost' })],
  ])('says no when %s', async (_title, onSleep) => {
    expect(await tail.toldSoFar(jobOf(onSleep), shard)).toBe('not-all');
    expect(nowMs).toBeLessThanOrEqual(5_005);
  });

  it('cannot say of a shard that has no place for a barrier', async () => {
    const bare = { setBarrier: () => Promise.resolve(false) } as unknown as RowShard;
    expect(
      await tail.toldSoFar(
        jobOf(() => undefined),
        bare,
      ),
    ).toBe('unknown');
  });
});
