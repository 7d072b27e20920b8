/**
 * A walk over all rows of one collection on one shard, in byte order of their ids. It reads page after page while
 * clients insert and delete.
 *
 * What holds: the ids rise strictly, and a row that is there from the first page to the last is yielded exactly once.
 * Because:
 *  1. A page begins PAGE_OVERLAP_ROWS before the last row taken. It is accepted only if its first id is not above that
 *     row's id: then nothing lies between the two, however many rows were deleted meanwhile.
 *  2. A page that begins above it is thrown away and asked for again from further back, twice as far each time, down to
 *     0.
 *  3. Of an accepted page only the rows above the last id taken are yielded.
 *  4. Only a page with fewer rows than asked for ends the walk.
 *
 * None of this needs to know when a page was asked for. So the next page is asked for while the present one is still
 * being taken. That hides the time that a shard takes to begin its answer. Memory: two batches of elements, whatever
 * the size of a page.
 */
import { createHash } from 'node:crypto';
import { PAGE_OVERLAP_ROWS, PAGE_ROWS_MAX } from '../../domain/limits';
import { ShardError } from '../errors';
import { MalformedBodyError, type PointElement } from './point-stream';
import type { CallContext, ShardClient } from '../http/shard-client';

/** What a walk needs of a shard. */
export type PageSource = Pick<ShardClient, 'fetchPage'>;

/** The place of a walk: the offset behind the last row taken, and a digest of its id, null when no row was taken. */
export interface WalkPosition {
  readonly offset: number;
  readonly lastIdDigest: string | null;
}

export const START: WalkPosition = { offset: 0, lastIdDigest: null };

export interface WalkOptions {
  readonly source: PageSource;
  readonly collection: string;
  readonly withPayload: boolean;
  readonly withVector: boolean;
  readonly from: WalkPosition | null;
  readonly ctx: CallContext;
  /** A shard that lacks the collection counts as one without rows of it, and the walk says so (`isAbsent`). */
  readonly absentIsEmpty?: boolean;
}

export interface WalkBatch {
  readonly elements: readonly PointElement[];
  /** Index in `elements` of the first row that was not taken before. */
  readonly start: number;
  /** Offset of `elements[0]`, as of the moment in which its page was read. */
  readonly offset: number;
}

interface OpenPage {
  readonly offset: number;
  readonly limit: number;
  readonly batches: AsyncIterator<PointElement[]>;
  /** Cancels the request. */
  readonly abort: () => void;
  /** The batch that was asked for and is not there yet: `return` of an iterator waits for it. */
  pending: Promise<IteratorResult<PointElement[]>> | null;
  /** `pending` was asked for ahead of its turn, so the request is on its way. */
  isAhead: boolean;
  rows: number;
  /** Rows that the caller has deleted since this page was asked for. */
  removed: number;
}

/** 128 bits: enough that two ids of a collection never share one, and an id cannot be read back from it. */
export function idDigest(id: Buffer): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}

export class PointWalk {
  readonly #options: WalkOptions;
  /** The last id taken; the next row yielded is above it. */
  #lastId: Buffer | null = null;
  /** Offset behind the last row taken, as of the moment in which the page that it came in was asked for. */
  #nextOffset = 0;
  /** Rows that the caller has deleted since that moment. */
  #removed = 0;
  #stepBack = PAGE_OVERLAP_ROWS;
  #page: OpenPage | null = null;
  #nextPage: OpenPage | null = null;
  #hasEnded = false;
  /** The shard has said that it lacks the collection. */
  isAbsent = false;

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  /** Finds the row to go on behind. False: it is gone, and the walk begins again. */
  async open(): Promise<boolean> {
    const { from } = this.#options;
    if (from === null || from.lastIdDigest === null) return true;
    try {
      const found =
        (await this.#findNear(from.offset, from.lastIdDigest)) ?? (await this.#findAnywhere(from.lastIdDigest));
      if (found === null) return false;
      this.#lastId = found.id;
      this.#nextOffset = found.offset + 1;
    } catch (error) {
      if (!this.#endsAt(error)) throw error;
    }
    return true;
  }

  /** The next rows, or null after the last one. A batch holds at least one row that was not taken before. */
  async next(): Promise<WalkBatch | null> {
    while (!this.#hasEnded) {
      this.#page ??= this.#openPage(this.#nextOffset - this.#removed);
      const batch = await this.#nextOfPage(this.#page);
      if (batch !== null) return batch;
    }
    return null;
  }

  /**
   * Tells the walk that the caller has deleted `rows` rows that were taken. It is only a hint, so that the next page
   * begins at the right place at once. A wrong hint costs a page, never a row.
   */
  rowsRemoved(rows: number): void {
    this.#removed += rows;
    for (const page of [this.#page, this.#nextPage]) if (page !== null) page.removed += rows;
  }

  /**
   * Rows reported as deleted since the present page was asked for. `offset` of a batch is too high by that many now.
   */
  get removedSincePage(): number {
    return this.#removed;
  }

  /**
   * Closes the connection. The walk can go on later: it then reads a page of its own from where it stands. Rows on
   * their way are given up, not waited for.
   */
  async suspend(): Promise<void> {
    const open = [this.#page, this.#nextPage].filter((page) => page !== null);
    this.#page = null;
    this.#nextPage = null;
    for (const page of open) if (page.pending !== null) page.abort();
    for (const page of open) await page.batches.return?.();
  }

  /** `behind`: the offset behind the last row that the pages before this one bring, as of now. */
  #openPage(behind: number): OpenPage {
    const { source, collection, withPayload, withVector, ctx } = this.#options;
    const limit = pageRowsAllowed(source);
    const offset = Math.max(0, behind - Math.min(this.#stepBack, this.#stepBackMax(limit)));
    const own = new AbortController();
    const signal = ctx.signal === undefined ? own.signal : AbortSignal.any([ctx.signal, own.signal]);
    const rows = source.fetchPage(collection, { offset, limit, withPayload, withVector }, { ...ctx, signal });
    const batches = rows[Symbol.asyncIterator]();
    const abort = (): void => own.abort();
    return { offset, limit, batches, abort, pending: null, isAhead: false, rows: 0, removed: 0 };
  }

  /** Asks for the next page when half of this one is there: most such pages turn out whole. */
  #openAhead(page: OpenPage): void {
    if (this.#nextPage !== null || page.rows * 2 < page.limit) return;
    const next = this.#openPage(page.offset + page.limit - page.removed);
    next.pending = next.batches.next();
    next.isAhead = true;
    // Its error is looked at when its turn comes, if it comes.
    next.pending.catch(() => undefined);
    this.#nextPage = next;
  }

  /** The first step back leaves room for new rows, even in the small pages of a shard that allows no larger ones. */
  #stepBackMax(limit: number): number {
    return this.#stepBack > PAGE_OVERLAP_ROWS ? Infinity : Math.floor(limit / 2);
  }

  /** Null: the page had no more new rows, or was refused. */
  async #nextOfPage(page: OpenPage): Promise<WalkBatch | null> {
    const result = await this.#readBatch(page);
    if (result === null) return null;
    if (result.done === true) {
      await this.#endPage(page);
      return null;
    }
    const elements = result.value;
    const first = elements[0];
    if (first === undefined) return null;
    if (page.rows === 0 && this.#beginsAboveLast(page, first.id)) {
      await this.#refusePage();
      return null;
    }
    this.#stepBack = PAGE_OVERLAP_ROWS;
    this.#removed = page.removed;
    const offset = page.offset + page.rows;
    page.rows += elements.length;
    const start = this.#takeNew(elements);
    this.#nextOffset = page.offset + page.rows;
    this.#openAhead(page);
    return start < elements.length ? { elements, start, offset } : null;
  }

  async #readBatch(page: OpenPage): Promise<IteratorResult<PointElement[]> | null> {
    try {
      if (!page.isAhead) page.pending = page.batches.next();
      page.isAhead = false;
      const result = await page.pending;
      page.pending = null;
      return result;
    } catch (error) {
      page.pending = null;
      if (this.#endsAt(error)) {
        await this.suspend();
        return null;
      }
      if (page.rows > 0 || !lowerPageRows(this.#options.source, page.limit, error)) throw error;
      await this.suspend();
      return null;
    }
  }

  /** The collection does not exist, and this walk takes that as its end. */
  #endsAt(error: unknown): boolean {
    if (this.#options.absentIsEmpty !== true) return false;
    if (!(error instanceof ShardError) || error.code !== 'NotFound') return false;
    this.isAbsent = true;
    this.#hasEnded = true;
    return true;
  }

  #beginsAboveLast(page: OpenPage, firstId: Buffer): boolean {
    return page.offset > 0 && this.#lastId !== null && Buffer.compare(firstId, this.#lastId) > 0;
  }

  async #endPage(page: OpenPage): Promise<void> {
    // An empty page after offset 0 says only that rows were deleted. The rest may be above the last one taken.
    if (page.rows === 0 && page.offset > 0) return this.#refusePage();
    this.#hasEnded = page.rows < page.limit;
    if (this.#hasEnded) return this.suspend();
    this.#page = this.#nextPage;
    this.#nextPage = null;
  }

  async #refusePage(): Promise<void> {
    this.#stepBack *= 2;
    await this.suspend();
  }

  /** Index of the first row above the last one taken. Takes it and all behind it. */
  #takeNew(elements: readonly PointElement[]): number {
    let last = this.#lastId;
    let start = 0;
    for (let index = 0; index < elements.length; index++) {
      const { id } = elements[index] as PointElement;
      if (last !== null && Buffer.compare(id, last) <= 0) {
        if (index > start) throw new MalformedBodyError('expected points in rising byte order of their ids');
        start = index + 1;
        continue;
      }
      last = id;
    }
    this.#lastId = last;
    return start;
  }

  /** Looks in one page around `offset`: a row moves when others are inserted or deleted before it. */
  async #findNear(offset: number, digest: string): Promise<{ id: Buffer; offset: number } | null> {
    const { source, collection, ctx } = this.#options;
    const radius = Math.floor(PAGE_ROWS_MAX / 2);
    const page = { offset: Math.max(0, offset - radius), limit: PAGE_ROWS_MAX, withPayload: false, withVector: false };
    let at = page.offset;
    for await (const elements of fetchRows(source, collection, page, ctx)) {
      for (const { id } of elements) {
        if (idDigest(id) === digest) return { id, offset: at };
        at += 1;
      }
    }
    return null;
  }

  async #findAnywhere(digest: string): Promise<{ id: Buffer; offset: number } | null> {
    const walk = new PointWalk({ ...this.#options, withPayload: false, withVector: false, from: null });
    for (let batch = await walk.next(); batch !== null; batch = await walk.next()) {
      for (let index = batch.start; index < batch.elements.length; index++) {
        const { id } = batch.elements[index] as PointElement;
        if (idDigest(id) !== digest) continue;
        await walk.suspend();
        return { id, offset: batch.offset + index };
      }
    }
    return null;
  }
}

/** What a shard allows in one page, once it refused more. Kept as long as its client lives. */
const allowedRows = new WeakMap<PageSource, number>();

function pageRowsAllowed(source: PageSource): number {
  return allowedRows.get(source) ?? PAGE_ROWS_MAX;
}

/**
 * Takes the maximum that a shard names in its refusal, else half of what was asked for. False: this error is about
 * something else.
 */
function lowerPageRows(source: PageSource, asked: number, error: unknown): boolean {
  if (!(error instanceof ShardError) || error.code !== 'BadRequest') return false;
  const named = Number(/maximum of (\d+)/.exec(error.message)?.[1] ?? Number.NaN);
  const next = named >= 1 && named < asked ? named : Math.floor(asked / 2);
  // Two pages that overlap and still go forward need room for one old row and one new.
  if (next < 2) return false;
  allowedRows.set(source, Math.min(next, pageRowsAllowed(source)));
  return true;
}

/**
 * The rows [offset, offset + limit), in as many requests as the shard's own limit needs. No promise about rows that
 * move meanwhile.
 */
export async function* fetchRows(
  source: PageSource,
  collection: string,
  page: { offset: number; limit: number; withPayload: boolean; withVector: boolean },
  ctx: CallContext,
): AsyncGenerator<PointElement[]> {
  let taken = 0;
  while (taken < page.limit) {
    const limit = Math.min(page.limit - taken, pageRowsAllowed(source));
    let rows = 0;
    try {
      for await (const elements of source.fetchPage(collection, { ...page, offset: page.offset + taken, limit }, ctx)) {
        rows += elements.length;
        yield elements;
      }
    } catch (error) {
      if (rows > 0 || !lowerPageRows(source, limit, error)) throw error;
      continue;
    }
    taken += rows;
    if (rows < limit) return;
  }
}
