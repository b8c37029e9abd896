/** Ends a vitest run with one plain line, `N passed, N failed, N skipped`, for readers of logs.
 *
 * Everything that makes vitest's exit code non-zero counts as failed: failed tests, files that did
 * not load, hooks that threw (their tests are reported as skipped), errors outside of any test.
 * @module */
import type { Reporter, SerializedError, TestModule, TestSuite } from 'vitest/node';

export interface TestTotals {
  passed: number;
  failed: number;
  skipped: number;
}

/** The totals of a run, from what vitest hands to a reporter at its end. */
export function countTests(
  modules: readonly TestModule[],
  unhandledErrors: readonly SerializedError[],
): TestTotals {
  const totals: TestTotals = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
  for (const module of modules) {
    if (hasOwnError(module)) totals.failed += 1;
    for (const suite of module.children.allSuites()) if (hasOwnError(suite)) totals.failed += 1;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') totals.passed += 1;
      else if (state === 'failed') totals.failed += 1;
      else totals.skipped += 1;
    }
  }
  return totals;
}

/** True when the file or suite itself failed (load, hook), not a test inside it. */
function hasOwnError(part: TestModule | TestSuite): boolean {
  return part.errors().length > 0;
}

export default class PlainReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const { passed, failed, skipped } = countTests(modules, unhandledErrors);
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
}
