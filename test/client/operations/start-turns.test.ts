import { RefusedBeforeStart, StartTurns } from '../../../src/client/operations/start-turns';
import type { OperationLock } from '../../../src/domain/cluster-state';

const lockOf = (operationId: string): OperationLock => ({
  ...{ operationId, kind: 'grow', stage: 'reserved', wasAnnounced: false, shards: [] },
  ...{ sinceMs: 0, origin: operationId, takeovers: 0, standby: null },
});

/** What is asked and started, with a lock that the test sets. */
function turns(options: { turnMs?: number; known?: readonly string[] } = {}) {
  const { turnMs = 200, known = [] } = options;
  const world = { lock: null as OperationLock | null, queries: 0, started: [] as string[] };
  const starts = new StartTurns({
    queryLock: async () => {
      world.queries += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return world.lock;
    },
    isKnown: (operationId) => Promise.resolve(known.includes(operationId)),
    turnMs,
  });
  const start = (operationId: string, work: Promise<void> = Promise.resolve()) =>
    starts.run(operationId, async () => {
      world.started.push(operationId);
      await work;
    });
  return { world, start };
}

describe('a start', () => {
  it('is refused without being tried while another operation holds the lock', async () => {
    const { world, start } = turns();
    world.lock = lockOf('grow-a');
    await expect(start('grow-b')).rejects.toThrow(RefusedBeforeStart);
    await expect(start('grow-b')).rejects.toThrow(/^operation grow-a is running: wait for its end/);
    expect(world.started).toEqual([]);
  });

  it('is tried when its own operation holds the lock, or is known from before', async () => {
    const { world, start } = turns({ known: ['grow-old'] });
    world.lock = lockOf('grow-a');
    await start('grow-a');
    await start('grow-old');
    expect(world.started).toEqual(['grow-a', 'grow-old']);
  });

  it('waits for one that is under way, and is refused as soon as that one has the lock', async () => {
    const { world, start } = turns({ turnMs: 5_000 });
    let end = (): void => undefined;
    const first = start('grow-a', new Promise((resolve) => (end = resolve)));
    const others = Array.from({ length: 50 }, (_, n) => start(`grow-${n}`));
    setTimeout(() => (world.lock = lockOf('grow-a')), 60);
    for (const other of await Promise.allSettled(others)) expect(other.status).toBe('rejected');
    expect(world.started).toEqual(['grow-a']);
    expect(world.queries).toBeLessThan(20);
    end();
    await first;
  });

  it('takes its turn when the one before it has come to nothing', async () => {
    const { world, start } = turns();
    await Promise.all([start('grow-a'), start('grow-b')]);
    expect(world.started).toEqual(['grow-a', 'grow-b']);
  });

  it('is refused after its time when the one before it neither has the lock nor ends', async () => {
    const { start } = turns();
    let end = (): void => undefined;
    const first = start('grow-a', new Promise((resolve) => (end = resolve)));
    await expect(start('grow-b')).rejects.toThrow('operation grow-a is about to begin');
    end();
    await first;
  });

  it('is let through as a repeat of one that is under way', async () => {
    const { world, start } = turns();
    let end = (): void => undefined;
    const first = start('grow-a', new Promise((resolve) => (end = resolve)));
    const repeat = start('grow-a');
    await new Promise((resolve) => setTimeout(resolve, 20));
    end();
    await Promise.all([first, repeat]);
    expect(world.started).toEqual(['grow-a', 'grow-a']);
  });
});
