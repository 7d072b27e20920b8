/**
 * The watch over the routers, for a step that deletes for hours. The workflow asked before the step began, and this asks
 * again, so that no delete relies on what was known of the routers long before.
 */
import type { DropDonorInput } from '../../contract/move';
import type { WatchReading } from '../../contract/watch';
import { READING_LIFE_MS, type RouterSuspect } from '../../domain/router-watch';
import type { WatchRegistry } from '../../shards/http/watch-registry';
import type { ActivityScope } from '../frame/run-activity';
import { readWatch } from './watch-routers';

/** A router that is slow to answer has not restarted. */
const SILENCE_PATIENCE_MS = 60_000;
const ASK_AGAIN_MS = 1_000;

type Broken = WatchReading & { readonly unbroken: false };

export class StepWatch {
  /** Of this process: an attempt that was given up has another watch than the next one. */
  static #opened = 0;
  readonly #nth = (StepWatch.#opened += 1);
  readonly #scope: ActivityScope;
  readonly #watches: WatchRegistry;
  readonly #input: Pick<DropDonorInput, 'watch' | 'donorId'>;
  /** Of the last answer; null before the first one. */
  #sinceMs: number | null = null;
  /** Where another worker has the watch of the operation: the one that this step has opened for itself. */
  #ownId: string | null = null;
  #isClosed = false;

  constructor(scope: ActivityScope, watches: WatchRegistry, input: Pick<DropDonorInput, 'watch' | 'donorId'>) {
    this.#scope = scope;
    this.#watches = watches;
    this.#input = input;
  }

  /** Until when the answer may be relied on; null: a router may have written by another map, or nobody can say. */
  async renew(): Promise<number | null> {
    const { attempt } = this.#scope;
    const endsAtMs = attempt.nowMs() + SILENCE_PATIENCE_MS;
    for (;;) {
      const askedAtMs = attempt.nowMs();
      const reading = await this.#read();
      if (reading?.unbroken === true) return askedAtMs + READING_LIFE_MS;
      if (reading !== null && this.#isOver(reading)) return null;
      if (attempt.nowMs() >= endsAtMs) return null;
      await attempt.sleep(ASK_AGAIN_MS);
    }
  }

  /** Also where a renewal is still under way: it opens nothing any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#closeOwn();
  }

  /** Null: the list of routers cannot be read just now. */
  async #read(): Promise<WatchReading | null> {
    const { attempt } = this.#scope;
    const { watch, donorId } = this.#input;
    if (watch == null) return null;
    const { watchId: shared, mark, list, version, routersFailClosed } = watch;
    try {
      // The time of the other worker says nothing here: until the marks have answered, each look begins anew.
      if (this.#isUnproven) await this.#closeOwn();
      const watched = this.#watches.find(shared);
      const watchId = watched === null ? (this.#ownId ??= `${shared} ${donorId} ${this.#nth}`) : shared;
      const routerUrls = watched?.routerUrls ?? this.#watches.find(watchId)?.routerUrls ?? (await this.#listed());
      const marked = { mark, routerUrls };
      const question = { watchId, sinceMs: this.#sinceMs ?? watch.sinceMs, marked, list, version, routersFailClosed };
      const reading = await readWatch(this.#watches, null)(this.#scope, question);
      // What was watched until then is behind it.
      if (reading.unbroken) this.#sinceMs = reading.readAtMs;
      return reading;
    } catch {
      attempt.signal.throwIfAborted();
      return null;
    } finally {
      // The step has ended while this was asking.
      if (this.#isClosed) await this.#closeOwn();
    }
  }

  /** Nobody here has seen yet that the routers are the processes that they were. */
  get #isUnproven(): boolean {
    return this.#ownId !== null && this.#sinceMs === null;
  }

  async #closeOwn(): Promise<void> {
    if (this.#ownId !== null) await this.#watches.close(this.#ownId);
  }

  /** Waiting mends none of these. A router that has not told yet whether it is the same one is silent, no more. */
  #isOver({ unknown, changed, suspects }: Broken): boolean {
    if (unknown === true || changed === true) return true;
    const isSilent = ({ seeds, untilMs }: RouterSuspect): boolean => seeds === 'unknown' && untilMs === null;
    return this.#isUnproven ? !suspects.every(isSilent) : suspects.length > 0;
  }

  async #listed(): Promise<readonly string[]> {
    const { watch } = this.#input;
    const { routers } = await this.#scope.findRouters(watch?.list ?? { routerUrls: [] });
    return routers.map(({ url }) => url);
  }
}
