/** One record as text, for `saveAsTextFiles`. Pure.
 *
 *      'a b'              → a b            strings as they are, newlines included
 *      ['word', 3]        → (word,3)       an array of two is a pair; pairs nest: ((a,1),x)
 *      7, 12n, true       → 7, 12, true    as JavaScript prints them (NaN, Infinity, 0 for −0)
 *      undefined, null    → undefined, null
 *      [1, 2, 3], { … }   → as JSON        Map, Set, Date, bigint: see json-format.ts
 *
 * It is for people and for tools that work by line, and it is not reversible: a string that holds
 * newlines becomes several lines, and ('a,b') is no pair. Use `saveAsJsonFiles` to read records
 * back. Mirrors Spark's `saveAsTextFiles`, which prints tuples like this. @module */
import { formatJson } from './json-format.ts';

/** @throws {MillraceError} RECORD_UNSUPPORTED for functions and symbols. */
export function formatText(record: unknown): string {
  switch (typeof record) {
    case 'string':
      return record;
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'undefined':
      return String(record);
    default:
      return isPair(record)
        ? `(${formatText(record[0])},${formatText(record[1])})`
        : formatJson(record);
  }
}

function isPair(value: unknown): value is readonly [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}
