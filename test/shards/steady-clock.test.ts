import { steadyNowMs } from '../../src/shards/steady-clock';

const HOUR_MS = 3_600_000;
afterEach(() => jest.restoreAllMocks());

function setClock(byMs: number): void {
  const realMs = Date.now;
  jest.spyOn(Date, 'now').mockImplementation(() => realMs() + byMs);
}

describe('the time of deadlines', () => {
  it('goes on when the clock of the machine is set back', () => {
    const before = steadyNowMs();
    setClock(-HOUR_MS);
    const after = steadyNowMs();
    expect(after).toBeGreaterThanOrEqual(before);
    expect(after - before).toBeLessThan(5_000);
  });

  it('follows a clock that is set forward, as after a sleep of the machine, and stays there', () => {
    const before = steadyNowMs();
    setClock(HOUR_MS);
    expect(steadyNowMs() - before).toBeGreaterThanOrEqual(HOUR_MS - 1);
    jest.restoreAllMocks();
    expect(steadyNowMs() - before).toBeGreaterThanOrEqual(HOUR_MS - 1);
  });
});
