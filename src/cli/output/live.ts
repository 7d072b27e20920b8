/** Progress on the standard error: drawn in place on a terminal, else a line whenever there is news. */
import type { Output } from '../io';

/** Without news, a log still shows that something runs. */
const QUIET_LINE_EVERY_MS = 10_000;

const CLEAR_BELOW = '\u001b[J';
const upBy = (lines: number): string => (lines === 0 ? '\r' : `\u001b[${lines}F`);

export interface LiveOptions {
  readonly output: Output;
  /** False: a terminal that cannot move its cursor, or none. */
  readonly isDrawn: boolean;
  readonly nowMs: () => number;
}

export class Live {
  readonly #options: LiveOptions;
  /** How many lines are drawn above the cursor. */
  #drawn = 0;
  #news: string | null = null;
  #lastLineAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  /** Columns that a line may have; null: any. */
  get width(): number | null {
    return this.#options.isDrawn ? (this.#options.output.columns ?? 80) : null;
  }

  /** `news` is the same text as long as nothing happens that a log should tell at once. */
  show(lines: readonly string[], news: string): void {
    const { output, isDrawn, nowMs } = this.#options;
    if (isDrawn) {
      output.write(`${upBy(this.#drawn)}${CLEAR_BELOW}${lines.join('\n')}\n`);
      this.#drawn = lines.length;
      return;
    }
    if (news === this.#news && nowMs() - this.#lastLineAtMs < QUIET_LINE_EVERY_MS) return;
    this.#news = news;
    this.#lastLineAtMs = nowMs();
    output.write(`${lines.map((line) => line.trim()).join(' · ')}\n`);
  }

  /** What was drawn goes: the result follows it. */
  clear(): void {
    if (this.#drawn > 0) this.#options.output.write(`${upBy(this.#drawn)}${CLEAR_BELOW}`);
    this.#drawn = 0;
  }
}
