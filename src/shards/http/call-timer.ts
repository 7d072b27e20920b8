import type { TraceContext } from '../../domain/trace';

/** Longer timers fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** The limits that a caller sets for a call. */
export interface CallContext {
  /** Milliseconds since the epoch. No request outlives it, and no request is begun after it. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What the call is a part of, where the code around it does not know: in the thread that moves rows. */
  readonly trace?: TraceContext | null | undefined;
}

/**
 * Ends a request when the shard takes too long, when the caller's deadline comes, or when the caller cancels. Only the
 * time spent waiting for the shard counts as the shard's. The deadline holds throughout.
 */
export class CallTimer {
  readonly #controller = new AbortController();
  readonly #ctx: CallContext;
  readonly #requestTimeoutMs: number;
  readonly #nowMs: () => number;
  readonly #onAbort = (): void => {
    this.stop();
    this.#controller.abort();
  };
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #exceeded: string | null = null;

  /** Starts the clock. @throws the reason of `ctx.signal` when that is aborted already. */
  constructor(ctx: CallContext, requestTimeoutMs: number, nowMs: () => number) {
    ctx.signal?.throwIfAborted();
    this.#ctx = ctx;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#nowMs = nowMs;
    ctx.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.waitForShard();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Which limit has ended the request, as in "no answer within 20 ms", or null. */
  get exceeded(): string | null {
    return this.#exceeded;
  }

  /** From now on the call waits for the shard. */
  waitForShard(): void {
    this.#start(this.#requestTimeoutMs);
  }

  /** The shard has delivered, and the caller works on it: only the deadline counts. */
  waitForCaller(): void {
    this.#start(Number.POSITIVE_INFINITY);
  }

  /** For good: a call that ends late starts no clock again. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#ctx.signal?.removeEventListener('abort', this.#onAbort);
  }

  #start(atMostMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const leftMs = Math.max(0, this.#ctx.deadlineMs - this.#nowMs());
    const limit = atMostMs < leftMs ? `within ${atMostMs} ms` : 'before the deadline of its caller';
    this.#timer = setTimeout(
      () => {
        this.#exceeded = limit;
        this.#controller.abort();
      },
      Math.min(atMostMs, leftMs, TIMER_MAX_MS),
    );
  }
}
