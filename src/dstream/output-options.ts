/** The arguments of output operations, and their errors when they are wrong.
 * @module */
import type { NodeOptions, UserFunction } from './graph.ts';
import { OptionCheck } from './option-check.ts';
import { checkOperator } from './operator-options.ts';
import type { OperatorOptions } from './operator-options.ts';
import type { Sink } from './sink.ts';

const PRINT_RECORDS_MAX = 10_000;

/** What an output operation is made of, checked. */
export interface CheckedOutput {
  readonly id: string | undefined;
  readonly options?: NodeOptions;
  readonly fn?: UserFunction;
  readonly sink?: Sink<unknown>;
}

/** @throws {MillraceError} OPTIONS_INVALID. */
export function checkPrint(n: number, options: OperatorOptions | undefined): CheckedOutput {
  const check = new OptionCheck('print');
  check.integer('the number of records', n, { min: 1, max: PRINT_RECORDS_MAX });
  check.finish();
  return { ...checkOperator('print', options), options: { n } };
}

/** @throws {MillraceError} OPTIONS_INVALID. */
export function checkCall(
  kind: 'foreachBatch' | 'foreachPartition',
  fn: UserFunction,
  options: OperatorOptions | undefined,
): CheckedOutput {
  const check = new OptionCheck(kind);
  check.function('the function', fn);
  check.finish();
  return { ...checkOperator(kind, options), fn };
}

/** @throws {MillraceError} OPTIONS_INVALID. */
export function checkFiles(
  kind: 'saveAsTextFiles' | 'saveAsJsonFiles',
  { prefix, suffix }: { readonly prefix: string; readonly suffix: string | undefined },
  options: OperatorOptions | undefined,
): CheckedOutput {
  const check = new OptionCheck(kind);
  check.text('prefix', prefix);
  // Empty is none, as in Spark.
  const hasSuffix = suffix !== undefined && suffix !== '';
  if (hasSuffix) check.text('suffix', suffix);
  check.finish();
  const given = { prefix, ...(hasSuffix ? { suffix } : {}) };
  return { ...checkOperator(kind, options), options: given };
}
