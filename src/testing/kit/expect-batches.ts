/** Compares the batches of a run with those that a test expects, and prints both sides when they
 * differ. Throws the AssertionError of node:assert, which every test runner shows with its own
 * difference.
 * @module */
import { AssertionError } from 'node:assert';
import { isDeepStrictEqual } from 'node:util';
import { OptionCheck } from '../../dstream/option-check.ts';
import { differenceOf, showWhole as show } from './batch-difference.ts';
import { checkBatches } from './kit-options.ts';

export interface ExpectOptions {
  /** True: the records of a batch must also come in this order. @defaultValue false */
  readonly ordered?: boolean;
}

/** Passes when both have the same batches: the same records, as often, in any order unless told
 * otherwise. Records are equal as for `deepStrictEqual`.
 * @throws {AssertionError} with both sides, the first batch that differs, what is missing there and
 *   what is too much. @throws {MillraceError} OPTIONS_INVALID for a wrong call. */
export function expectBatches(
  actual: readonly (readonly unknown[])[],
  expected: readonly (readonly unknown[])[],
  options?: ExpectOptions,
): void {
  const check = new OptionCheck('expectBatches');
  checkBatches(check, 'the actual batches', actual);
  checkBatches(check, 'the expected batches', expected);
  const { ordered = false } = check.object(options, ['ordered']);
  check.require(typeof ordered === 'boolean', 'ordered must be true or false');
  check.finish();
  const difference = findDifference(actual, expected, ordered === true);
  if (difference === undefined) return;
  throw new AssertionError({
    message: `${difference}\n  actual:   ${show(actual)}\n  expected: ${show(expected)}`,
    actual,
    expected,
    operator: 'expectBatches',
    stackStartFn: expectBatches,
  });
}

type Batches = readonly (readonly unknown[])[];

function findDifference(actual: Batches, expected: Batches, ordered: boolean): string | undefined {
  for (let index = 0; index < Math.max(actual.length, expected.length); index += 1) {
    const [got, wanted] = [actual[index], expected[index]];
    if (got === undefined || wanted === undefined) {
      return `${actual.length} batches instead of ${expected.length}`;
    }
    const { missing, extra } = differenceOf(got, wanted);
    if (missing.length > 0 || extra.length > 0) {
      const parts = [
        missing.length > 0 ? ` lacks ${show(missing)}` : '',
        extra.length > 0 ? ` has ${show(extra)} too much` : '',
      ];
      return `batch ${index}${parts.filter((part) => part !== '').join(' and')}`;
    }
    if (ordered && !isDeepStrictEqual(got, wanted)) {
      return `batch ${index} has the records in another order`;
    }
  }
  return undefined;
}
