/** The trailing options of operators, and the type that keeps promises out of results.
 * @module */
import type { UserFunction } from './graph.ts';
import { OptionCheck } from './option-check.ts';

export interface OperatorOptions {
  /** Name of the operator in plans, messages and checkpoints, unique in the pipeline.
   * @defaultValue `<kind>-<n>` */
  readonly id?: string;
}

export interface ShuffleOptions extends OperatorOptions {
  /** Into how many partitions the keys are spread, 1 … 4,096.
   * @defaultValue the number of executors */
  readonly partitions?: number;
}

export const PARTITIONS_MAX: number = 4_096;

/** `U`, unless it is or may be a promise: then nothing fits, and an async function does not
 * compile. */
export type SyncResult<U> = U &
  (0 extends 1 & U
    ? unknown
    : [Extract<U, PromiseLike<unknown>>] extends [never]
      ? unknown
      : never);

/** @param functions the user's, if the operator takes any; none may be asynchronous.
 * @throws {MillraceError} OPTIONS_INVALID. */
export function checkOperator(
  kind: string,
  given: OperatorOptions | undefined,
  functions: readonly unknown[] = [],
): { readonly id: string | undefined } {
  const check = new OptionCheck(kind);
  const options = check.object(given, ['id']);
  for (const fn of functions) check.syncFunction('the function', fn);
  check.finish();
  return { id: options['id'] as string | undefined };
}

/** @param functions the user's, by the names that messages give them; none may be asynchronous.
 * @throws {MillraceError} OPTIONS_INVALID. */
export function checkFunctions(kind: string, functions: Readonly<Record<string, unknown>>): void {
  const check = new OptionCheck(kind);
  for (const [name, fn] of Object.entries(functions)) check.syncFunction(name, fn);
  check.finish();
}

/** @throws {MillraceError} OPTIONS_INVALID. */
export function checkShuffle(
  kind: string,
  given: ShuffleOptions | undefined,
): { readonly id: string | undefined; readonly options: { readonly partitions?: number } } {
  const check = new OptionCheck(kind);
  const { id, partitions } = check.object(given, ['id', 'partitions']);
  const options =
    partitions === undefined
      ? {}
      : { partitions: check.integer('partitions', partitions, { min: 1, max: PARTITIONS_MAX }) };
  check.finish();
  return { id: id as string | undefined, options };
}

/** The functions of `aggregateByKey` as those of `combineByKey`.
 * @throws {MillraceError} OPTIONS_INVALID. */
export function aggregation<V, C>(
  kind: string,
  zero: C,
  fns: {
    readonly mergeValue: (combined: C, value: V) => C;
    readonly mergeCombiners: (a: C, b: C) => C;
  },
): Readonly<Record<'create' | 'mergeValue' | 'mergeCombiners', UserFunction>> {
  checkFunctions(kind, fns);
  const copy = copier(kind, zero);
  return { ...fns, create: (value: V): C => fns.mergeValue(copy(), value) };
}

/** A function that makes a fresh copy of a user's value each time.
 * @throws {MillraceError} OPTIONS_INVALID when it cannot be copied. */
function copier<T>(kind: string, value: T): () => T {
  const check = new OptionCheck(kind);
  check.require(isData(value), 'zero must be plain data: it is copied for each key');
  check.finish();
  return Object(value) === value ? () => structuredClone(value) : () => value;
}

function isData(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
