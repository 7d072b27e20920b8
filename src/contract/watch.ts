/** What the activities of a watch over the routers take and answer. Plain JSON and bounded: it stays in a history. */
import type { RouterList } from './move';
import type { WatchJudgement, WatchQuestion } from '../domain/router-watch';

export interface OpenWatchInput extends RouterList {
  /** Of the caller's choice. A repeat finds the watch that is open. */
  readonly watchId: string;
}

export interface OpenedWatch {
  /** The task queue of the worker that watches; null where it has none of its own, so that there is one worker only. */
  readonly worker: string | null;
  /**
   * By the watch's own clock, like every time here. What begins after it may be asked about with this as `sinceMs`.
   */
  readonly openedAtMs: number;
  /** Left in the process of each router before `openedAtMs`. A process that has it has not restarted since. */
  readonly mark: string;
  /** The URLs that are watched, where they are not those that were given: the list was read and resolved. */
  readonly routerUrls?: readonly string[];
  /** Routers that had not answered after 3 s. They are watched all the same. Bounded. */
  readonly notConnected: readonly { readonly url: string; readonly reason: string }[];
}

/** `sinceMs` is `openedAtMs`, or the `readAtMs` of an earlier answer: the clocks of two machines differ. */
export interface ReadWatchInput extends WatchQuestion {
  readonly watchId: string;
  /** With it any worker can answer: it opens the watch anew, and judges by the marks. */
  readonly marked?: { readonly mark: string; readonly routerUrls: readonly string[] };
  /** With it the list is read and resolved again: what the watch does not have was not watched. */
  readonly list?: RouterList;
}

export type WatchReading = WatchJudgement & {
  /** This worker has no such watch: nobody has watched, so it counts as broken. */
  readonly unknown?: true;
  /** The list has other routers than the watch: it has to be opened anew. */
  readonly changed?: true;
  /** What is asked about next may begin here: everything after it is watched by what was judged here. */
  readonly readAtMs: number;
  /** The task queue of the worker that watches now. */
  readonly worker?: string | null;
};

/** A watch lives in one worker, and is asked for by that worker's own task queue, as long as it answers. */
export interface WatchActivities {
  /**
   * Opens a connection to each router, keeps asking on it, and marks the router's process. Answers when each one is
   * marked, or after 6 s.
   */
  openWatch(input: OpenWatchInput): Promise<OpenedWatch>;

  /**
   * Asks each router once more, and then judges. A watch that nobody reads for a day closes itself, so a longer
   * step reads it in between.
   */
  readWatch(input: ReadWatchInput): Promise<WatchReading>;

  /** A repeat is harmless, and so is a watch that is unknown. */
  closeWatch(input: { watchId: string }): Promise<void>;
}
