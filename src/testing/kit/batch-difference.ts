/** What two batches of records do not have in common: as multisets, equal as for
 * `deepStrictEqual`.
 * @module */
import { inspect, isDeepStrictEqual } from 'node:util';

export interface BatchDifference {
  /** Expected and not there, once for each time that it lacks. */
  readonly missing: readonly unknown[];
  /** There and not expected. */
  readonly extra: readonly unknown[];
}

export function differenceOf(
  actual: readonly unknown[],
  expected: readonly unknown[],
): BatchDifference {
  return { missing: without(expected, actual), extra: without(actual, expected) };
}

/** What is left of `records` when each of `taken` has taken an equal one away. */
function without(records: readonly unknown[], taken: readonly unknown[]): unknown[] {
  const byText = new Map<string, unknown[]>();
  for (const record of taken) {
    const text = showWhole(record);
    const same = byText.get(text);
    if (same === undefined) byText.set(text, [record]);
    else same.push(record);
  }
  return records.filter((record) => {
    const candidates = byText.get(showWhole(record)) ?? [];
    const found = candidates.findIndex((candidate) => isDeepStrictEqual(candidate, record));
    if (found === -1) return true;
    candidates.splice(found, 1);
    return false;
  });
}

/** Equal values look equal: nothing is cut off, and keys are sorted. */
export function showWhole(value: unknown): string {
  return inspect(value, {
    depth: Number.POSITIVE_INFINITY,
    maxArrayLength: Number.POSITIVE_INFINITY,
    maxStringLength: Number.POSITIVE_INFINITY,
    breakLength: Number.POSITIVE_INFINITY,
    compact: true,
    sorted: true,
  });
}
