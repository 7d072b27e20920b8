import { POINT_BYTES_MAX } from '../../domain/limits';
import { Action, ACTION_MIN, State, TABLE } from './points-table';

/** One element of a `points` array, as bytes. */
export interface PointElement {
  /** The id, decoded: its UTF-8 bytes. A small copy, which keeps nothing else alive. */
  readonly id: Buffer;
  /**
   * The element's bytes, untouched (INV-6). Mostly a view, which keeps its chunk (some 64 KiB) alive. That is right for
   * bytes that are passed on at once. Copy what you keep for longer with `Buffer.from(raw)`.
   */
  readonly raw: Buffer;
}

/** A malformed body. The message says where (byte) and what was expected, never what stands there. */
export class MalformedBodyError extends Error {
  /** The body may be well formed, but an element has more bytes than can be moved: asking again does not help. */
  readonly isPointTooLarge: boolean;

  constructor(message: string, isPointTooLarge = false) {
    super(message);
    this.name = 'MalformedBodyError';
    this.isPointTooLarge = isPointTooLarge;
  }
}

/**
 * Containers in one another. Quiver's own parser stops at 128. Without a bound a reply could make the stack grow for
 * ever.
 */
const NESTING_MAX = 1_000;
/** `points` with each of its letters written as \uXXXX. A longer key is neither that nor `id`. */
const KEY_BYTES_MAX = 36;
/** Containers that are open around an element. */
const ELEMENT_DEPTH = 2;
const BACKSLASH = 0x5c;

/**
 * Splits the `points` of a reply into elements, chunk by chunk, in memory bounded by one chunk and one element.
 * Elements come out as soon as they are complete. So most of a cut or malformed body is handed out before the error.
 * Only a scanner whose `end` has returned has seen a whole body.
 *
 * It refuses what `JSON.parse` refuses of UTF-8 text, and also:
 * - an object without exactly one `points` array;
 * - an element that is not an object with exactly one `id`, a string of whole characters;
 * - an element over POINT_BYTES_MAX, and nesting over NESTING_MAX.
 */
export class PointScanner {
  #state: number = State.Start;
  /**
   * Per open container, the state behind a value inside it. The document is the first, `points` the second, an element
   * the third.
   */
  readonly #stack = new Uint16Array(NESTING_MAX);
  #depth = 0;
  #hasPoints = false;
  /** Bytes of the body before the current chunk. */
  #bytesBefore = 0;
  #chunk: Buffer = Buffer.alloc(0);
  #found: PointElement[] = [];

  /** What earlier chunks brought of the open element. */
  #carry: Buffer = Buffer.alloc(0);
  #carryBytes = 0;
  /** Where the open element begins in this chunk (0 when it began in an earlier one), or -1. */
  #elementStart = -1;
  /** The id's bytes between its quotes, counted from the element's begin, or -1. */
  #idStart = -1;
  #idEnd = -1;
  /** What earlier chunks brought of the open key. */
  #keyCarry = '';
  /** Where the open key begins in this chunk, or -1. */
  #keyStart = -1;

  /** The elements that this chunk completes. @throws MalformedBodyError */
  push(bytes: Uint8Array): PointElement[] {
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#chunk = chunk;
    this.#found = [];
    const table = TABLE;
    const actionMin = ACTION_MIN;
    const length = chunk.length;
    let state = this.#state;
    for (let at = 0; at < length; at++) {
      state = table[state | chunk[at]!]!;
      if (state >= actionMin) state = this.#act(state, at);
    }
    this.#state = state;
    this.#carryOver();
    this.#bytesBefore += length;
    return this.#found;
  }

  /** Says that no chunk follows. @throws MalformedBodyError when the body is not complete. */
  end(): void {
    if (this.#state !== State.Done) {
      throw new MalformedBodyError(`the body ends at byte ${this.#bytesBefore}, before its JSON does`);
    }
  }

  /** Carries out what the table calls for at byte `at` of the chunk. Returns the next state. */
  #act(action: number, at: number): number {
    switch (action) {
      case Action.OpenObject:
        return this.#depth === 0
          ? this.#open(State.WatchedAfter, State.WatchedFirst, at)
          : this.#open(State.ObjectAfter, State.ObjectFirst, at);
      case Action.OpenArray:
        return this.#open(State.ArrayAfter, State.ArrayFirst, at);
      case Action.OpenPoints:
        return this.#open(State.PointsAfter, State.PointsFirst, at);
      case Action.OpenElement:
        this.#elementStart = at;
        this.#idStart = -1;
        return this.#open(State.WatchedAfter, State.WatchedFirst, at);
      case Action.Close:
        return this.#close(at);
      case Action.BeginKey:
        this.#keyStart = at + 1;
        return State.KeyBody;
      case Action.EndKey:
        return this.#endKey(at);
      case Action.BeginId:
        this.#idStart = this.#carryBytes + at + 1 - this.#elementStart;
        return State.IdBody;
      case Action.EndId:
        this.#idEnd = this.#carryBytes + at - this.#elementStart;
        return State.WatchedAfter;
      default:
        throw malformed(
          this.#bytesBefore + at,
          'is not allowed there by JSON, or by the shape {"points":[{"id":"…",…},…]}',
        );
    }
  }

  #open(afterValueInside: number, first: number, at: number): number {
    if (this.#depth === NESTING_MAX) {
      throw malformed(this.#bytesBefore + at, `opens more than ${NESTING_MAX} objects and arrays in one another`);
    }
    this.#stack[this.#depth] = afterValueInside;
    this.#depth += 1;
    return first;
  }

  #close(at: number): number {
    this.#depth -= 1;
    if (this.#depth === 0) {
      if (!this.#hasPoints) throw malformed(this.#bytesBefore + at, 'ends an object without `points`');
      return State.Done;
    }
    if (this.#depth === ELEMENT_DEPTH && this.#elementStart >= 0) this.#endElement(at);
    return this.#stack[this.#depth - 1]!;
  }

  #endKey(at: number): number {
    const start = this.#keyStart;
    this.#keyStart = -1;
    if (this.#depth === 1) {
      if (!this.#isKey(start, at, 'points')) return State.WatchedColon;
      if (this.#hasPoints) throw malformed(this.#bytesBefore + at, 'ends a second `points`');
      this.#hasPoints = true;
      return State.PointsColon;
    }
    if (!this.#isKey(start, at, 'id')) return State.WatchedColon;
    if (this.#idStart >= 0) throw malformed(this.#bytesBefore + at, 'ends a second `id` of one point');
    return State.IdColon;
  }

  /** Whether the text between a key's quotes, which the table has found well formed, means `meaning`. */
  #isKey(start: number, end: number, meaning: string): boolean {
    const chunk = this.#chunk;
    if (this.#keyCarry === '') {
      // Nearly every key ends here, and no string is made of it.
      if (end - start === meaning.length && standsAt(chunk, start, meaning)) return true;
      const first = chunk[start];
      if (first !== meaning.charCodeAt(0) && first !== BACKSLASH) return false;
    }
    const raw = this.#keyCarry + chunk.toString('latin1', start, Math.min(end, start + KEY_BYTES_MAX + 1));
    this.#keyCarry = '';
    if (raw === meaning) return true;
    return raw.length <= KEY_BYTES_MAX && raw.includes('\\') && JSON.parse(`"${raw}"`) === meaning;
  }

  #endElement(at: number): void {
    const end = this.#bytesBefore + at;
    if (this.#idStart < 0) throw malformed(end, 'ends a point without an `id`');
    const bytes = this.#carryBytes + at + 1 - this.#elementStart;
    refuseTooLarge(bytes, end);
    const part = this.#chunk.subarray(this.#elementStart, at + 1);
    const raw = this.#carryBytes === 0 ? part : Buffer.concat([this.#carry.subarray(0, this.#carryBytes), part], bytes);
    this.#found.push({ id: decodeId(raw, this.#idStart, this.#idEnd, end), raw });
    this.#elementStart = -1;
    this.#carryBytes = 0;
  }

  /** Keeps what the end of the chunk cut: the open key, and the open element. */
  #carryOver(): void {
    if (this.#keyStart >= 0) {
      this.#keyCarry += this.#chunk.toString('latin1', this.#keyStart, this.#keyStart + KEY_BYTES_MAX + 1);
      this.#keyCarry = this.#keyCarry.slice(0, KEY_BYTES_MAX + 1);
      this.#keyStart = 0;
    }
    if (this.#elementStart < 0) return;
    const part = this.#chunk.subarray(this.#elementStart);
    const bytes = this.#carryBytes + part.length;
    refuseTooLarge(bytes, this.#bytesBefore + this.#chunk.length);
    if (bytes > this.#carry.length) {
      const roomier = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#carry.length));
      this.#carry.copy(roomier, 0, 0, this.#carryBytes);
      this.#carry = roomier;
    }
    part.copy(this.#carry, this.#carryBytes);
    this.#carryBytes = bytes;
    this.#elementStart = 0;
  }
}

/**
 * Yields batches as chunks arrive, and reads the next chunk only when the consumer asks for the next batch. As with
 * `PointScanner`, the end of the iteration, not a batch, says that the body was whole.
 * @throws MalformedBodyError, and whatever `body` throws
 */
export async function* scanPoints(body: AsyncIterable<Uint8Array>): AsyncGenerator<PointElement[]> {
  const scanner = new PointScanner();
  for await (const chunk of body) {
    const found = scanner.push(chunk);
    if (found.length > 0) yield found;
  }
  scanner.end();
}

function malformed(at: number, what: string): MalformedBodyError {
  return new MalformedBodyError(`byte ${at} ${what}`);
}

function refuseTooLarge(bytes: number, at: number): void {
  if (bytes <= POINT_BYTES_MAX) return;
  throw new MalformedBodyError(`the point at byte ${at} has more than ${POINT_BYTES_MAX} bytes`, true);
}

function standsAt(chunk: Buffer, start: number, ascii: string): boolean {
  for (let index = 0; index < ascii.length; index++) {
    if (chunk[start + index] !== ascii.charCodeAt(index)) return false;
  }
  return true;
}

/** The id's UTF-8 bytes. They are copied: an id outlives the chunk that it came in. */
function decodeId(raw: Buffer, start: number, end: number, at: number): Buffer {
  const id = Buffer.allocUnsafe(end - start);
  for (let index = start; index < end; index++) {
    const byte = raw[index]!;
    if (byte === BACKSLASH) return unescapeId(raw.toString('utf8', start, end), at);
    id[index - start] = byte;
  }
  return id;
}

function unescapeId(escaped: string, at: number): Buffer {
  const text = JSON.parse(`"${escaped}"`) as string;
  if (/\p{Surrogate}/u.test(text)) throw malformed(at, 'ends a point whose `id` holds half a surrogate pair');
  return Buffer.from(text, 'utf8');
}
