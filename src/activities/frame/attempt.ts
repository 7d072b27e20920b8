/**
 * One attempt of an activity: its deadline, its cancellation, its heartbeat, and what it knows about writes that may still
 * arrive late.
 *
 *  1. No write is begun after the deadline, or after a cancellation was noticed (INV-3): a late attempt must not write.
 *  2. Reads are cut off by a cancellation; writes are not. A write that was begun is waited for, so that when a cancelled
 *     activity has ended nothing of it is under way any more.
 *  3. An attempt that ends by failing says so in its last heartbeat. If the next attempt finds no such word, the one before
 *     it may still be running somewhere, and may write until its own deadline.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure, type Context, type Info } from '@temporalio/activity';
import { ShardError } from '../../shards/errors';
import type { CallContext } from '../../shards/http/shard-client';
import { REQUEST_TIMEOUT_MS } from '../../shards/http/shard-http';

export interface Clock {
  nowMs(): number;
  /** Rejects when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal });
  },
};

/** Writes stop this long before the server gives the attempt up, at most and as a share of its life. */
const DEADLINE_MARGIN_MAX_MS = 2_000;
const DEADLINE_MARGIN_SHARE = 0.1;
/** Share of its life after which a long attempt returns its cursor, so that a slow shard does not cost it the whole segment. */
const PAUSE_SHARE = 0.6;
const HEARTBEAT_INTERVAL_MAX_MS = 1_000;

/** What a heartbeat carries. `progress` is the activity's own, plain JSON, without point data. */
interface HeartbeatDetails {
  readonly progress: unknown;
  /** Set by an attempt that ended on its own and left nothing running. */
  readonly ended: {
    readonly attempt: number;
    readonly lateWritesUntilMs: number;
    readonly hasUncountedWrites: boolean;
  } | null;
}

export class Attempt {
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly #context: Context;
  readonly #info: Info;
  readonly #clock: Clock;
  readonly #pauseAtMs: number;
  readonly #resumed: HeartbeatDetails | null;
  #progress: unknown;
  #lateWritesUntilMs: number;
  #hasUncountedWrites: boolean;
  #ticker: NodeJS.Timeout | undefined;

  constructor(context: Context, clock: Clock) {
    this.#context = context;
    this.#info = context.info;
    this.#clock = clock;
    this.signal = context.cancellationSignal;
    // Every request under way listens to it, and there may be dozens: no leak.
    setMaxListeners(0, this.signal);
    const lifeMs = this.#info.startToCloseTimeoutMs;
    const startMs = clock.nowMs();
    this.deadlineMs = startMs + lifeMs - Math.min(DEADLINE_MARGIN_MAX_MS, lifeMs * DEADLINE_MARGIN_SHARE);
    this.#pauseAtMs = startMs + lifeMs * PAUSE_SHARE;
    this.#resumed = heartbeatDetails(this.#info);
    this.#progress = this.#resumed?.progress ?? null;
    this.#lateWritesUntilMs = this.#lateWritesOfEarlierAttempts();
    this.#hasUncountedWrites = this.#info.attempt > 1 && this.#endOfLastAttempt()?.hasUncountedWrites !== false;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** For reads: cut off by the deadline and by a cancellation. */
  get reading(): CallContext {
    return { deadlineMs: this.deadlineMs, signal: this.signal };
  }

  /** The same, with an end of its own that comes first. */
  readingFor(timeoutMs: number): CallContext {
    return { deadlineMs: Math.min(this.deadlineMs, this.nowMs() + timeoutMs), signal: this.signal };
  }

  /** Every write of an activity goes through here, and is begun only while this attempt may write. */
  async write<T>(send: (ctx: CallContext) => Promise<T>): Promise<T> {
    this.confirmMayWrite();
    this.#hasUncountedWrites = true;
    try {
      return await send({ deadlineMs: this.deadlineMs });
    } catch (error) {
      if (error instanceof ShardError && mayArriveLate(error)) {
        this.#lateWritesUntilMs = Math.max(this.#lateWritesUntilMs, this.nowMs() + REQUEST_TIMEOUT_MS);
      }
      throw error;
    }
  }

  /** @throws when the attempt was cancelled or its time is over */
  confirmMayWrite(): void {
    this.signal.throwIfAborted();
    if (this.nowMs() < this.deadlineMs) return;
    throw ApplicationFailure.retryable(
      'the time of this attempt is over, so it must not write any more: the next attempt goes on',
      'AttemptOutOfTime',
    );
  }

  /** True when the attempt should return what it has, and leave the rest to the next activity. */
  get isTimeToPause(): boolean {
    return this.nowMs() >= this.#pauseAtMs;
  }

  /** A safe point: everything before it is done, and counted in `progress`, which is what `reached` gives from now on. */
  reach(progress: unknown): void {
    this.#progress = progress;
    this.#hasUncountedWrites = false;
    this.signal.throwIfAborted();
  }

  /** The last safe point, of this attempt or of one before it; null without one. Of the type that the activity reports. */
  get reached(): unknown {
    return this.#progress;
  }

  /** Something may have been written since the last safe point, by this attempt or by one before it. */
  get hasUncountedWrites(): boolean {
    return this.#hasUncountedWrites;
  }

  sleep(ms: number): Promise<void> {
    return this.#clock.sleep(ms, this.signal);
  }

  /** See MayWriteLate. */
  get lateWritesUntilMs(): number {
    return this.#lateWritesUntilMs;
  }

  /** Heartbeats by a timer, so that a request that takes long does not silence them. */
  startHeartbeats(): void {
    const { heartbeatTimeoutMs } = this.#info;
    if (heartbeatTimeoutMs === undefined) return;
    this.#heartbeat(null);
    const intervalMs = Math.min(HEARTBEAT_INTERVAL_MAX_MS, heartbeatTimeoutMs / 4);
    this.#ticker = setInterval(() => this.#heartbeat(null), intervalMs);
  }

  stopHeartbeats(): void {
    clearInterval(this.#ticker);
  }

  /** The last word of an attempt that failed: nothing of it runs any more. */
  heartbeatEnd(): void {
    if (this.#info.heartbeatTimeoutMs === undefined) return;
    this.#heartbeat({
      attempt: this.#info.attempt,
      lateWritesUntilMs: this.#lateWritesUntilMs,
      hasUncountedWrites: this.#hasUncountedWrites,
    });
  }

  #heartbeat(ended: HeartbeatDetails['ended']): void {
    const details: HeartbeatDetails = { progress: this.#progress, ended };
    this.#context.heartbeat(details);
  }

  #lateWritesOfEarlierAttempts(): number {
    const { attempt, currentAttemptScheduledTimestampMs, startToCloseTimeoutMs } = this.#info;
    if (attempt <= 1) return 0;
    const ended = this.#endOfLastAttempt();
    if (ended !== null) return ended.lateWritesUntilMs;
    return currentAttemptScheduledTimestampMs + startToCloseTimeoutMs;
  }

  /** What the attempt right before this one said as it ended, null when it said nothing. */
  #endOfLastAttempt(): HeartbeatDetails['ended'] {
    const ended = this.#resumed?.ended ?? null;
    return ended?.attempt === this.#info.attempt - 1 ? ended : null;
  }
}

/** A write that was answered is over, whatever the answer. Without an answer, or with a gateway's in its place, it may go on. */
function mayArriveLate(error: ShardError): boolean {
  return error.outcomeUnknown && (error.status === null || error.status === 502 || error.status === 504);
}

function heartbeatDetails(info: Info): HeartbeatDetails | null {
  const details: unknown = info.heartbeatDetails;
  if (typeof details !== 'object' || details === null || !('progress' in details)) return null;
  return details as HeartbeatDetails;
}
