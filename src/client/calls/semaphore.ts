import { ClientError } from './errors';

/** Lets a few tasks run at once, has some more wait, and turns the rest away: nothing here may grow without a bound. */
export class Semaphore {
  private readonly runningMax: number;
  private readonly waitingMax: number;
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(bounds: { runningMax: number; waitingMax: number }) {
    this.runningMax = bounds.runningMax;
    this.waitingMax = bounds.waitingMax;
  }

  /** @throws ClientError Busy */
  async runInTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.running < this.runningMax) this.running += 1;
    else await this.turn();
    try {
      return await task();
    } finally {
      // The place goes to the next task that waits, so that no later one can slip in before it.
      const next = this.waiting.shift();
      if (next === undefined) this.running -= 1;
      else next();
    }
  }

  private turn(): Promise<void> {
    if (this.waiting.length >= this.waitingMax) {
      throw new ClientError('Busy', `${this.waitingMax} changes wait already: try again in a moment`);
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
