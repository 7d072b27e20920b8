import type { Attempt } from './attempt';

/** A retry repeats at most the work of this time. */
const REPORT_INTERVAL_MS = 1_000;
/** The same while there is collected work that costs a settle time, whether it is one point or a thousand. */
const REPORT_INTERVAL_WITH_WORK_MS = 5_000;

/** Says when a long walk should come to a safe point. */
export class StopWatch {
  readonly #attempt: Attempt;
  #reportedAtMs: number;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
    this.#reportedAtMs = attempt.nowMs();
  }

  isTimeToReport(hasWork: boolean): boolean {
    const intervalMs = hasWork ? REPORT_INTERVAL_WITH_WORK_MS : REPORT_INTERVAL_MS;
    return this.#attempt.nowMs() - this.#reportedAtMs >= intervalMs || this.#attempt.isTimeToPause;
  }

  reported(): void {
    this.#reportedAtMs = this.#attempt.nowMs();
  }
}
