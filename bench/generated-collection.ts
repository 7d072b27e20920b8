/** A collection whose rows are made when they are read: a bit a row, so that millions of them take no memory. */
import { StoredCollection, type CollectionSchema, type StoredPoint } from '../test/support/shard-store';
import { ChangeFeed } from '../test/support/shard-changes';
import { idOf, indexOf, payloadOf, vectorOf } from './rows';

export class GeneratedCollection extends StoredCollection {
  private readonly isHeld: Uint8Array;
  private held = 0;

  /** Takes rows with numbers below `rowsMax`. A feed of its own: nobody follows its changes. */
  constructor(options: { schema: CollectionSchema; collectionId: number; rowsMax: number }) {
    super(options.schema, options.collectionId, new ChangeFeed());
    this.isHeld = new Uint8Array(options.rowsMax);
  }

  /** Before the first request. */
  hold(index: number): void {
    this.held += 1 - (this.isHeld[index] ?? 0);
    this.isHeld[index] = 1;
  }

  override get indexReady(): boolean {
    return true;
  }

  override get count(): number {
    return this.held;
  }

  override get(id: string): StoredPoint | undefined {
    const index = indexOf(id);
    return this.isHeld[index] === 1 ? pointOf(index) : undefined;
  }

  /** One cut of all of them. The caller only walks through it, and never needs an array. */
  override points(): StoredPoint[] {
    const cut = { held: this.isHeld.slice(), length: this.held };
    const walk = { length: cut.length, slice: () => walked(cut.held) };
    return walk as unknown as StoredPoint[];
  }

  override put(points: readonly StoredPoint[]): void {
    for (const { id } of points) this.hold(indexOf(id));
  }

  override remove(ids: readonly string[]): number {
    let removed = 0;
    for (const id of ids) {
      const index = indexOf(id);
      removed += this.isHeld[index] ?? 0;
      this.isHeld[index] = 0;
    }
    this.held -= removed;
    return removed;
  }
}

function* walked(held: Uint8Array): Generator<StoredPoint> {
  for (let index = 0; index < held.length; index++) if (held[index] === 1) yield pointOf(index);
}

/** `vector` is text that nobody reads: the bytes are what goes over gRPC. */
function pointOf(index: number): StoredPoint {
  return {
    id: idOf(index),
    payload: payloadOf(index),
    vector: '',
    floats: Buffer.from(vectorOf(index).buffer),
  };
}
