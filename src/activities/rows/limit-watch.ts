/** What a step may take of its operation's limits, read again while it runs. */
import { NO_LIMITS, type WorkLimits } from '../../domain/work-limits';

const READ_EVERY_MS = 2_000;

/** Null: nobody could say. */
export type ReadLimits = () => Promise<WorkLimits | null>;

export class LimitWatch {
  #limits: WorkLimits;
  #ticker: NodeJS.Timeout | undefined;
  #isReading = false;
  readonly #read: ReadLimits | null;

  /** `first`: as they were when the step was asked for. */
  constructor(first: WorkLimits | undefined, read: ReadLimits | null) {
    this.#limits = first ?? NO_LIMITS;
    this.#read = read;
  }

  get limits(): WorkLimits {
    return this.#limits;
  }

  start(everyMs = READ_EVERY_MS): void {
    if (this.#read === null) return;
    // An attempt that Temporal repeats was given the limits of when the step was asked for.
    void this.#readAgain();
    this.#ticker = setInterval(() => void this.#readAgain(), everyMs);
    this.#ticker.unref();
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  /** Without an answer the last one holds: a step must not run free because a worker is slow. */
  async #readAgain(): Promise<void> {
    if (this.#read === null || this.#isReading) return;
    this.#isReading = true;
    try {
      this.#limits = (await this.#read()) ?? this.#limits;
    } catch {
      // The next look comes soon.
    } finally {
      this.#isReading = false;
    }
  }
}
