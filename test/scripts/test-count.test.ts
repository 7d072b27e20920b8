import { countResult, FAILED, lastLine, PASSED, sum } from '../../scripts/test-count';

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
});
