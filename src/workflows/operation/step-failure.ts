/** What a failed step means: to people, to the next decision, and to writes that may still be under way. */
import { ApplicationFailure, CancelledFailure, TimeoutFailure, type ActivityFailure } from '@temporalio/workflow';
import type { AskedToWait, MayWriteLate } from '../../contract/move';
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
      lateWritesUntilMs: toldLateWrites(cause) ?? 0,
      askedToWait: null,
    };
  }
  if (cause instanceof ApplicationFailure) {
    return {
      type: cause.type ?? 'Unknown',
      message: cause.message,
      waitingHelps: cause.nonRetryable !== true,
      lateWritesUntilMs: lateWritesUntilMs(cause),
      askedToWait: (cause.details?.[0] as { askedToWait?: AskedToWait } | null | undefined)?.askedToWait ?? null,
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
    message: error.message,
    waitingHelps: true,
    lateWritesUntilMs: nowMs() + timings.attemptMs,
    askedToWait: null,
  };
}

function lateWritesUntilMs(failure: ApplicationFailure): number {
  return toldLateWrites(failure) ?? (failure.nonRetryable === true ? 0 : nowMs() + LOST_REPLY_MS);
}

/** What the attempt itself said in its details, null when it said nothing. */
function toldLateWrites(failure: ApplicationFailure | CancelledFailure): number | null {
  const detail = failure.details?.[0] as Partial<MayWriteLate> | null | undefined;
  return detail?.lateWritesUntilMs ?? null;
}

export function cancelled(): CancelledFailure {
  return new CancelledFailure('the operation was cancelled');
}
