/**
 * Watches routers, each on one connection that is kept alive. A router that dies closes it within milliseconds, so a
 * connection that lived is proof that the router did not restart. Where one broke, a mark in the router's process is
 * the proof. Every break is noted, and so is every map that a router should not have shown. What follows from that is decided in domain/router-watch.ts.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'undici';
import { boundedText } from '../../domain/bounded-text';
import type { Key } from '../reach/shard-keys';
import { OPEN_REACH, type Reach } from '../reach/reach';
import { withoutTrace } from '../../tracing/current';
import type { ServedSeeds, WatchBreak, WatchedRouterState, WatchSnapshot } from '../../domain/router-watch';
import type { CallContext } from './call-timer';
import { holdsMark, markRouter, routerMap, type HeldMap } from './router-client';

/** How long a router may take over an answer. Then its connection is given up, because nobody knows what it does. */
const ANSWER_TIMEOUT_MS = 5_000;
const ASK_INTERVAL_MS = 500;
/** Without a connection it is asked more often: a router that starts shows its seeds for a moment only. */
const RECONNECT_INTERVAL_MS = 100;
/** Never closed by us while it is watched. */
const KEEP_ALIVE_MS = 600_000;
const BREAKS_KEPT_MAX = 10;
const SEEDS_KEPT_MAX = 10;
const SHARD_URLS_MAX = 8;
const REASON_CHARS_MAX = 200;

export interface WatchClock {
  /** Must never go back: a connection is told from an older one by its time. */
  nowMs(): number;
  /** Rejects when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's clock as it was when the process began, and since then one that nobody can set. */
export const MONOTONIC_CLOCK: WatchClock = {
  nowMs: () => Math.round(performance.timeOrigin + performance.now()),
  sleep: (ms, signal) => delay(ms, undefined, { signal, ref: false }),
};

export interface WatchOptions {
  readonly routerUrls: readonly string[];
  /** The shard key, which routers accept as admin key. */
  readonly key: Key;
  readonly clock?: WatchClock | undefined;
  readonly answerTimeoutMs?: number;
  readonly reach?: Reach | undefined;
}

export class RouterWatch {
  readonly routerUrls: readonly string[];
  readonly #clock: WatchClock;
  readonly #routers: readonly WatchedRouter[];

  constructor(options: WatchOptions) {
    const clock = options.clock ?? MONOTONIC_CLOCK;
    this.routerUrls = [...new Set(options.routerUrls)];
    this.#clock = clock;
    this.#routers = this.routerUrls.map((url) => new WatchedRouter(url, { ...options, clock }));
  }

  /** Resolves when each router has answered once, or after `patienceMs`. */
  async connected(patienceMs: number): Promise<void> {
    await this.#within(
      patienceMs,
      this.#routers.map((router) => router.answered),
    );
  }

  /** Asks each router now, so that what the snapshot then tells is not older than this call. */
  async ask(patienceMs: number): Promise<void> {
    await this.#within(
      patienceMs,
      this.#routers.map((router) => router.askNow()),
    );
  }

  /**
   * Leaves a mark in the process of each router that answers within `patienceMs`. No request outlives this call: it
   * could mark a process that began later. Returns the mark, which is no other call's.
   */
  async mark(patienceMs: number): Promise<string> {
    const mark = randomBytes(8).toString('hex');
    await Promise.all(this.#routers.map((router) => router.mark(mark, patienceMs)));
    return mark;
  }

  /** The routers that are still the processes that were marked, as far as they answer within `patienceMs`. */
  async marked(mark: string, patienceMs: number): Promise<ReadonlySet<string>> {
    const held = await Promise.all(this.#routers.map((router) => router.holdsMark(mark, patienceMs)));
    return new Set(this.routerUrls.filter((_url, index) => held[index]));
  }

  snapshot(): WatchSnapshot {
    return { atMs: this.#clock.nowMs(), routers: this.#routers.map((router) => router.state()) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#routers.map((router) => router.close()));
  }

  async #within(patienceMs: number, all: readonly Promise<void>[]): Promise<void> {
    const timer = new AbortController();
    const patience = this.#clock.sleep(patienceMs, timer.signal).catch(() => undefined);
    await Promise.race([Promise.all(all), patience]);
    timer.abort();
  }
}

/** One router, and the one connection to it. */
class WatchedRouter {
  readonly answered: Promise<void>;
  readonly #url: string;
  readonly #key: Key;
  readonly #clock: WatchClock;
  readonly #answerTimeoutMs: number;
  readonly #connection: Client;
  readonly #running: Promise<void>;
  #markAnswered: () => void = () => undefined;
  #waiting: (() => void)[] = [];
  /** Ends the pause between two requests. */
  #pause = new AbortController();
  #isClosed = false;
  #connectedSinceMs: number | null = null;
  #version: number | null = null;
  #versionMax = 0;
  #lastAnswerAtMs: number | null = null;
  #problem: string | null = null;
  #breakCount = 0;
  #breaks: WatchBreak[] = [];
  #seeds: ServedSeeds[] = [];

  constructor(url: string, { key, clock, answerTimeoutMs, reach = OPEN_REACH }: WatchOptions & { clock: WatchClock }) {
    this.#url = url;
    this.#key = key;
    this.#clock = clock;
    this.#answerTimeoutMs = answerTimeoutMs ?? ANSWER_TIMEOUT_MS;
    this.answered = new Promise((resolve) => {
      this.#markAnswered = resolve;
    });
    this.#connection = new Client(new URL(url).origin, {
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: reach.connector({ timeout: this.#answerTimeoutMs }),
    });
    this.#connection.on('connect', () => this.#connects());
    this.#connection.on('disconnect', (_origin, _targets, error) => this.#noteBreak(error.message));
    // It goes on long after the step that opened it.
    this.#running = withoutTrace(() => this.#run());
  }

  /** Resolves when a request that begins after this call is answered, or has failed. */
  askNow(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#pause.abort();
    });
  }

  async mark(mark: string, patienceMs: number): Promise<void> {
    await this.#within(patienceMs, (ctx) => markRouter(this.#url, mark, this.#key, ctx, this.#connection));
  }

  async holdsMark(mark: string, patienceMs: number): Promise<boolean> {
    const held = await this.#within(patienceMs, (ctx) => holdsMark(this.#url, mark, this.#key, ctx, this.#connection));
    return held === true;
  }

  state(): WatchedRouterState {
    return {
      url: this.#url,
      connectedSinceMs: this.#connectedSinceMs,
      version: this.#version,
      lastAnswerAtMs: this.#lastAnswerAtMs,
      problem: this.#problem,
      breakCount: this.#breakCount,
      breaks: [...this.#breaks],
      servedSeeds: [...this.#seeds],
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause.abort();
    await this.#connection.destroy();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const waiting = this.#waiting;
      this.#waiting = [];
      await this.#ask();
      for (const resolve of waiting) resolve();
      await this.#rest();
    }
    for (const resolve of this.#waiting) resolve();
  }

  async #rest(): Promise<void> {
    if (this.#connectedSinceMs !== null) await this.#sleep(ASK_INTERVAL_MS);
    // Also when it broke during that sleep: the next request makes a new connection, soon enough to see its seeds.
    if (this.#connectedSinceMs === null) await this.#sleep(RECONNECT_INTERVAL_MS);
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#isClosed || this.#waiting.length > 0) return;
    this.#pause = new AbortController();
    await this.#clock.sleep(ms, this.#pause.signal).catch(() => undefined);
  }

  async #ask(): Promise<void> {
    const patience = new AbortController();
    const timer = setTimeout(() => {
      const reason = `no answer within ${this.#answerTimeoutMs} ms`;
      this.#noteBreak(reason);
      patience.abort(new Error(reason));
    }, this.#answerTimeoutMs);
    try {
      // The signal ends it. A deadline would be by the wall clock, which may jump.
      const ctx = { deadlineMs: Number.MAX_SAFE_INTEGER, signal: patience.signal };
      this.#holds(await routerMap(this.#url, this.#key, ctx, this.#connection));
    } catch (error) {
      this.#problem = bounded(error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Null: it did not answer. */
  async #within<T>(patienceMs: number, ask: (ctx: CallContext) => Promise<T>): Promise<T | null> {
    if (this.#isClosed) return null;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new Error('no answer')), patienceMs);
    try {
      return await ask({ deadlineMs: Number.MAX_SAFE_INTEGER, signal: patience.signal });
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  #connects(): void {
    // A connection in the place of one whose end nobody told is a break all the same.
    if (this.#connectedSinceMs !== null) this.#noteBreak('another connection took its place');
    this.#connectedSinceMs = this.#clock.nowMs();
  }

  #noteBreak(reason: string): void {
    if (this.#connectedSinceMs === null || this.#isClosed) return;
    this.#connectedSinceMs = null;
    this.#breakCount += 1;
    this.#breaks = [...this.#breaks, { atMs: this.#clock.nowMs(), reason: bounded(reason) }].slice(-BREAKS_KEPT_MAX);
    this.#pause.abort();
  }

  #holds({ version, map }: HeldMap): void {
    const atMs = this.#clock.nowMs();
    this.#problem = null;
    // A request that was given up while it waited for another one has closed no connection, so no new one is told.
    this.#connectedSinceMs ??= atMs;
    this.#version = version;
    this.#lastAnswerAtMs = atMs;
    if (version === 0 || version < this.#versionMax) {
      const shardUrls = (map?.shards ?? []).slice(0, SHARD_URLS_MAX).map((shard) => shard.primary_url);
      this.#noteSeeds({ atMs, lastAtMs: atMs, version, shardUrls });
    }
    this.#versionMax = Math.max(this.#versionMax, version);
    this.#markAnswered();
  }

  /** The same map at the next answer is one sight of it that lasts. */
  #noteSeeds(seen: ServedSeeds): void {
    const last = this.#seeds.at(-1);
    const isSame = last?.version === seen.version && last.shardUrls.join() === seen.shardUrls.join();
    if (isSame) this.#seeds[this.#seeds.length - 1] = { ...last, lastAtMs: seen.atMs };
    else this.#seeds = [...this.#seeds, seen].slice(-SEEDS_KEPT_MAX);
  }
}

const bounded = (text: string): string => boundedText(text, REASON_CHARS_MAX);
