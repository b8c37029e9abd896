/** A record as the values of one row of a table: an array in the order of the columns, or an object
 * with their names. What becomes of each value is the database's affair. Pure.
 * @module */
import { inspect } from 'node:util';
import { MillraceError } from '../core/errors.ts';

const UNSTORABLE_TEXT = /\0|\p{Surrogate}/u;
const SHOWN_CHARS_MAX = 80;

/** @param toValue makes of a value what the database takes, or throws `unsupported`.
 * @throws {MillraceError} RECORD_UNSUPPORTED naming the column. */
export function valuesOf<V>(
  record: unknown,
  columns: readonly string[],
  toValue: (value: unknown, column: string) => V,
): V[] {
  if (Array.isArray(record)) {
    const values: readonly unknown[] = record;
    if (values.length === columns.length) {
      return columns.map((column, index) => toValue(values[index], column));
    }
    throw unsupported(record, `has ${values.length} values for ${columns.length} columns`);
  }
  if (typeof record !== 'object' || record === null || ArrayBuffer.isView(record)) {
    throw unsupported(record, `is no row of ${columns.length} columns: map it to an array`);
  }
  for (const key of Object.keys(record)) {
    if (!columns.includes(key)) throw unsupported(record, `has ${key}, which is no column`);
  }
  const row = record as Readonly<Record<string, unknown>>;
  return columns.map((column) => toValue(row[column], column));
}

/** Text that comes back as it was. @throws {MillraceError} RECORD_UNSUPPORTED. */
export function storableText(text: string, column: string): string {
  if (!UNSTORABLE_TEXT.test(text)) return text;
  throw unsupported(text, `of column ${column} has a NUL character or half a surrogate pair`);
}

export function unsupported(value: unknown, why: string): MillraceError {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY });
  const shown = text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text;
  return new MillraceError('RECORD_UNSUPPORTED', `${shown} ${why}`);
}
