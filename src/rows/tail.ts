import { randomBytes } from 'node:crypto';
import type { Job, RowShard, RowSource, ScanEvent } from './ports';
import type { Slice } from './slice';

/** Ids that a tail remembers. Behind so many changes a new cut is cheaper. */
const IDS_MAX = 50_000;
/** Own deletes that have not come back. A call deletes some hundred, and they come back at once. */
const OWN_DELETES_MAX = 10_000;
/** A shard tells of a write within milliseconds. A follower that takes longer than this tells too late. */
const BARRIER_MS = 5_000;
const BARRIER_POLL_MS = 5;

/**
 * What clients have written to a donor's slice since its cut. Read in the background for as long as it lives, because
 * the shard keeps only some hundred changes for a reader that is slow.
 */
export class Tail {
  #isKept = true;
  #count = 0;
  readonly #ids = new Map<string, Map<string, Buffer>>();
  readonly #dropped = new Set<string>();
  readonly #ownDeletes = new Map<string, Set<string>>();
  /** The barrier that was told last. */
  #barrier: string | null = null;
  readonly #slice: Slice;
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
    this.#slice = slice;
    this.#end = end;
    this.#over = this.#drain(events);
  }

  /** True while every change since the cut is known. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /**
   * How much is known of what `shard`, the donor, has seen before this call. Of two calls at a time the first one may miss
   * its barrier. Unknown: there is no place for a barrier, or the tail is lost.
   */
  async toldSoFar(job: Job, shard: RowShard): Promise<'all' | 'not-all' | 'unknown'> {
    if (!this.#isKept) return 'unknown';
    const barrier = randomBytes(8).toString('hex');
    if (!(await shard.setBarrier(barrier))) return 'unknown';
    const endsAtMs = job.nowMs() + BARRIER_MS;
    const hasCome = (): boolean => this.#isKept && this.#barrier === barrier;
    const mayCome = (): boolean => this.#isKept && job.nowMs() < endsAtMs;
    while (mayCome() && !hasCome()) await job.sleep(BARRIER_POLL_MS);
    return hasCome() ? 'all' : 'not-all';
  }

  /** Its rows went without being named. */
  wasDropped(collection: string): boolean {
    return this.#dropped.has(collection);
  }

  collections(): string[] {
    return [...this.#ids.keys()];
  }

  /** In byte order. */
  ids(collection: string): Buffer[] {
    return [...(this.#ids.get(collection)?.values() ?? [])].sort((a, b) => a.compare(b));
  }

  has(collection: string, id: Buffer): boolean {
    return this.#ids.get(collection)?.has(keyOf(id)) === true;
  }

  /** Takes what has come since the last call, so that what comes later is told apart from it. */
  take(): Map<string, Buffer[]> {
    const taken = new Map(this.collections().map((collection) => [collection, this.ids(collection)]));
    this.#ids.clear();
    this.#count = 0;
    return taken;
  }

  /** The operation itself is about to delete these from the donor: their next delete is not news. */
  expectDeletes(collection: string, ids: readonly Buffer[]): void {
    if (!this.#isKept) return;
    const own = this.#ownDeletes.get(collection) ?? new Set();
    this.#ownDeletes.set(collection, own);
    // What is too much is told like any other change.
    for (const id of ids) if (own.size < OWN_DELETES_MAX) own.add(keyOf(id));
  }

  async close(): Promise<void> {
    this.#isKept = false;
    this.#end();
    await this.#over;
  }

  async #drain(events: AsyncIterator<ScanEvent>): Promise<void> {
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true || next.value.kind === 'tail-lost') break;
        this.#note(next.value);
        if (!this.#isKept) break;
      }
    } catch {
      // However the stream ended: from here on changes are missed, and that is all there is to know.
    }
    this.#isKept = false;
    this.#ownDeletes.clear();
    this.#end();
    await events.return?.(undefined);
  }

  #note(event: ScanEvent): void {
    if (event.kind === 'barrier') this.#barrier = event.barrier;
    if (event.kind === 'collection-dropped') this.#dropped.add(event.collection);
    if (event.kind === 'changed') this.#noteChange(event);
  }

  #noteChange({ collection, id, isDelete }: Extract<ScanEvent, { kind: 'changed' }>): void {
    const key = keyOf(id);
    if (isDelete && this.#ownDeletes.get(collection)?.delete(key) === true) return;
    if (this.#slice.ownerOf(id) === null) return;
    let ids = this.#ids.get(collection);
    if (ids === undefined) this.#ids.set(collection, (ids = new Map<string, Buffer>()));
    if (ids.has(key)) return;
    ids.set(key, id);
    this.#count += 1;
    if (this.#count > IDS_MAX) this.#isKept = false;
  }
}

function keyOf(id: Buffer): string {
  return id.toString('latin1');
}
