/**
 * The part of the protobuf wire format that Quiver's messages need, and gRPC's frames around messages. What is read is
 * never copied where that can be: a field with a length is a view of its message, and a message one of its chunk.
 */

/** The bytes are no protobuf message. */
export class WireError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'WireError';
  }
}

/** How a field is written, as its tag tells. */
export const WireType = { Varint: 0, Fixed64: 1, Bytes: 2, Fixed32: 5 } as const;

const NO_BYTES = Buffer.alloc(0);
/** A 64-bit number takes ten groups of seven bits. */
const VARINT_BYTES_MAX = 10;
/** Beyond this many bytes a varint may not fit a JavaScript number. */
const SMALL_VARINT_BYTES_MAX = 7;

/**
 * Reads one message from left to right: `next` moves to a field, then one of the value methods or `skip` reads it. A
 * field of an unexpected type is a WireError, as is a message that ends inside a field.
 */
export class WireReader {
  /** Number and type of the current field. */
  field = 0;
  type = 0;
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** False at the end of the message. */
  next(): boolean {
    if (this.#at === this.#end) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.type = tag % 8;
    if (this.field === 0) throw new WireError('a field has the number 0');
    return true;
  }

  /** An unsigned number. @throws WireError above 2^53 - 1: none of Quiver's numbers that are read here is that large */
  number(): number {
    this.#expect(WireType.Varint);
    return this.#varint();
  }

  boolean(): boolean {
    return this.number() !== 0;
  }

  /** A view of the field's bytes. */
  bytes(): Buffer {
    this.#expect(WireType.Bytes);
    const length = this.#varint();
    if (length === 0) return NO_BYTES;
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  /** The field's own fields, without a view in between. */
  message(): WireReader {
    this.#expect(WireType.Bytes);
    const start = this.#advance(this.#varint());
    return new WireReader(this.#bytes, start, this.#at);
  }

  fixed32(): number {
    this.#expect(WireType.Fixed32);
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  fixed64(): bigint {
    this.#expect(WireType.Fixed64);
    return this.#bytes.readBigUInt64LE(this.#advance(8));
  }

  /** Passes over a field that nobody needs. It may hold any 64-bit number. */
  skip(): void {
    switch (this.type) {
      case WireType.Varint:
        return this.#skipVarint();
      case WireType.Fixed64:
        return void this.#advance(8);
      case WireType.Bytes:
        return void this.#advance(this.#varint());
      case WireType.Fixed32:
        return void this.#advance(4);
      default:
        throw new WireError(`a field has the unknown type ${this.type}`);
    }
  }

  #expect(type: number): void {
    if (this.type !== type) throw new WireError(`field ${this.field} has the type ${this.type} instead of ${type}`);
  }

  /** Moves on, and returns where it was. */
  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#end - start) throw new WireError('the message ends inside a field');
    this.#at = start + length;
    return start;
  }

  #varint(): number {
    const start = this.#at;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      if (this.#at === this.#end) throw new WireError('the message ends inside a number');
      const byte = this.#bytes[this.#at]!;
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (this.#at - start > SMALL_VARINT_BYTES_MAX && value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new WireError('a number is too large');
  }

  #skipVarint(): void {
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      if (this.#bytes[this.#advance(1)]! < 0x80) return;
    }
    throw new WireError('a number is too large');
  }
}

/** How many bytes a number takes. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** How many bytes a field with `length` bytes takes, when its number is below 16. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/**
 * Writes a message whose size was computed before, so that every byte is copied once. Numbers of fields are below 16.
 * Proto3 leaves a zero and an empty field out; so must the caller.
 */
export class WireWriter {
  readonly #bytes: Buffer;
  #at: number;

  /** `headroom` bytes in front are left to the caller, for a frame around the message. */
  constructor(size: number, headroom = 0) {
    this.#bytes = Buffer.allocUnsafe(headroom + size);
    this.#at = headroom;
  }

  /** A field that holds a number. */
  number(field: number, value: number): this {
    this.#bytes[this.#at++] = (field << 3) | WireType.Varint;
    this.#varint(value);
    return this;
  }

  /** The head of a field with `length` bytes. The caller writes these bytes next. */
  open(field: number, length: number): this {
    this.#bytes[this.#at++] = (field << 3) | WireType.Bytes;
    this.#varint(length);
    return this;
  }

  bytes(field: number, value: Buffer): this {
    this.open(field, value.length);
    this.#at += value.copy(this.#bytes, this.#at);
    return this;
  }

  /** The whole message, headroom included. @throws WireError when its size was computed wrongly */
  finish(): Buffer {
    if (this.#at !== this.#bytes.length) throw new WireError('the message has not the size that was computed');
    return this.#bytes;
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#at++] = (rest % 128) | 0x80;
    this.#bytes[this.#at++] = rest;
  }
}

// gRPC's frames: one byte that says whether the message is compressed, four bytes of length, the message.

export const FRAME_HEAD_BYTES = 5;
/** No answer of a shard is larger than this: `getPoints` asks for few ids, and a row has a payload of 64 KiB at most. */
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

/** Fills in the head of a message that was written behind FRAME_HEAD_BYTES of room. */
export function closeFrame(frame: Buffer): Buffer {
  frame[0] = 0;
  frame.writeUInt32BE(frame.length - FRAME_HEAD_BYTES, 1);
  return frame;
}

/** Cuts a stream of bytes into messages. Messages are views of the chunks that they came in, where they fit one. */
export class FrameReader {
  /** The beginning of a frame, and how many bytes it needs before it is worth another look. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  #needed = FRAME_HEAD_BYTES;

  /** The messages that `chunk` completes. @throws WireError */
  push(chunk: Buffer): Buffer[] {
    let bytes = chunk;
    if (this.#partBytes > 0) {
      this.#parts.push(chunk);
      this.#partBytes += chunk.length;
      if (this.#partBytes < this.#needed) return [];
      bytes = Buffer.concat(this.#parts, this.#partBytes);
    }
    return this.#cut(bytes);
  }

  /** Whether the stream has ended between two messages. */
  get isBetweenMessages(): boolean {
    return this.#partBytes === 0;
  }

  #cut(bytes: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    let at = 0;
    let needed = FRAME_HEAD_BYTES;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      needed = FRAME_HEAD_BYTES + lengthAt(bytes, at);
      if (bytes.length - at < needed) break;
      messages.push(bytes.subarray(at + FRAME_HEAD_BYTES, at + needed));
      at += needed;
      needed = FRAME_HEAD_BYTES;
    }
    const rest = bytes.subarray(at);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#partBytes = rest.length;
    this.#needed = needed;
    return messages;
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  if (bytes[at] !== 0) throw new WireError('a message is compressed, although nobody asked for that');
  const length = bytes.readUInt32BE(at + 1);
  if (length > MESSAGE_BYTES_MAX) throw new WireError(`a message has more than ${MESSAGE_BYTES_MAX} bytes`);
  return length;
}
