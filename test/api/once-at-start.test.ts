import pino from 'pino';
import { onceAtStart } from '../../src/api/once-at-start';

/** Fails so many times, and then succeeds. */
async function run(failures: number, stopAfter = Infinity) {
  const logged: { level: number; what: string; msg: string }[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(JSON.parse(line) as never) });
  const stopping = new AbortController();
  const pauses: number[] = [];
  let tries = 0;
  const seed = (): Promise<void> => (++tries <= failures ? Promise.reject(new Error('away')) : Promise.resolve());
  const pause = (ms: number): Promise<void> => {
    pauses.push(ms);
    if (pauses.length >= stopAfter) stopping.abort();
    return Promise.resolve();
  };
  await onceAtStart(seed, { what: 'the limits', logger, stopping: stopping.signal, pause });
  return { tries, pauses, logged };
}

it('seeds once, and says nothing where the cluster is only starting', async () => {
  expect(await run(0)).toEqual({ tries: 1, pauses: [], logged: [] });
  expect(await run(3)).toEqual({ tries: 4, pauses: [1_000, 2_000, 4_000], logged: [] });
});

it('warns once where it fails for half a minute, and tells that it succeeded after all', async () => {
  const { tries, pauses, logged } = await run(8);
  expect(tries).toBe(9);
  expect(pauses.slice(-3)).toEqual([30_000, 30_000, 30_000]);
  expect(logged.map(({ level, what }) => [level, what])).toEqual([
    [40, 'the limits'],
    [30, 'the limits'],
  ]);
});

it('ends when the API stops', async () => {
  expect(await run(Infinity, 2)).toMatchObject({ tries: 2 });
});
