/** One small generator decides everything in a run, so its seed repeats the run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) | 1;
    for (let turn = 0; turn < 8; turn++) this.next();
  }

  /** From 0 to below 1. */
  next(): number {
    let state = (this.#state = (this.#state + 0x6d2b79f5) | 0);
    state = Math.imul(state ^ (state >>> 15), state | 1);
    state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
    return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }

  shuffled<T>(from: readonly T[]): T[] {
    const left = [...from];
    for (let at = left.length - 1; at > 0; at--) {
      const other = this.between(0, at);
      [left[at], left[other]] = [left[other]!, left[at]!];
    }
    return left;
  }

  /** A stream of its own, so that one part of the world does not shift the choices of another. */
  fork(): Random {
    return new Random(this.between(0, 2 ** 31 - 1));
  }
}
