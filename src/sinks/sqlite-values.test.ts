import Database from 'libsql';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BoundValue } from './sqlite-library.ts';
import { rowValues } from './sqlite-values.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_261_121);

/** What comes back from a column without a type. */
function stored(value: BoundValue | undefined): unknown {
  const db = new Database(':memory:');
  try {
    db.exec('CREATE TABLE t (v)');
    db.prepare('INSERT INTO t VALUES (?)').run([value]);
    const [row] = db
      .prepare('SELECT v, typeof(v) FROM t')
      .safeIntegers()
      .raw()
      .all() as unknown[][];
    return row;
  } finally {
    db.close();
  }
}

describe('rowValues', () => {
  it.each([
    ['text', ['text', 'text']],
    ['ünï→😀', ['ünï→😀', 'text']],
    ['', ['', 'text']],
    [3, [3n, 'integer']],
    [-(2 ** 53) + 1, [-(2n ** 53n) + 1n, 'integer']],
    [2 ** 53, [2 ** 53, 'real']],
    [0.1, [0.1, 'real']],
    [Infinity, [Infinity, 'real']],
    [2n ** 63n - 1n, [2n ** 63n - 1n, 'integer']],
    [-(2n ** 63n), [-(2n ** 63n), 'integer']],
    [true, [1n, 'integer']],
    [false, [0n, 'integer']],
    [null, [null, 'null']],
    [undefined, [null, 'null']],
  ])('keeps %o', (value, row) => {
    expect(stored(rowValues([value], ['v'])[0])).toEqual(row);
  });

  it('keeps bytes, of a view too', () => {
    const view = new Uint8Array([9, 0, 255, 9]).subarray(1, 3);
    const [bytes, type] = stored(rowValues([view], ['v'])[0]) as [Uint8Array, string];
    expect([...new Uint8Array(bytes)]).toEqual([0, 255]);
    expect(type).toBe('blob');
  });

  it(`keeps every number and every text that it takes (MILLRACE_SEED=${seed})`, () => {
    const property = fc.property(
      fc.oneof(fc.double({ noNaN: true }), fc.string({ unit: 'binary' })),
      (value) => {
        if (typeof value === 'string' && /\0|\p{Surrogate}/u.test(value)) return;
        const [back] = stored(rowValues([value], ['v'])[0]) as unknown[];
        expect(typeof back === 'bigint' ? Number(back) : back).toEqual(value === 0 ? 0 : value);
      },
    );
    fc.assert(property, { seed, numRuns: 200 });
  });

  it('finds the values of an object by name, and takes NULL for what it lacks', () => {
    expect(rowValues({ b: 2, a: 'x' }, ['a', 'b', 'c'])).toEqual(['x', 2n, null]);
  });

  it.each([
    [[NaN], /NaN of column v would become NULL/],
    [['a\0b'], /of column v has a NUL character/],
    [['\uD800'], /half a surrogate pair/],
    [[2n ** 63n], /more than 64 bits/],
    [[new Date(0)], /of column v is no value of SQLite: map it to text first/],
    [[{}], /is no value of SQLite/],
    [[() => 1], /is no value of SQLite/],
    [[Symbol('x')], /is no value of SQLite/],
    [[1, 2], /has 2 values for 1 columns/],
    [{ v: 1, w: 2 }, /has w, which is no column/],
    ['text', /is no row of 1 columns/],
    [null, /is no row/],
    [new Uint8Array(1), /is no row/],
  ])('refuses %o', (record, message) => {
    expect(() => rowValues(record, ['v'])).toThrow(message);
    try {
      rowValues(record, ['v']);
    } catch (error) {
      expect(error).toMatchObject({ code: 'RECORD_UNSUPPORTED' });
    }
  });
});
