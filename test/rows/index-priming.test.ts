import { IndexPriming, PrimingTurns } from '../../src/rows/remote/index-priming';
import type { RemoteJob } from '../../src/rows/remote/remote-job';
import type { ShardClient } from '../../src/shards/http/shard-client';

/** A shard that builds its index while it is searched, and answers no search that is overtaken by a write. */
class BuildingShard {
  count = 0;
  isReady = false;
  overtaken = 0;
  #isBuilding = false;

  write(rows: number): Promise<void> {
    if (this.#isBuilding) this.overtaken += 1;
    this.count += rows;
    return Promise.resolve();
  }

  readonly client = {
    leaderUrl: 'http://joiner:6333',
    getCollection: () =>
      Promise.resolve({
        ...{ name: 'docs', dim: 2, count: this.count, index: 'hnsw', index_ready: this.isReady },
        ...{ metric: 'cosine', schema: '{"index":"hnsw"}' },
      }),
    search: async () => {
      this.#isBuilding = true;
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.#isBuilding = false;
      this.isReady = true;
    },
  } as unknown as ShardClient;
}

const JOB = {
  signal: new AbortController().signal,
  nowMs: () => 0,
  reading: { deadlineMs: Number.MAX_SAFE_INTEGER },
} as unknown as RemoteJob;

it('lets no job of a worker write into a build that another one of its jobs has begun', async () => {
  const shard = new BuildingShard();
  const turns = new PrimingTurns();
  const copy = async (): Promise<number> => {
    const priming = new IndexPriming(JOB, () => shard.client, turns);
    const primed = await priming.prime(2, 'docs', (rows) => shard.write(rows));
    await shard.write(1_000);
    return primed;
  };
  expect(await Promise.all([copy(), copy(), copy()])).toEqual([256, 0, 0]);
  expect(shard.overtaken).toBe(0);
  expect(shard.count).toBe(256 + 3 * 1_000);
});

it('gives the turn on when the first rows cannot be written', async () => {
  const shard = new BuildingShard();
  const turns = new PrimingTurns();
  const first = new IndexPriming(JOB, () => shard.client, turns).prime(2, 'docs', () =>
    Promise.reject(new Error('refused')),
  );
  const second = new IndexPriming(JOB, () => shard.client, turns).prime(2, 'docs', (rows) => shard.write(rows));
  await expect(first).rejects.toThrow('refused');
  expect(await second).toBe(256);
});

it('makes one collection wait for itself alone', async () => {
  const turns = new PrimingTurns();
  let end = (): void => undefined;
  const slow = turns.take('a', () => new Promise<void>((resolve) => (end = resolve)));
  expect(await turns.take('b', () => Promise.resolve('b'))).toBe('b');
  end();
  await slow;
});
