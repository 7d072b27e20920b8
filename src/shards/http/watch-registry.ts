import type { Key } from '../reach/shard-keys';
import type { Reach } from '../reach/reach';
import { MONOTONIC_CLOCK, RouterWatch, type WatchClock } from './router-watch';

const WATCHES_MAX = 64;
/** An operation that was ended from outside never closes its watch. */
const UNREAD_MAX_MS = 24 * 60 * 60_000;

interface Entry {
  readonly watch: RouterWatch;
  readonly timer: NodeJS.Timeout;
}

/** The watches of one process, by id. They are lost with it, and then unknown: an unknown watch counts as broken. */
export class WatchRegistry {
  readonly clock: WatchClock;
  readonly #reach: Reach | undefined;
  readonly #unreadMaxMs: number;
  /** The one that was asked for last stands last. */
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(options: { clock?: WatchClock; unreadMaxMs?: number; reach?: Reach } = {}) {
    this.clock = options.clock ?? MONOTONIC_CLOCK;
    this.#reach = options.reach;
    this.#unreadMaxMs = options.unreadMaxMs ?? UNREAD_MAX_MS;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * A repeat finds the watch that is open. Where there are too many, the one that was unread for longest goes. Waits
   * for nothing, so that two calls at once never make two watches.
   */
  open(watchId: string, { routerUrls, key }: { routerUrls: readonly string[]; key: Key }): RouterWatch {
    const known = this.find(watchId);
    if (known !== null && known.routerUrls.join() === [...new Set(routerUrls)].join()) return known;
    void this.close(watchId);
    if (this.#isClosed) throw new Error('this worker is stopping: the next attempt runs on another one');
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined && this.#entries.size >= WATCHES_MAX) void this.close(oldest);
    const watch = new RouterWatch({ routerUrls, key, clock: this.clock, reach: this.#reach });
    const timer = setTimeout(() => void this.close(watchId), this.#unreadMaxMs);
    this.#entries.set(watchId, { watch, timer: timer.unref() });
    return watch;
  }

  /** Counts as reading it. */
  find(watchId: string): RouterWatch | null {
    const entry = this.#entries.get(watchId);
    if (entry === undefined) return null;
    entry.timer.refresh();
    this.#entries.delete(watchId);
    this.#entries.set(watchId, entry);
    return entry.watch;
  }

  async close(watchId: string): Promise<void> {
    const entry = this.#entries.get(watchId);
    if (entry === undefined) return;
    this.#entries.delete(watchId);
    clearTimeout(entry.timer);
    await entry.watch.close();
  }

  async closeAll(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#entries.keys()].map((watchId) => this.close(watchId)));
  }
}
