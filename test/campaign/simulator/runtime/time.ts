/**
 * Virtual time. Nothing happens between two timers, so the clock jumps from one to the next. All code of a run gets
 * this clock: `Date.now`, `setTimeout` and `setInterval` are replaced while the run goes on.
 *
 * A timer belongs to the process that set it. A process that dies never sees its timers again, which is all that death
 * means here; one that stands still sees them late.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

const realImmediate = setImmediate;

/** Anything that can die: a worker, a router. The world itself never does. */
export class Process {
  readonly name: string;
  isAlive = true;
  /** It does nothing until then. */
  standsStillUntilMs = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** Whose code is running. */
export const processes = new AsyncLocalStorage<Process>();

interface Timer {
  atMs: number;
  readonly order: number;
  readonly owner: Process | null;
  readonly fire: () => void;
  isCancelled: boolean;
}

/** Replaced for the time of a run. */
const GLOBALS = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] as const;

export class VirtualTime {
  nowMs: number;
  /** Called whenever everything has come to rest. */
  readonly #whenSettled: () => void;
  readonly #heap: Timer[] = [];
  #order = 0;
  events = 0;

  constructor(startMs: number, whenSettled: () => void) {
    this.nowMs = startMs;
    this.#whenSettled = whenSettled;
  }

  /** `owner: null`: of the world, which never dies. */
  at(atMs: number, owner: Process | null, fire: () => void): Timer {
    const timer = {
      atMs: Math.max(Math.ceil(atMs), this.nowMs),
      order: this.#order++,
      owner,
      fire,
      isCancelled: false,
    };
    this.#push(timer);
    return timer;
  }

  after(ms: number, owner: Process | null, fire: () => void): Timer {
    return this.at(this.nowMs + ms, owner, fire);
  }

  sleep(ms: number, owner: Process | null = null): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, owner, resolve);
    });
  }

  /** Of the code that calls. Rejects when `signal` aborts. */
  sleepUnless(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const abort = (): void => {
        timer.isCancelled = true;
        reject(signal?.reason as Error);
      };
      const timer = this.after(ms, processes.getStore() ?? null, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Runs until `isDone`, or until `untilMs`. Returns whether it was done. */
  async run(isDone: () => boolean, untilMs: number): Promise<boolean> {
    for (;;) {
      await new Promise((resolve) => realImmediate(resolve));
      this.#whenSettled();
      if (isDone()) return true;
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.nowMs = next.atMs;
      while (this.#heap[0] !== undefined && this.#heap[0].atMs <= this.nowMs) this.#fire(this.#pop());
    }
  }

  #fire(timer: Timer): void {
    const { owner } = timer;
    if (timer.isCancelled || owner?.isAlive === false) return;
    if (owner !== null && owner.standsStillUntilMs > this.nowMs) {
      timer.atMs = owner.standsStillUntilMs;
      this.#push(timer);
      return;
    }
    this.events += 1;
    timer.fire();
  }

  /** Returns what puts the real clock back. */
  install(): () => void {
    const real = GLOBALS.map((name) => [name, globalThis[name]] as const);
    const realNow = Date.now;
    const scope = globalThis as unknown as Record<string, unknown>;
    scope['setTimeout'] = (run: () => void, ms = 0) => this.#ofCode(ms, run);
    scope['setInterval'] = (run: () => void, ms = 0) => this.#repeat(ms, run);
    scope['clearTimeout'] = scope['clearInterval'] = (timer: Partial<Timer> | undefined) => {
      if (timer !== undefined) timer.isCancelled = true;
    };
    Date.now = () => this.nowMs;
    return () => {
      for (const [name, value] of real) scope[name] = value;
      Date.now = realNow;
    };
  }

  #ofCode(ms: number, run: () => void): object {
    const inContext = AsyncLocalStorage.snapshot();
    const timer = this.after(ms, processes.getStore() ?? null, () => inContext(run));
    return handleOf(timer);
  }

  #repeat(ms: number, run: () => void): object {
    const inContext = AsyncLocalStorage.snapshot();
    const owner = processes.getStore() ?? null;
    const handle = { isCancelled: false, unref: () => handle, ref: () => handle, refresh: () => handle };
    const next = (): void => {
      this.after(ms, owner, () => {
        if (handle.isCancelled) return;
        inContext(run);
        next();
      });
    };
    next();
    return handle;
  }

  // ---- A heap: the earliest first, and of two at one moment the one that was set first ----

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[parent]!)) return;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0; ;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** As Node's own: the code of the product calls `unref` and `refresh` on it. */
function handleOf(timer: Timer): object {
  const handle = Object.assign(timer, { unref: () => handle, ref: () => handle, refresh: () => handle });
  return handle;
}
