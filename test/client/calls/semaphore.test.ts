import { Semaphore } from '../../../src/client/calls/semaphore';

/** Tasks that end when the test says so. */
function tasks() {
  const ends: (() => void)[] = [];
  const task = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
  return { ends, task };
}

describe('Semaphore', () => {
  it('runs a few tasks at once, the others in their order, and turns the next one away when the queue is full', async () => {
    const semaphore = new Semaphore({ runningMax: 2, waitingMax: 1 });
    const { ends, task } = tasks();
    const running = [semaphore.runInTurn(task), semaphore.runInTurn(task), semaphore.runInTurn(task)];
    await Promise.resolve();
    expect(ends).toHaveLength(2);
    await expect(semaphore.runInTurn(task)).rejects.toMatchObject({ code: 'Busy' });
    ends[0]!();
    await running[0];
    expect(ends).toHaveLength(3);
    ends[1]!();
    ends[2]!();
    await Promise.all(running);
  });

  it('gives the place back when a task fails', async () => {
    const semaphore = new Semaphore({ runningMax: 1, waitingMax: 0 });
    await expect(semaphore.runInTurn(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(semaphore.runInTurn(() => Promise.resolve(7))).resolves.toBe(7);
  });
});
