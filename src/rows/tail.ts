import type { Slice } from './slice';
import type { RowSource, ScanEvent } from './ports';

/** Ids that a tail remembers. Behind so many changes a new cut is cheaper. */
const IDS_MAX = 50_000;

/**
 * What clients have written to a donor's slice since its cut. Read in the background for as long as it lives, because
 * the shard keeps only some hundred changes for a reader that is slow.
 */
export class Tail {
  #isKept = true;
  #count = 0;
  readonly #ids = new Map<string, Map<string, Buffer>>();
  readonly #changedCollections = new Set<string>();
  readonly #end: () => void;
  readonly #over: Promise<void>;

  /** Changes come within milliseconds. Those of a follower may come any time later. */
  readonly isFresh: boolean;

  constructor(
    events: AsyncIterator<ScanEvent>,
    slice: Slice,
    { end, of }: { readonly end: () => void; readonly of: Pick<RowSource, 'kind'> },
  ) {
    this.isFresh = of.kind === 'primary';
    this.#end = end;
    this.#over = this.#drain(events, slice);
  }

  /** True while every change since the cut is known. */
  get isKept(): boolean {
    return this.#isKept;
  }

  get changedCollections(): ReadonlySet<string> {
    return this.#changedCollections;
  }

  collections(): string[] {
    return [...this.#ids.keys()];
  }

  /** In byte order. */
  ids(collection: string): Buffer[] {
    return [...(this.#ids.get(collection)?.values() ?? [])].sort((a, b) => a.compare(b));
  }

  has(collection: string, id: Buffer): boolean {
    return this.#ids.get(collection)?.has(id.toString('latin1')) === true;
  }

  /** Takes what has come since the last call, so that what comes later is told apart from it. */
  take(): Map<string, Buffer[]> {
    const taken = new Map(this.collections().map((collection) => [collection, this.ids(collection)]));
    this.#ids.clear();
    this.#count = 0;
    return taken;
  }

  async close(): Promise<void> {
    this.#isKept = false;
    this.#end();
    await this.#over;
  }

  async #drain(events: AsyncIterator<ScanEvent>, slice: Slice): Promise<void> {
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true || next.value.kind === 'tail-lost') break;
        const { value } = next;
        if (value.kind === 'changed') this.#note(value.collection, value.id, slice);
        if (value.kind === 'collection-changed') this.#changedCollections.add(value.collection);
        if (!this.#isKept) break;
      }
    } catch {
      // However the stream ended: from here on changes are missed, and that is all there is to know.
    }
    this.#isKept = false;
    this.#end();
    await events.return?.(undefined);
  }

  #note(collection: string, id: Buffer, slice: Slice): void {
    if (slice.ownerOf(id) === null) return;
    let ids = this.#ids.get(collection);
    if (ids === undefined) this.#ids.set(collection, (ids = new Map<string, Buffer>()));
    const key = id.toString('latin1');
    if (ids.has(key)) return;
    ids.set(key, id);
    this.#count += 1;
    if (this.#count > IDS_MAX) this.#isKept = false;
  }
}
