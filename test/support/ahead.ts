/** Runs tests side by side that jest asks for one after the other: while one is waited for, the next few have begun. */
export class Ahead {
  private readonly tasks: readonly (() => Promise<void>)[];
  private readonly atOnce: number;
  private readonly begun = new Map<number, Promise<void>>();

  constructor(tasks: readonly (() => Promise<void>)[], atOnce: number) {
    this.tasks = tasks;
    this.atOnce = atOnce;
  }

  run(index: number): Promise<void> {
    for (let next = index; next < Math.min(index + this.atOnce, this.tasks.length); next++) void this.begin(next);
    return this.begin(index);
  }

  /** When everything that was begun is over, whether its test was asked for or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.begun.values());
  }

  private begin(index: number): Promise<void> {
    const running = this.begun.get(index);
    if (running !== undefined) return running;
    const task = this.tasks[index]?.() ?? Promise.resolve();
    // Its own test hears of the failure; nobody else does.
    task.catch(() => undefined);
    this.begun.set(index, task);
    return task;
  }
}
