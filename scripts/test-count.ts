/** How many checks and tests passed, failed and were skipped. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const PASSED: Count = { passed: 1, failed: 0, skipped: 0 };
export const FAILED: Count = { passed: 0, failed: 1, skipped: 0 };

/** Counts what `jest --json` wrote. A suite that could not be loaded, or left no result at all, counts as failed. */
export function countResult(text: string): Count {
  let result: Record<string, unknown>;
  try {
    result = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return FAILED;
  }
  const of = (name: string): number => Number(result[name] ?? 0);
  return {
    passed: of('numPassedTests'),
    failed: of('numFailedTests') + of('numRuntimeErrorTestSuites'),
    skipped: of('numPendingTests') + of('numTodoTests'),
  };
}

export function sum(counts: readonly Count[]): Count {
  const total = (of: (count: Count) => number): number => counts.reduce((all, count) => all + of(count), 0);
  return {
    passed: total((count) => count.passed),
    failed: total((count) => count.failed),
    skipped: total((count) => count.skipped),
  };
}

/** What CI reads: nothing is printed after it. */
export function lastLine({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** One test and how long it took. */
export interface TestTime {
  readonly seconds: number;
  readonly title: string;
}

interface JestResult {
  readonly testResults?: readonly {
    readonly assertionResults?: readonly { readonly fullName?: string; readonly duration?: number | null }[];
  }[];
}

/** The slowest tests that `jest --json` wrote of, slowest first. Empty when it left no result. */
export function slowest(text: string, countMax: number): readonly TestTime[] {
  let result: JestResult;
  try {
    result = JSON.parse(text) as JestResult;
  } catch {
    return [];
  }
  return (result.testResults ?? [])
    .flatMap(({ assertionResults = [] }) => assertionResults)
    .map(({ fullName = '', duration }) => ({ title: fullName, seconds: (duration ?? 0) / 1_000 }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, countMax);
}
