/** A record as one line of the text format of COPY: each value is the text that Postgres reads for
 * the type of its column. Pure.
 *
 *      'text'        as it is         1, 2n, 0.1, NaN             its digits
 *      Uint8Array    \x and hex       Date                        ISO 8601, UTC
 *      true, false   t, f             null, undefined, no key     NULL
 *
 * What a column cannot keep Postgres refuses, and with it the batch. Refused here: what no column
 * can keep (text with a NUL character or half a surrogate pair) and what is no one text (objects).
 * Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format".
 * @module */
import { storableText, unsupported, valuesOf } from './row-values.ts';

export type PostgresValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | Date;

/** Values in the order of the columns, or by their names. */
export type PostgresRow = readonly PostgresValue[] | Readonly<Record<string, PostgresValue>>;

const SPECIAL = /[\\\n\r\t]/g;
const ESCAPED: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** @returns the values, without the end of the line.
 * @throws {MillraceError} RECORD_UNSUPPORTED naming the column. */
export function copyLine(record: unknown, columns: readonly string[]): string {
  return valuesOf(record, columns, copyText).join('\t');
}

function copyText(value: unknown, column: string): string {
  switch (typeof value) {
    case 'string':
      return storableText(value, column).replace(SPECIAL, (char) => ESCAPED[char] ?? char);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return String(value);
    case 'boolean':
      return value ? 't' : 'f';
    case 'undefined':
      return '\\N';
    default:
      if (value === null) return '\\N';
      if (value instanceof Uint8Array) return bytesText(value);
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
      throw unsupported(value, `of column ${column} is no value of Postgres: map it to text first`);
  }
}

/** The backslash of `\x` is escaped as any other. */
function bytesText(bytes: Uint8Array): string {
  const { buffer, byteOffset, byteLength } = bytes;
  return `\\\\x${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`;
}
