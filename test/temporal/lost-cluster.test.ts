import { pino } from 'pino';
import { ConfigError } from '../../src/config';
import { refuseLostCluster, type AskRouter } from '../../src/temporal/lost-cluster';

const FIRST = { cluster: 'c', version: 3, source: 'state.json' };
let logged: string[];
beforeEach(() => {
  logged = [];
});

/** Routers r0, r1, … with the versions that they hold, or with the reason why they don't say. */
function check(...held: readonly (number | Error)[]): Promise<void> {
  const urls = held.map((_version, index) => `http://r${index}`);
  const ask: AskRouter = async (url) => {
    const answer = held[urls.indexOf(url)];
    if (typeof answer === 'number') return answer;
    throw answer ?? new Error(`${url} was not to be asked`);
  };
  return refuseLostCluster(FIRST, { urls, ask, logger: pino({}, { write: (line: string) => void logged.push(line) }) });
}

describe('a cluster about to be created', () => {
  it('is created when no router holds a later map, or there is none to ask', async () => {
    await expect(check(0, 3)).resolves.toBeUndefined();
    await expect(check()).resolves.toBeUndefined();
    expect(logged).toEqual([]);
  });

  it('is refused when one router holds a later map, naming it and the version that a restore needs', async () => {
    const refused = check(3, 4, 9);
    await expect(refused).rejects.toThrow(ConfigError);
    await expect(refused).rejects.toThrow(
      /^COORDINATOR_ROUTER_URLS: .*version 3 of state\.json.*http:\/\/r1 at version 4, http:\/\/r2 at version 9: .*a version above 9$/,
    );
  });

  it('is created with a warning when a router does not answer, and refused all the same when another one is ahead', async () => {
    await expect(check(new Error('connection refused'), 3)).resolves.toBeUndefined();
    expect(logged.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 40, router: 'http://r0', reason: 'connection refused' },
    ]);
    await expect(check(new Error('connection refused'), 4)).rejects.toThrow(ConfigError);
  });

  it('gives all routers together three seconds', async () => {
    const deadlines: number[] = [];
    const ask: AskRouter = async (_url, deadlineMs) => deadlines.push(deadlineMs);
    const beforeMs = Date.now();
    const urls = ['http://r0', 'http://r1'];
    await refuseLostCluster({ ...FIRST, version: 2 }, { urls, ask, logger: pino({ level: 'silent' }) });
    expect(new Set(deadlines).size).toBe(1);
    expect(deadlines[0]! - beforeMs).toBeGreaterThanOrEqual(3_000);
    expect(deadlines[0]! - Date.now()).toBeLessThanOrEqual(3_000);
  });
});
