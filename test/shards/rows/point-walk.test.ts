import fc from 'fast-check';
import { PAGE_OVERLAP_ROWS } from '../../../src/domain/limits';
import { ShardError } from '../../../src/shards/errors';
import type { PointElement } from '../../../src/shards/rows/point-stream';
import {
  fetchRows,
  idDigest,
  PointWalk,
  type PageSource,
  type WalkPosition,
} from '../../../src/shards/rows/point-walk';

const CTX = { deadlineMs: Number.MAX_SAFE_INTEGER };

interface PageRequest {
  readonly offset: number;
  readonly limit: number;
}

/** A shard in memory. Between two pages it changes as it is told. */
class ModelShard implements PageSource {
  readonly requests: PageRequest[] = [];
  readonly ids: Set<string>;
  readonly #limitMax: number;
  readonly #namesMaximum: boolean;
  readonly #beforePage: (page: number) => void;
  openPages = 0;

  constructor(options: {
    ids: readonly string[];
    limitMax?: number;
    namesMaximum?: boolean;
    beforePage?: (page: number, shard: ModelShard) => void;
  }) {
    this.ids = new Set(options.ids);
    this.#limitMax = options.limitMax ?? 10_000;
    this.#namesMaximum = options.namesMaximum ?? true;
    this.#beforePage = (page) => options.beforePage?.(page, this);
  }

  sorted(): string[] {
    return [...this.ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  async *fetchPage(_collection: string, page: PageRequest): AsyncGenerator<PointElement[]> {
    await Promise.resolve();
    if (page.limit > this.#limitMax) {
      const maximum = this.#namesMaximum ? `limit (${page.limit}) exceeds the maximum of ${this.#limitMax}` : 'no';
      throw new ShardError({
        code: 'BadRequest',
        method: 'POST',
        shardUrl: 'http://model',
        path: '/v1/collections/docs/fetch',
        status: 400,
        reason: `Bad Request: ${maximum}`,
      });
    }
    this.#beforePage(this.requests.length);
    this.requests.push({ offset: page.offset, limit: page.limit });
    const rows = this.sorted().slice(page.offset, page.offset + page.limit);
    this.openPages += 1;
    try {
      for (let start = 0; start < rows.length; start += 3) {
        yield rows.slice(start, start + 3).map((id) => ({ id: Buffer.from(id), raw: Buffer.from('{}') }));
      }
    } finally {
      this.openPages -= 1;
    }
  }
}

function walkOf(source: PageSource, from: WalkPosition | null = null): PointWalk {
  return new PointWalk({ source, collection: 'docs', withPayload: true, withVector: true, from, ctx: CTX });
}

/** The ids that the walk yields, up to `rowsMax` of them, and the position behind the last one. */
async function take(walk: PointWalk, rowsMax = Infinity): Promise<{ ids: string[]; position: WalkPosition | null }> {
  const ids: string[] = [];
  let position: WalkPosition | null = null;
  while (ids.length < rowsMax) {
    const batch = await walk.next();
    if (batch === null) break;
    for (let index = batch.start; index < batch.elements.length && ids.length < rowsMax; index++) {
      const { id } = batch.elements[index]!;
      ids.push(id.toString());
      position = { offset: batch.offset + index + 1, lastIdDigest: idDigest(id) };
    }
  }
  await walk.suspend();
  return { ids, position };
}

function expectRising(ids: readonly string[]): void {
  for (let index = 1; index < ids.length; index++) {
    expect(Buffer.compare(Buffer.from(ids[index - 1]!), Buffer.from(ids[index]!))).toBe(-1);
  }
}

/** Ids on both sides of the place where UTF-8 order and UTF-16 order part. */
const anId = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 200 }).map((n) => `p${String(n).padStart(3, '0')}`) },
  fc.constantFrom('\uff5e', '\u{10000}', '\u{1f600}', 'é', '', '/ %', '\u0000'),
);
/** Neighbours go together, so that more rows go before a cursor than two pages share. */
const aChange = fc
  .record({ from: fc.integer({ min: 0, max: 200 }), rows: fc.nat(60), insert: fc.array(anId, { maxLength: 6 }) })
  .map(({ from, rows, insert }) => ({
    remove: Array.from({ length: rows }, (_, n) => `p${String(from + n).padStart(3, '0')}`),
    insert,
  }));

describe('PointWalk', () => {
  it('yields every untouched row exactly once and in byte order, whatever comes and goes between two pages', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anId, { maxLength: 150 }),
        fc.array(fc.option(aChange), { maxLength: 12 }),
        fc.integer({ min: 2, max: 40 }),
        async (ids, changes, limitMax) => {
          const shard = new ModelShard({
            ids,
            limitMax,
            beforePage: (page, { ids: rows }) => {
              for (const id of changes[page]?.remove ?? []) rows.delete(id);
              for (const id of changes[page]?.insert ?? []) rows.add(id);
            },
          });
          const touched = new Set(changes.flatMap((change) => [...(change?.remove ?? []), ...(change?.insert ?? [])]));
          const seen = (await take(walkOf(shard))).ids;
          expectRising(seen);
          expect(seen.filter((id) => !touched.has(id)).sort()).toEqual(ids.filter((id) => !touched.has(id)).sort());
          expect(shard.openPages).toBe(0);
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each([
    [400, 60],
    [400, 199],
    [400, 200],
    [220, 200],
  ])('skips none of %i rows when %i of the 200 taken ones are deleted before the next page', async (rows, removed) => {
    const ids = Array.from({ length: rows }, (_, n) => `p${String(n).padStart(3, '0')}`);
    const beforePage = (page: number, shard: ModelShard): void => {
      if (page === 3) for (const id of ids.slice(0, removed)) shard.ids.delete(id);
    };
    const shard = new ModelShard({ ids, limitMax: 100, beforePage });
    expect((await take(walkOf(shard))).ids).toEqual(ids);
  });

  it('goes on behind its cursor without losing or repeating a row when rows before it came and went meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anId, { minLength: 1, maxLength: 150 }),
        aChange,
        fc.integer({ min: 1, max: 150 }),
        fc.integer({ min: 2, max: 40 }),
        async (ids, change, rowsFirst, limitMax) => {
          const shard = new ModelShard({ ids, limitMax });
          const first = await take(walkOf(shard), rowsFirst);
          const last = first.ids.at(-1)!;
          for (const id of change.remove) if (id !== last) shard.ids.delete(id);
          for (const id of change.insert) shard.ids.add(id);
          const resumed = walkOf(shard, first.position);
          expect(await resumed.open()).toBe(true);
          const seen = [...first.ids, ...(await take(resumed)).ids];
          expectRising(seen);
          const touched = new Set([...change.remove, ...change.insert]);
          expect(seen.filter((id) => !touched.has(id)).sort()).toEqual(ids.filter((id) => !touched.has(id)).sort());
        },
      ),
    );
  });

  it('finds its row again when 12,000 rows were inserted before it', async () => {
    const shard = new ModelShard({ ids: ['m', 'n', 'o'] });
    const { position } = await take(walkOf(shard), 2);
    for (let n = 0; n < 12_000; n++) shard.ids.add(`a${n}`);
    const resumed = walkOf(shard, position);
    expect(await resumed.open()).toBe(true);
    expect((await take(resumed)).ids).toEqual(['o']);
  });

  it('says that it begins again when the row at its cursor is gone', async () => {
    const shard = new ModelShard({ ids: ['a', 'b', 'c'] });
    const { position } = await take(walkOf(shard), 2);
    shard.ids.delete('b');
    const resumed = walkOf(shard, position);
    expect(await resumed.open()).toBe(false);
    expect((await take(resumed)).ids).toEqual(['a', 'c']);
  });

  it('begins the next page where it should when it is told what was deleted behind it', async () => {
    const ids = Array.from({ length: 25_000 }, (_, n) => `p${String(n).padStart(5, '0')}`);
    const shard = new ModelShard({ ids });
    const walk = walkOf(shard);
    let seen = 0;
    for (let batch = await walk.next(); batch !== null; batch = await walk.next()) {
      for (const { id } of batch.elements.slice(batch.start)) {
        shard.ids.delete(id.toString());
        seen += 1;
      }
      walk.rowsRemoved(batch.elements.length - batch.start);
    }
    expect(seen).toBe(25_000);
    // Asked for when half of the page before was there, and so deleted.
    expect(shard.requests.map((request) => request.offset)).toEqual([0, 4_902, 4_902, 4_902]);
  });

  it('overlaps its pages by PAGE_OVERLAP_ROWS and ends with the page that is shorter than its limit', async () => {
    const shard = new ModelShard({ ids: Array.from({ length: 10_000 }, (_, n) => `p${n}`) });
    expect((await take(walkOf(shard))).ids).toHaveLength(10_000);
    expect(shard.requests.map((request) => request.offset)).toEqual([0, 10_000 - PAGE_OVERLAP_ROWS]);
  });

  it.each([
    ['names its maximum', true],
    ['only refuses', false],
  ])('reads smaller pages from a shard that %s, and remembers it for the next walk', async (_title, namesMaximum) => {
    const ids = Array.from({ length: 900 }, (_, n) => `p${String(n).padStart(3, '0')}`);
    const shard = new ModelShard({ ids, limitMax: 300, namesMaximum });
    expect((await take(walkOf(shard))).ids).toEqual(ids);
    const limit = shard.requests[0]!.limit;
    expect(limit).toBe(namesMaximum ? 300 : 156);
    shard.requests.length = 0;
    await take(walkOf(shard));
    expect(new Set(shard.requests.map((request) => request.limit))).toEqual(new Set([limit]));
  });

  it('refuses a shard whose rows are not in byte order', async () => {
    const unordered: PageSource = {
      async *fetchPage() {
        yield ['b', 'a'].map((id) => ({ id: Buffer.from(id), raw: Buffer.from('{}') }));
      },
    };
    await expect(take(walkOf(unordered))).rejects.toThrow('rising byte order');
  });

  it('cancels a page that it asked for ahead and no longer needs, instead of waiting for it', async () => {
    const ids = Array.from({ length: 30 }, (_, n) => `p${String(n).padStart(3, '0')}`);
    const shard = new ModelShard({ ids, limitMax: 20 });
    let aborted: unknown = null;
    const source: PageSource = {
      async *fetchPage(collection, page, ctx) {
        if (page.offset === 0) return yield* shard.fetchPage(collection, page);
        await new Promise((_resolve, reject) => ctx.signal!.addEventListener('abort', () => reject(new Error('gone'))));
      },
    };
    const pages = {
      ...source,
      fetchPage: (...args: Parameters<PageSource['fetchPage']>) => {
        args[2].signal?.addEventListener('abort', () => (aborted = args[1].offset));
        return source.fetchPage(...args);
      },
    };
    const walk = walkOf(pages);
    for (let rows = 0; rows < 12;) rows += (await walk.next())!.elements.length;
    await walk.suspend();
    expect(aborted).toBeGreaterThan(0);
  });

  it('takes a shard that lacks the collection for an empty one, and says so, only where it was told to', async () => {
    const failure = new ShardError({
      code: 'NotFound',
      method: 'POST',
      shardUrl: 'http://model',
      path: '/v1/collections/docs/fetch',
      status: 404,
      reason: 'Not Found',
    });
    const source: PageSource = {
      async *fetchPage() {
        await Promise.reject(failure);
      },
    };
    const from = { offset: 5, lastIdDigest: idDigest(Buffer.from('x')) };
    const options = { source, collection: 'docs', withPayload: true, withVector: true, from, ctx: CTX };
    const walk = new PointWalk({ ...options, absentIsEmpty: true });
    expect(await walk.open()).toBe(true);
    expect(await walk.next()).toBeNull();
    expect(walk.isAbsent).toBe(true);
    await expect(new PointWalk(options).open()).rejects.toBe(failure);
    await expect(walkOf(source).next()).rejects.toBe(failure);
  });

  it('goes on with the next row after it closed its connection in the middle of a page', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `p${String(n).padStart(3, '0')}`);
    const shard = new ModelShard({ ids, limitMax: 20 });
    const walk = walkOf(shard);
    const first = await walk.next();
    await walk.suspend();
    expect(shard.openPages).toBe(0);
    const rest = await take(walk);
    expect([...first!.elements.map(({ id }) => id.toString()), ...rest.ids]).toEqual(ids);
  });
});

describe('fetchRows', () => {
  it('gives the rows of one window, in as many pages as the shard allows', async () => {
    const ids = Array.from({ length: 100 }, (_, n) => `p${String(n).padStart(3, '0')}`);
    const shard = new ModelShard({ ids, limitMax: 30 });
    const seen: string[] = [];
    const page = { offset: 5, limit: 70, withPayload: true, withVector: true };
    for await (const elements of fetchRows(shard, 'docs', page, CTX)) {
      seen.push(...elements.map(({ id }) => id.toString()));
    }
    expect(seen).toEqual(ids.slice(5, 75));
    expect(shard.requests.map((request) => request.limit)).toEqual([30, 30, 10]);
  });
});
