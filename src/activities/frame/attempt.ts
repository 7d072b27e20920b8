/**
 * One attempt of an activity: its deadline, its cancellation, its heartbeat, and what it knows about late writes.
 *
 *  1. No write begins after the deadline, or after a cancellation was noticed (INV-3): a late attempt must not write.
 *  2. A cancellation cuts reads off, and lets writes end. So nothing of a cancelled activity runs after its end.
 *  3. An attempt that fails says so in its last heartbeat. If the next attempt finds no such heartbeat, the one before
 *     it may still run somewhere, and may write until its own deadline.
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

/** Writes stop this long before the server gives the attempt up: at most this, and at most this share of its life. */
const DEADLINE_MARGIN_MAX_MS = 2_000;
const DEADLINE_MARGIN_SHARE = 0.1;
/**
 * After this share of its life a long attempt returns its cursor. So a slow shard does not cost it the whole segment.
 */
const PAUSE_SHARE = 0.6;
const HEARTBEAT_INTERVAL_MAX_MS = 1_000;

/** What a heartbeat carries. `progress` belongs to the activity: plain JSON, without point data. */
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
    // Every request under way listens to it. There may be dozens, so Node's warning about a leak would be wrong.
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

  /** For reads: the deadline and a cancellation cut them off. */
  get reading(): CallContext {
    return { deadlineMs: this.deadlineMs, signal: this.signal };
  }

  /** The same, with an earlier end of its own. */
  readingFor(timeoutMs: number): CallContext {
    return { deadlineMs: Math.min(this.deadlineMs, this.nowMs() + timeoutMs), signal: this.signal };
  }

  /** Every write of an activity goes through here. It begins only while this attempt may write. */
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
      'the time of this attempt is over, so it no longer writes: the next attempt goes on',
      'AttemptOutOfTime',
    );
  }

  /** True when the attempt should return what it has, and leave the rest to the next activity. */
  get isTimeToPause(): boolean {
    return this.nowMs() >= this.#pauseAtMs;
  }

  /** A safe point: everything before it is done and counted in `progress`. From now on `reached` gives this. */
  reach(progress: unknown): void {
    this.#progress = progress;
    this.#hasUncountedWrites = false;
    this.signal.throwIfAborted();
  }

  /** What is shown of an attempt that begins anew when it dies: it is no safe point. */
  show(progress: unknown): void {
    this.#progress = progress;
    this.signal.throwIfAborted();
  }

  /** Names this attempt; null for the one before the first. */
  nameOf(attempt: 'this' | 'before'): string | null {
    const { activityId, attempt: number, workflowExecution } = this.#info;
    const wanted = attempt === 'this' ? number : number - 1;
    return wanted === 0 ? null : `${workflowExecution?.runId ?? ''} ${activityId} ${wanted}`;
  }

  /**
   * The last safe point, of this attempt or of an earlier one; null without one. Its type is that of the activity's
   * progress.
   */
  get reached(): unknown {
    return this.#progress;
  }

  /** True when this attempt or an earlier one may have written something since the last safe point. */
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

  /** Heartbeats by a timer, so that a long request does not silence them. */
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

  /** The last heartbeat of a failed attempt. Nothing of the attempt runs after it. */
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

  /** What the previous attempt said at its end; null when it said nothing. */
  #endOfLastAttempt(): HeartbeatDetails['ended'] {
    const ended = this.#resumed?.ended ?? null;
    return ended?.attempt === this.#info.attempt - 1 ? ended : null;
  }
}

/**
 * A write that got an answer is over, whatever the answer is. Without one, or with a gateway's in its place, the write
 * may go on.
 */
function mayArriveLate(error: ShardError): boolean {
  return error.outcomeUnknown && (error.status === null || error.status === 502 || error.status === 504);
}

function heartbeatDetails(info: Info): HeartbeatDetails | null {
  const details: unknown = info.heartbeatDetails;
  if (typeof details !== 'object' || details === null || !('progress' in details)) return null;
  return details as HeartbeatDetails;
}
