import type { GrpcCall } from './grpc-call';
import { readCount, upsertRequest, upsertSize, type Row } from './points';
import { WireError } from './protobuf';

/** A shard takes so many points in one stream, unless its settings say less. */
export const UPSERT_STREAM_POINTS_MAX = 50_000;
/** Messages are cut here, so that the shard decodes one while the next is under way. */
const MESSAGE_BYTES = 1024 * 1024;
/** A shard takes messages of 4 MiB. The rest is for the name of the collection. */
const ROW_BYTES_MAX = 4 * 1024 * 1024 - 64 * 1024;

/**
 * One `UpsertStream`: all of its rows become visible together at its end, after one fsync, or none of them does. Rows
 * go on as the bytes that they are. Every stream has to be ended or aborted.
 */
export class UpsertStream {
  readonly #collection: Buffer;
  readonly #begin: () => GrpcCall;
  #call: GrpcCall | null = null;
  #waiting: Row[] = [];
  #waitingBytes = 0;
  #rows = 0;

  constructor(collection: string, begin: () => GrpcCall) {
    this.#collection = Buffer.from(collection);
    this.#begin = begin;
  }

  /** How many more rows the stream takes. */
  get room(): number {
    return UPSERT_STREAM_POINTS_MAX - this.#rows;
  }

  /**
   * Resolves when there is room for more. The rows' bytes must stay as they are until `end` has resolved.
   * @throws RangeError for more than `room` rows, ShardError when the shard has refused the stream already
   */
  async write(rows: readonly Row[]): Promise<void> {
    if (rows.length > this.room) throw new RangeError(`the stream takes ${this.room} more rows, not ${rows.length}`);
    this.#rows += rows.length;
    for (const row of rows) {
      const size = upsertSize(row);
      if (this.#waiting.length > 0 && this.#waitingBytes + size > MESSAGE_BYTES) await this.#flush();
      if (size > ROW_BYTES_MAX) throw this.#tooLarge(size);
      this.#waiting.push(row);
      this.#waitingBytes += size;
    }
  }

  /** How many rows the shard has written: all. A stream without rows is not sent. @throws ShardError */
  async end(): Promise<number> {
    if (this.#rows === 0) return 0;
    const call = this.#opened();
    try {
      await this.#flush();
      call.halfClose();
      return this.#confirmed(readCount(await call.answer()));
    } catch (error) {
      throw error instanceof WireError ? call.malformed(error) : error;
    } finally {
      call.close();
    }
  }

  /** Nothing of the stream is written, unless `end` was called before: then it may be. */
  abort(): void {
    this.#call?.close();
  }

  #opened(): GrpcCall {
    if (this.#call === null) {
      this.#call = this.#begin();
      this.#call.waitForCaller();
    }
    return this.#call;
  }

  async #flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const request = upsertRequest(this.#collection, this.#waiting, this.#waitingBytes);
    this.#waiting = [];
    this.#waitingBytes = 0;
    await this.#opened().send(request);
  }

  /** Fewer would mean that the shard dropped some without a word. */
  #confirmed(count: number): number {
    if (count === this.#rows) return count;
    throw new WireError(`the shard confirmed ${count} of ${this.#rows} rows`);
  }

  #tooLarge(size: number): Error {
    const reason = `a row of ${size} bytes does not fit a message of the shard`;
    return this.#opened().failure({ code: 'TooLarge', status: null, reason });
  }
}
