/**
 * One attempt of an activity: its deadline, its cancellation, its heartbeat, and what it knows about late writes.
 *
 *  1. No write begins after the deadline, or after a cancellation was noticed (INV-3): a late attempt must not write.
 *  2. A cancellation cuts reads off, and lets writes end. So nothing of a cancelled activity runs after its end.
 *  3. An attempt that fails says so in its last heartbeat. If the next attempt finds no such heartbeat, the one before
 *     it may still run somewhere, and may write until its own deadline.
 */
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { ApplicationFailure, type Context, type Info } from '@temporalio/activity';
import type { ToldTime } from '../../domain/late-writes';
import { LONG_REQUEST_MS } from '../../domain/limits';
import { ShardError } from '../../shards/errors';
import type { CallContext } from '../../shards/http/shard-client';
import { REQUEST_TIMEOUT_MS } from '../../shards/http/shard-http';
import { steadyNowMs } from '../../shards/steady-clock';

export interface Clock {
  nowMs(): number;
  /** Rejects when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: steadyNowMs,
  sleep: async (ms, signal) => {
    await delay(ms, undefined, { signal });
  },
};

/**
 * An attempt that may live for hours is bounded by its heartbeats instead: it writes only while the server is known to
 * hold it for alive.
 */
const LONG_LIFE_MS = 10 * 60_000;
/** Share of the heartbeat time-out for which an answered heartbeat allows writes. */
const LEASE_SHARE = 0.7;
export { LONG_REQUEST_MS } from '../../domain/limits';

/** Tells the server that the attempt lives, and returns when it has said so. Throws when the attempt is over. */
export type RenewLease = (taskToken: Uint8Array, details: unknown) => Promise<void>;

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
    /** For how long its own requests went on then, and until when those of earlier attempts do. Absent: as release 0.3.0 said it. */
    readonly requestsForMs?: number;
    readonly earlierUntilMs?: number;
    readonly hasUncountedWrites: boolean;
  } | null;
}

export class Attempt {
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #renew: RenewLease | null;
  #mayWriteUntilMs: number;
  readonly #context: Context;
  readonly #info: Info;
  readonly #clock: Clock;
  readonly #pauseAtMs: number;
  readonly #resumed: HeartbeatDetails | null;
  #progress: unknown;
  /** By the clock of this worker: its own requests, and those of an attempt that said for how long they go on. */
  #requestsUntilMs = 0;
  /** By the clock of the server, which alone knows when an attempt began that said nothing. */
  #earlierUntilMs = 0;
  readonly #behindMs: number;
  #hasUncountedWrites: boolean;
  #ticker: NodeJS.Timeout | undefined;
  #isRenewing = false;

  constructor(context: Context, clock: Clock, renew: RenewLease | null = null) {
    this.#context = context;
    this.#info = context.info;
    this.#clock = clock;
    this.signal = AbortSignal.any([context.cancellationSignal, this.#over.signal]);
    // Every request under way listens to it. There may be dozens, so Node's warning about a leak would be wrong.
    setMaxListeners(0, this.signal);
    const lifeMs = this.#info.startToCloseTimeoutMs;
    const startMs = clock.nowMs();
    this.deadlineMs = startMs + lifeMs - Math.min(DEADLINE_MARGIN_MAX_MS, lifeMs * DEADLINE_MARGIN_SHARE);
    this.#pauseAtMs = startMs + lifeMs * PAUSE_SHARE;
    this.#renew = lifeMs > LONG_LIFE_MS && this.#info.heartbeatTimeoutMs !== undefined ? renew : null;
    this.#mayWriteUntilMs = this.#renew === null ? this.deadlineMs : startMs + this.#leaseMs;
    this.#resumed = heartbeatDetails(this.#info);
    this.#progress = this.#resumed?.progress ?? null;
    this.#behindMs = Math.max(0, this.#info.currentAttemptScheduledTimestampMs - startMs);
    this.#expectEarlierAttempts(startMs);
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

  /** True when the server bounds this attempt by its heartbeats. */
  get isLeased(): boolean {
    return this.#renew !== null;
  }

  /** Until then this attempt may begin to write. It grows while the server answers its heartbeats. */
  get mayWriteUntilMs(): number {
    return this.#mayWriteUntilMs;
  }

  /** Every write of an activity goes through here. It begins only while this attempt may write. */
  async write<T>(send: (ctx: CallContext) => Promise<T>): Promise<T> {
    this.confirmMayWrite();
    this.#hasUncountedWrites = true;
    try {
      const deadlineMs = this.isLeased ? this.nowMs() + LONG_REQUEST_MS : this.deadlineMs;
      return await send({ deadlineMs });
    } catch (error) {
      if (error instanceof ShardError && mayArriveLate(error)) this.noteWrites(this.nowMs() + REQUEST_TIMEOUT_MS);
      throw error;
    }
  }

  /** Something was written on behalf of this attempt, and may reach a shard until then; 0 when it cannot any more. */
  noteWrites(lateWritesUntilMs: number): void {
    this.#hasUncountedWrites = true;
    this.#requestsUntilMs = Math.max(this.#requestsUntilMs, lateWritesUntilMs);
  }

  /** @throws when the attempt was cancelled or its time is over */
  confirmMayWrite(): void {
    this.signal.throwIfAborted();
    if (this.nowMs() < this.#mayWriteUntilMs) return;
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
    return Math.max(this.#requestsUntilMs, this.#earlierUntilMs);
  }

  /** The same in words that hold whatever this worker's clock shows. */
  get told(): ToldTime {
    const atMs = this.nowMs();
    return {
      worker: hostname(),
      atMs,
      behindMs: this.#behindMs,
      requestsForMs: Math.max(0, this.#requestsUntilMs - atMs),
      earlierUntilMs: this.#earlierUntilMs,
    };
  }

  /** Heartbeats by a timer, so that a long request does not silence them. */
  startHeartbeats(): void {
    const { heartbeatTimeoutMs } = this.#info;
    if (heartbeatTimeoutMs === undefined) return;
    this.#heartbeat(null);
    void this.#renewLease();
    const intervalMs = Math.min(HEARTBEAT_INTERVAL_MAX_MS, heartbeatTimeoutMs / 4);
    this.#ticker = setInterval(() => {
      this.#heartbeat(null);
      void this.#renewLease();
    }, intervalMs);
  }

  stopHeartbeats(): void {
    clearInterval(this.#ticker);
  }

  /** The last heartbeat of a failed attempt. Nothing of the attempt runs after it. */
  heartbeatEnd(): void {
    if (this.#info.heartbeatTimeoutMs === undefined) return;
    const { requestsForMs, earlierUntilMs } = this.told;
    this.#heartbeat({
      attempt: this.#info.attempt,
      lateWritesUntilMs: this.lateWritesUntilMs,
      requestsForMs,
      earlierUntilMs,
      hasUncountedWrites: this.#hasUncountedWrites,
    });
  }

  #heartbeat(ended: HeartbeatDetails['ended']): void {
    const details: HeartbeatDetails = { progress: this.#progress, ended };
    this.#context.heartbeat(details);
  }

  get #leaseMs(): number {
    return (this.#info.heartbeatTimeoutMs ?? 0) * LEASE_SHARE;
  }

  /** One at a time: a server that is slow to answer extends nothing. */
  async #renewLease(): Promise<void> {
    if (this.#renew === null || this.#isRenewing) return;
    this.#isRenewing = true;
    const sentAtMs = this.nowMs();
    try {
      await this.#renew(this.#info.taskToken, { progress: this.#progress, ended: null });
      this.#mayWriteUntilMs = Math.min(this.deadlineMs, Math.max(this.#mayWriteUntilMs, sentAtMs + this.#leaseMs));
    } catch (error) {
      // An attempt that the server has given up must not go on.
      if (isOver(error)) this.#over.abort(error);
    } finally {
      this.#isRenewing = false;
    }
  }

  #expectEarlierAttempts(startMs: number): void {
    const { attempt, currentAttemptScheduledTimestampMs, startToCloseTimeoutMs } = this.#info;
    if (attempt <= 1) return;
    const ended = this.#endOfLastAttempt();
    if (ended?.requestsForMs !== undefined) {
      // It ran by a clock of its own, so only the length of the time that it named counts.
      if (ended.requestsForMs > 0) this.#requestsUntilMs = startMs + ended.requestsForMs;
      this.#earlierUntilMs = ended.earlierUntilMs ?? 0;
    } else if (ended !== null) {
      this.#earlierUntilMs = ended.lateWritesUntilMs;
    } else {
      // The lease of a long one had ended by the time at which the server gave it up.
      const lifeMs = startToCloseTimeoutMs > LONG_LIFE_MS ? LONG_REQUEST_MS : startToCloseTimeoutMs;
      this.#earlierUntilMs = currentAttemptScheduledTimestampMs + lifeMs;
    }
  }

  /** What the previous attempt said at its end; null when it said nothing. */
  #endOfLastAttempt(): HeartbeatDetails['ended'] {
    const ended = this.#resumed?.ended ?? null;
    return ended?.attempt === this.#info.attempt - 1 ? ended : null;
  }
}

function isOver(error: unknown): boolean {
  return error instanceof Error && OVER.includes(error.name);
}

/** The classes of @temporalio/client for a heartbeat of an attempt that is no more. A cancel comes through the SDK. */
const OVER: readonly string[] = ['ActivityNotFoundError', 'ActivityResetError'];

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
