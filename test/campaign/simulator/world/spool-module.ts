/**
 * In the place of rows/spool/spool: the rows of a spool in memory. A dead worker of a run closes no file, and thousands
 * of runs would leave as many open.
 */
export interface SpooledRow {
  readonly id: Buffer;
  readonly digest: Buffer;
}

export const DIGEST_BYTES = 16;

export class SpoolError extends Error {}

export class Spool {
  readonly count: number;
  readonly #rows: readonly SpooledRow[];
  #isClosed = false;

  constructor(rows: readonly SpooledRow[]) {
    this.#rows = rows;
    this.count = rows.length;
  }

  *read(): Generator<SpooledRow> {
    if (this.#isClosed) throw new Error('a spool is read after it was closed');
    for (const { id, digest } of this.#rows) yield { id: Buffer.from(id), digest: Buffer.from(digest) };
  }

  close(): void {
    this.#isClosed = true;
  }
}

export class SpoolWriter {
  readonly #rows: SpooledRow[] = [];

  get count(): number {
    return this.#rows.length;
  }

  add(id: Buffer, digest: Buffer): void {
    const last = this.#rows.at(-1);
    if (last !== undefined && last.id.compare(id) >= 0) throw new Error('a spool is written out of order');
    this.#rows.push({ id: Buffer.from(id), digest: Buffer.from(digest.subarray(0, DIGEST_BYTES)) });
  }

  finish(): Spool {
    return new Spool(this.#rows);
  }

  discard(): void {
    this.#rows.length = 0;
  }
}
