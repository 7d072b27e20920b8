/** When the operation is told how far a step has come, and what slows it down: each time is a few events of its history. */
import type { StepProgress } from '../../domain/progress';
import type { Slowed } from '../../domain/slowed';
import type { JobProgress } from '../../rows/ports';

const TELL_FIRST_MS = 2_000;
const TELL_SHARE = 0.1;
/** Beside the rare times: where something begins to slow the step down, or ceases to. */
const CHANGES_MAX = 24;
const CHANGE_PAUSE_MS = 5_000;

const NOTHING_DONE: JobProgress = { rowsRead: 0, points: 0, bytes: 0, expected: 0 };

/** First after two seconds, then after ever longer pauses: some fifty times in an hour, eighty in a day. */
export class StepTelling {
  readonly #shardId: number | null;
  readonly #tell: (step: StepProgress) => void;
  readonly #startMs: number;
  #nextMs: number;
  #progress: JobProgress | null = null;
  #slowed: readonly Slowed[] = [];
  #told = '';
  #changesLeft = CHANGES_MAX;
  #changeFromMs: number;

  constructor(nowMs: number, shardId: number | null, tell: (step: StepProgress) => void) {
    this.#shardId = shardId;
    this.#tell = tell;
    this.#startMs = nowMs;
    this.#nextMs = this.#changeFromMs = nowMs + TELL_FIRST_MS;
  }

  report(progress: JobProgress, nowMs: number): void {
    this.#progress = progress;
    if (this.#isTime(nowMs)) this.#tellNow();
  }

  /** To be called again and again, also while nothing slows it down. */
  slowed(slowed: readonly Slowed[], nowMs: number): void {
    // A rate holds for the step, and not for the shards that it writes to.
    this.#slowed = slowed.map((each) => (isRate(each) ? { ...each, shardId: this.#shardId } : each));
    if (this.#isChange(nowMs) || (slowed.length > 0 && this.#isTime(nowMs))) this.#tellNow();
  }

  #isTime(nowMs: number): boolean {
    if (nowMs < this.#nextMs) return false;
    this.#nextMs = nowMs + Math.max(TELL_FIRST_MS, (nowMs - this.#startMs) * TELL_SHARE);
    return true;
  }

  #isChange(nowMs: number): boolean {
    if (causesOf(this.#slowed) === this.#told || this.#changesLeft === 0 || nowMs < this.#changeFromMs) return false;
    this.#changesLeft -= 1;
    this.#changeFromMs = nowMs + CHANGE_PAUSE_MS;
    return true;
  }

  #tellNow(): void {
    this.#told = causesOf(this.#slowed);
    const progress = this.#progress ?? NOTHING_DONE;
    const slowed = this.#slowed.length === 0 ? {} : { slowed: this.#slowed };
    this.#tell({ shardId: this.#shardId, ...progress, ...slowed });
  }
}

function causesOf(slowed: readonly Slowed[]): string {
  return slowed
    .map(({ by, shardId }) => `${by} ${shardId}`)
    .sort()
    .join();
}

function isRate({ by }: Slowed): boolean {
  return by === 'max_bytes_per_s' || by === 'max_rows_per_s';
}
