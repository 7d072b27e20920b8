/** What a failed step means: to people, to the next decision, and to writes that may still be under way. */
import { ApplicationFailure, CancelledFailure, TimeoutFailure, type ActivityFailure } from '@temporalio/workflow';
import type { AskedToWait, MayWriteLate } from '../../contract/move';
import { boundedText } from '../../domain/bounded-text';
import { lateWritesUntil, type ToldTime } from '../../domain/late-writes';
import type { Timings } from '../../domain/limits';
import { nowMs } from '../clock';

/** A write whose reply was lost is taken to have reached the shard, or not to, after this long. */
const LOST_REPLY_MS = 5_000;

export interface StepFailure {
  readonly type: string;
  readonly message: string;
  readonly waitingHelps: boolean;
  /** Until when a write of this attempt, or of one before it, may still reach a shard. 0: none can. */
  readonly lateWritesUntilMs: number;
  /** What the worker said of time. Undefined: nothing. */
  readonly told?: ToldTime | undefined;
  /** Which shard asked for a pause, and for how long. Null: none did. */
  readonly askedToWait: AskedToWait | null;
}

/**
 * An attempt that Temporal gave up may be alive and writing until its own deadline. One that failed by itself says in its details what may
 * still be under way, or has lost a reply at most.
 */
export function describeFailure(error: ActivityFailure, timings: Timings): StepFailure {
  const { cause } = error;
  if (cause instanceof CancelledFailure) {
    return {
      type: 'Cancelled',
      message: 'cancelled',
      waitingHelps: false,
      lateWritesUntilMs: toldLateWrites(cause, timings) ?? 0,
      told: detailsOf(cause)?.told,
      askedToWait: null,
    };
  }
  if (cause instanceof ApplicationFailure) {
    return {
      type: cause.type ?? 'Unknown',
      message: boundedText(cause.message),
      waitingHelps: cause.nonRetryable !== true,
      lateWritesUntilMs: lateWritesUntilMs(cause, timings),
      told: detailsOf(cause)?.told,
      askedToWait: detailsOf(cause)?.askedToWait ?? null,
    };
  }
  if (cause instanceof TimeoutFailure) {
    const message = `no worker finished this step in time (${cause.timeoutType})`;
    return {
      type: 'TimedOut',
      message,
      waitingHelps: true,
      lateWritesUntilMs: nowMs() + timings.attemptMs,
      askedToWait: null,
    };
  }
  return {
    type: 'Unknown',
    message: boundedText(error.message),
    waitingHelps: true,
    lateWritesUntilMs: nowMs() + timings.attemptMs,
    askedToWait: null,
  };
}

function lateWritesUntilMs(failure: ApplicationFailure, timings: Timings): number {
  return toldLateWrites(failure, timings) ?? (failure.nonRetryable === true ? 0 : nowMs() + LOST_REPLY_MS);
}

/** What the attempt itself said in its details, null when it said nothing. */
function toldLateWrites(failure: ApplicationFailure | CancelledFailure, timings: Timings): number | null {
  const { lateWritesUntilMs: untilMs, told } = detailsOf(failure) ?? {};
  if (untilMs === undefined) return null;
  return lateWritesUntil({ lateWritesUntilMs: untilMs, ...(told === undefined ? {} : { told }) }, timings, nowMs());
}

type Details = Partial<MayWriteLate> & { readonly askedToWait?: AskedToWait };

function detailsOf(failure: ApplicationFailure | CancelledFailure): Details | null {
  return (failure.details?.[0] as Details | null | undefined) ?? null;
}

export function cancelled(): CancelledFailure {
  return new CancelledFailure('the operation was cancelled');
}
