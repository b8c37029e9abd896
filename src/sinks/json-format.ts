/** One record as one line of JSON, for `saveAsJsonFiles`. Pure.
 *
 *      Map            → an object when all keys are strings, else an array of [key, value]
 *      Set            → an array              typed array, ArrayBuffer → an array of numbers
 *      bigint         → a number within ±(2⁵³ − 1), else a string of digits
 *      Date           → ISO 8601 text; an invalid date → null
 *      NaN, ±Infinity → null                  undefined → null; as a property it is left out
 *      an object with toJSON → what that returns
 *
 * The line never holds a newline: JSON writes one as \n. Strings that no UTF-8 can hold are
 * escaped.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';

/** @throws {MillraceError} RECORD_UNSUPPORTED for functions, symbols and cyclic values. */
export function formatJson(record: unknown): string {
  if (typeof record === 'string') return JSON.stringify(record); // the common case, 3 times faster
  const json = stringify(record === undefined ? null : record);
  if (json === undefined) throw unsupported('toJSON() returned nothing');
  return json;
}

/** The type of JSON.stringify leaves out that it may return nothing. */
function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, replace);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw unsupported(toError(error).message, error);
  }
}

/** Called by JSON.stringify for each value, outermost first; what it returns is walked in turn. */
function replace(this: object, key: string, value: unknown): unknown {
  // JSON.stringify has called toJSON by now; a Buffer's would hide that it is a typed array.
  const original: unknown = Reflect.get(this, key);
  if (ArrayBuffer.isView(original)) return numbersOf(original);
  switch (typeof value) {
    case 'bigint':
      return bigintToJson(value);
    case 'function':
    case 'symbol':
      throw unsupported(`a ${typeof value} at ${key === '' ? 'the top' : `.${key}`}`);
    case 'object':
      return value === null ? null : objectToJson(value);
    default:
      return value;
  }
}

function objectToJson(value: object): unknown {
  if (value instanceof Map) return mapToJson(value);
  if (value instanceof Set) return [...value];
  if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
  return value;
}

function mapToJson(map: ReadonlyMap<unknown, unknown>): unknown {
  const entries = [...map];
  return entries.every(([key]) => typeof key === 'string')
    ? Object.fromEntries(entries as [string, unknown][])
    : entries;
}

function numbersOf(view: ArrayBufferView): unknown[] {
  if (view instanceof DataView) {
    return [...new Uint8Array(view.buffer, view.byteOffset, view.byteLength)];
  }
  return Array.from(view as unknown as ArrayLike<number | bigint>);
}

function bigintToJson(value: bigint): number | string {
  const isSafe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
  return isSafe ? Number(value) : value.toString();
}

function unsupported(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'RECORD_UNSUPPORTED',
    `a record cannot be written as JSON: ${what}. Map it to plain data before the output`,
    cause === undefined ? {} : { cause },
  );
}
