/**
 * The ids and digests of many rows, in byte order of the id, in a private file: no vector, no payload. The file has no
 * name any more as soon as it is open, so it goes with its process.
 */
import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

export const DIGEST_BYTES = 16;
const CHUNK_BYTES = 256 * 1024;
/** An id of this many bytes or more has its length in four further bytes. */
const LONG_ID = 0xff;

export interface SpooledRow {
  readonly id: Buffer;
  readonly digest: Buffer;
}

/** The disk is full, or the folder cannot be written to. Waiting can help. */
export class SpoolError extends Error {
  constructor(folder: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown reason';
    super(
      `expected to write the ids of moved rows into ${folder}, it failed (${code}): free some disk space there, or set COORDINATOR_SPOOL_DIR`,
      { cause },
    );
    this.name = 'SpoolError';
  }
}

export class SpoolWriter {
  count = 0;
  readonly #folder: string;
  readonly #fd: number;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #used = 0;
  #bytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.#fd = openUnnamed(folder);
  }

  add(id: Buffer, digest: Buffer): void {
    const isLong = id.length >= LONG_ID;
    const bytes = 1 + (isLong ? 4 : 0) + id.length + DIGEST_BYTES;
    if (this.#used + bytes > this.#chunk.length) this.#flush(bytes);
    let at = this.#chunk.writeUInt8(isLong ? LONG_ID : id.length, this.#used);
    if (isLong) at = this.#chunk.writeUInt32LE(id.length, at);
    at += id.copy(this.#chunk, at);
    this.#used = at + digest.copy(this.#chunk, at, 0, DIGEST_BYTES);
    this.count += 1;
  }

  finish(): Spool {
    this.#flush(0);
    return new Spool(this.#fd, this.count, this.#bytes);
  }

  discard(): void {
    closeSync(this.#fd);
  }

  #flush(next: number): void {
    try {
      for (let at = 0; at < this.#used;) at += writeSync(this.#fd, this.#chunk, at, this.#used - at);
    } catch (error) {
      throw new SpoolError(this.#folder, error);
    }
    this.#bytes += this.#used;
    this.#used = 0;
    if (next > this.#chunk.length) this.#chunk = Buffer.allocUnsafe(next);
  }
}

export class Spool {
  readonly count: number;
  readonly #fd: number;
  readonly #bytes: number;
  #isClosed = false;

  constructor(fd: number, count: number, bytes: number) {
    this.#fd = fd;
    this.count = count;
    this.#bytes = bytes;
  }

  /** From the beginning. Every row is a copy that may be kept. */
  *read(): Generator<SpooledRow> {
    let held: Buffer = Buffer.alloc(0);
    let position = 0;
    for (;;) {
      let at = 0;
      for (let row = rowAt(held, at); row !== null; row = rowAt(held, at)) {
        at = row.end;
        yield row;
      }
      if (position === this.#bytes) return;
      const rest = held.subarray(at);
      const next = Buffer.allocUnsafe(rest.length + Math.min(CHUNK_BYTES, this.#bytes - position));
      rest.copy(next);
      for (let filled = rest.length; filled < next.length;) {
        const read = readSync(this.#fd, next, filled, next.length - filled, position);
        if (read === 0) throw new Error('a spool is shorter than what was written to it');
        filled += read;
        position += read;
      }
      held = next;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }
}

function rowAt(chunk: Buffer, at: number): (SpooledRow & { end: number }) | null {
  if (at >= chunk.length) return null;
  let length = chunk.readUInt8(at);
  let begin = at + 1;
  if (length === LONG_ID) {
    if (begin + 4 > chunk.length) return null;
    length = chunk.readUInt32LE(begin);
    begin += 4;
  }
  const end = begin + length + DIGEST_BYTES;
  if (end > chunk.length) return null;
  return { id: chunk.subarray(begin, begin + length), digest: chunk.subarray(begin + length, end), end };
}

function openUnnamed(folder: string): number {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, `spool-${randomUUID()}`);
    const fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    return fd;
  } catch (error) {
    throw new SpoolError(folder, error);
  }
}
