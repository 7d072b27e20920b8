/**
 * INV-3: until when a write of an attempt that is over may still reach a shard, by the clock of the workflow.
 *
 * 1. A worker names lengths of time, and never a moment of its own clock (ToldTime).
 * 2. Nothing is late for longer than the longest life of an attempt: a moment further away comes from a wrong clock.
 */
import { CLOCK_SKEW_MAX_MS, LONG_REQUEST_MS, type Timings } from './limits';

/** What a worker says of time, so that a workflow need not believe its clock. */
export interface ToldTime {
  /** The machine, as it names itself: its processes have one clock. */
  readonly worker: string;
  /** What its clock showed when it said this. */
  readonly atMs: number;
  /** By so much, or more, it showed less than the server's at the start of the attempt. */
  readonly behindMs: number;
  /** For how long requests of this attempt may still reach a shard. */
  readonly requestsForMs: number;
  /** By the server's clock: until when those of attempts that said nothing may. */
  readonly earlierUntilMs: number;
}

/** 0: nothing is late. */
export function lateWritesUntil(
  { lateWritesUntilMs, told }: { readonly lateWritesUntilMs: number; readonly told?: ToldTime },
  timings: Timings,
  nowMs: number,
): number {
  if (told === undefined) return notBeyondAttempts(lateWritesUntilMs, timings, nowMs);
  const requestsUntilMs = told.requestsForMs > 0 ? nowMs + told.requestsForMs : 0;
  return notBeyondAttempts(Math.max(requestsUntilMs, told.earlierUntilMs), timings, nowMs);
}

export function notBeyondAttempts(untilMs: number, { attemptMs, heartbeatMs }: Timings, nowMs: number): number {
  return Math.min(untilMs, nowMs + Math.max(attemptMs, heartbeatMs + LONG_REQUEST_MS));
}

/** How far the clock of a worker is known to be off: ahead above 0, behind below it. Null: as far as is known, it is right. */
export function clockSkewMs({ atMs, behindMs }: ToldTime, nowMs: number): number | null {
  // What it said came here later than it was said, so a clock that shows more than ours is ahead by that at least.
  const aheadMs = atMs - nowMs;
  if (aheadMs > CLOCK_SKEW_MAX_MS) return aheadMs;
  return behindMs > CLOCK_SKEW_MAX_MS ? -behindMs : null;
}
