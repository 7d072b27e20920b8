/** One element of a `points` array, as bytes. */
export interface PointElement {
  /** The id, decoded: its UTF-8 bytes. A copy of its own, small. */
  readonly id: Buffer;
  /** The element's bytes, untouched (INV-6). A view that keeps the chunk it came in alive (some 64 KiB): copy it to keep it. */
  readonly raw: Buffer;
}

/** A body that is not what it should be. The message says where (byte) and what was expected, never what stands there. */
export class MalformedBodyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedBodyError';
  }
}
