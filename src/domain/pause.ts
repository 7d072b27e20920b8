/** What holds an operation back on request of a person. */
import { boundedText } from './bounded-text';
import { DomainError } from './errors';

/** Characters of the reason of a pause. */
export const PAUSE_REASON_CHARS_MAX = 200;

export interface PauseRequest {
  readonly reason: string;
  /** When it ends by itself, in ms since the epoch; null: when a person resumes. */
  readonly untilMs: number | null;
  /** The id of the caller's key. */
  readonly by: string;
}

export interface Pause extends PauseRequest {
  readonly sinceMs: number;
  /** True once the operation stands still. */
  readonly holds: boolean;
}

/** A repeat gives it other words and another end, and it goes on. @throws DomainError InvalidRequest */
export function pausedBy(before: Pause | undefined, request: PauseRequest, nowMs: number): Pause {
  const { reason, untilMs, by } = request;
  if (reason.length === 0 || reason.length > PAUSE_REASON_CHARS_MAX) {
    throw new DomainError(
      'InvalidRequest',
      `the reason of a pause must have 1 to ${PAUSE_REASON_CHARS_MAX} characters, this one has ${reason.length}`,
    );
  }
  if (untilMs !== null && !(untilMs > nowMs)) {
    throw new DomainError('InvalidRequest', 'until must be a moment in the future: leave it out to resume by hand');
  }
  const open = isOver(before, nowMs) ? undefined : before;
  return {
    reason,
    untilMs,
    by: boundedText(by, PAUSE_REASON_CHARS_MAX),
    sinceMs: open?.sinceMs ?? nowMs,
    holds: open?.holds ?? false,
  };
}

/** A pause whose end has passed is none, whether anybody has cleared it or not. */
export function isOver(pause: Pause | undefined, nowMs: number): boolean {
  return pause === undefined || (pause.untilMs !== null && pause.untilMs <= nowMs);
}
