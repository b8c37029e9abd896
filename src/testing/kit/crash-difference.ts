/** What a history left that the undisturbed run did not, in words.
 * @module */
import { inspect, isDeepStrictEqual } from 'node:util';
import { differenceOf } from './batch-difference.ts';
import type { CapturedBatches } from './captured-batches.ts';
import type { CheckedCrashOptions } from './crash-options.ts';

type Comparison = Pick<CheckedCrashOptions, 'compareBy'>;

/** Records of each kind that a message shows. */
const SHOWN_MAX = 5;

/** All that two runs left. */
export interface CrashEffects {
  readonly captured: CapturedBatches;
  /** What the user's `observe` returned. */
  readonly observed: unknown;
}

/** Where `actual` parts from `expected`; `undefined`: nowhere. */
export function crashDifference(
  actual: CrashEffects,
  expected: CrashEffects,
  { outputIds, options }: { readonly outputIds: readonly string[]; readonly options: Comparison },
): string | undefined {
  for (const outputId of outputIds) {
    const difference = outputDifference(actual, expected, { outputId, options });
    if (difference !== undefined) return difference;
  }
  if (isDeepStrictEqual(actual.observed, expected.observed)) return undefined;
  return (
    'what observe() returns differs:\n' +
    `  undisturbed: ${shown(expected.observed)}\n  this time:   ${shown(actual.observed)}`
  );
}

function outputDifference(
  actual: CrashEffects,
  expected: CrashEffects,
  { outputId, options }: { readonly outputId: string; readonly options: Comparison },
): string | undefined {
  const compared = (records: readonly unknown[]): unknown[] =>
    records.map((record) => options.compareBy(record, outputId));
  const [got, wanted] = [actual.captured.of(outputId), expected.captured.of(outputId)];
  const times = [...new Set([...wanted.keys(), ...got.keys()])].toSorted((a, b) => a - b);
  for (const batchTimeMs of times) {
    const [should = []] = wanted.get(batchTimeMs) ?? [];
    const runs = got.get(batchTimeMs) ?? [[]];
    for (const [run, records] of runs.entries()) {
      const { missing, extra } = differenceOf(compared(records), compared(should));
      if (missing.length === 0 && extra.length === 0) continue;
      const again = run === 0 ? '' : ', when it ran again';
      return [
        `${outputId}, the batch with the time ${batchTimeMs}${again}:`,
        ...listed('missing', missing),
        ...listed('too much', extra),
      ].join('\n  ');
    }
  }
  return undefined;
}

function listed(what: string, records: readonly unknown[]): string[] {
  if (records.length === 0) return [];
  const rest = records.length > SHOWN_MAX ? ` and ${records.length - SHOWN_MAX} more` : '';
  const first = records.slice(0, SHOWN_MAX).map(shown).join(', ');
  return [`${what} (${records.length}): ${first}${rest}`];
}

function shown(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200 });
}
