/** A record as the values of one row of SQLite. Pure.
 *
 *      'text'                  TEXT      1, -7, 2n      INTEGER, of 64 bits
 *      1.5, 2 ** 53            REAL      true, false    INTEGER 1, 0
 *      Uint8Array              BLOB      null, undefined, a key that is not there   NULL
 *
 * What SQLite cannot give back is refused, never changed: NaN (it would become NULL), text with a
 * NUL character (cut there) or with half a surrogate pair, integers past 64 bits, dates, objects.
 * @module */
import { storableText, unsupported, valuesOf } from './row-values.ts';
import type { BoundValue } from './sqlite-library.ts';

export type SqliteValue = string | number | bigint | boolean | null | undefined | Uint8Array;

/** Values in the order of the columns, or by their names. */
export type SqliteRow = readonly SqliteValue[] | Readonly<Record<string, SqliteValue>>;

const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

/** @throws {MillraceError} RECORD_UNSUPPORTED naming the column. */
export function rowValues(record: unknown, columns: readonly string[]): BoundValue[] {
  return valuesOf(record, columns, boundValue);
}

function boundValue(value: unknown, column: string): BoundValue {
  switch (typeof value) {
    case 'string':
      return storableText(value, column);
    case 'number':
      if (Number.isNaN(value)) throw unsupported(value, `of column ${column} would become NULL`);
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case 'bigint':
      if (value >= INTEGER_MIN && value <= INTEGER_MAX) return value;
      throw unsupported(value, `of column ${column} has more than 64 bits`);
    case 'boolean':
      return value ? 1n : 0n;
    case 'undefined':
      return null;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw unsupported(value, `of column ${column} is no value of SQLite: map it to text first`);
  }
}
