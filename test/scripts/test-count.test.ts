import { countResult, FAILED, lastLine, PASSED, slowest, sum } from '../../scripts/test-count';

describe('the count of npm test', () => {
  it('adds up what jest tells, with a crashed suite as a failure and pending tests as skipped', () => {
    const result = {
      numPassedTests: 5,
      numFailedTests: 2,
      numRuntimeErrorTestSuites: 1,
      numPendingTests: 4,
      numTodoTests: 1,
    };
    expect(countResult(JSON.stringify(result))).toEqual({ passed: 5, failed: 3, skipped: 5 });
  });

  it('counts a jest that left no result, or half of one, as failed', () => {
    expect(countResult('')).toEqual(FAILED);
    expect(countResult('{"numPassedTests":')).toEqual(FAILED);
  });

  it('names the skipped ones in its last line only when there are some', () => {
    expect(lastLine(sum([PASSED, PASSED, FAILED]))).toBe('2 passed, 1 failed');
    expect(lastLine(sum([PASSED, { passed: 0, failed: 0, skipped: 3 }]))).toBe('1 passed, 0 failed, 3 skipped');
  });

  it('tells the slowest tests, slowest first', () => {
    const file = (...times: [string, number | null][]) => ({
      assertionResults: times.map(([fullName, duration]) => ({ fullName, duration })),
    });
    const text = JSON.stringify({ testResults: [file(['a', 20], ['b', null]), file(['c', 3_000])] });
    expect(slowest(text, 2)).toEqual([
      { title: 'c', seconds: 3 },
      { title: 'a', seconds: 0.02 },
    ]);
    expect(slowest('', 2)).toEqual([]);
  });
});
