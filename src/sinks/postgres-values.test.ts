import { describe, expect, it } from 'vitest';
import { copyLine } from './postgres-values.ts';

describe('copyLine', () => {
  it.each([
    ['text', 'text'],
    ['ünï→😀', 'ünï→😀'],
    ['', ''],
    ['a\tb\nc\rd\\e', 'a\\tb\\nc\\rd\\\\e'],
    ['\\N', '\\\\N'],
    ['\\.', '\\\\.'],
    [3, '3'],
    [-0, '-0'],
    [1e21, '1e+21'],
    [Number.NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [2n ** 70n, '1180591620717411303424'],
    [true, 't'],
    [false, 'f'],
    [null, '\\N'],
    [undefined, '\\N'],
    [Uint8Array.of(0, 255), '\\\\x00ff'],
    [new Uint8Array([9, 1, 2]).subarray(1), '\\\\x0102'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
  ])('of %o', (value, text) => {
    expect(copyLine([value], ['a'])).toBe(text);
    expect(copyLine({ a: value }, ['a'])).toBe(text);
  });

  it('has values in the order of the columns, whatever form the record has', () => {
    expect(copyLine(['x', 1], ['a', 'b'])).toBe('x\t1');
    expect(copyLine({ b: 1 }, ['a', 'b'])).toBe('\\N\t1');
  });

  it.each([
    ['a\0b', /column a has a NUL character/],
    ['\uD800', /half a surrogate pair/],
    [new Date(Number.NaN), /column a is no value of Postgres/],
    [{ b: 1 }, /column a is no value of Postgres/],
    [[1], /column a is no value of Postgres/],
    [() => 1, /column a is no value of Postgres/],
  ])('refuses %j', (value, why) => {
    expect(() => copyLine([value], ['a'])).toThrow(why);
  });

  it.each([
    [7, /is no row of 1 columns/],
    [[], /has 0 values for 1 columns/],
    [{ b: 1 }, /has b, which is no column/],
  ])('takes no record %j', (record, why) => {
    expect(() => copyLine(record, ['a'])).toThrow(why);
  });
});
