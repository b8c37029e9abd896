import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatJson } from './json-format.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_264);

describe('formatJson', () => {
  it(`is plain JSON, on one line, for plain data (MILLRACE_SEED=${seed})`, () => {
    const property = fc.property(fc.jsonValue(), (value) => {
      const line = formatJson(value);
      expect(line).toBe(JSON.stringify(value));
      expect(line).not.toMatch(/[\n\r]/);
    });
    fc.assert(property, { seed, numRuns: 300 });
  });

  it.each([
    [
      'a Map with text keys',
      new Map<unknown, unknown>([
        ['a', 1],
        ['__proto__', 2],
      ]),
      '{"a":1,"__proto__":2}',
    ],
    [
      'a Map with other keys',
      new Map<unknown, unknown>([
        ['a', 1],
        [2, 3],
      ]),
      '[["a",1],[2,3]]',
    ],
    ['nested collections', { m: new Map([['s', new Set([new Map()])]]) }, '{"m":{"s":[{}]}}'],
    ['a small bigint', [9_007_199_254_740_991n, -5n], '[9007199254740991,-5]'],
    ['a large bigint', 9_007_199_254_740_992n, '"9007199254740992"'],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ['an invalid date', new Date(Number.NaN), 'null'],
    ['what JSON has no number for', [Number.NaN, Infinity, -0], '[null,null,0]'],
    ['undefined', undefined, 'null'],
    ['undefined parts', { a: undefined, b: [undefined] }, '{"b":[null]}'],
    ['a Buffer', { b: Buffer.from([1, 2]) }, '{"b":[1,2]}'],
    ['typed arrays', [new Float64Array([0.5]), new BigInt64Array([-1n])], '[[0.5],[-1]]'],
    ['a DataView', new DataView(new Uint8Array([9, 8]).buffer, 1), '[8]'],
    ['an ArrayBuffer', new Uint8Array([1]).buffer, '[1]'],
    ['half a surrogate pair', '\ud800', String.raw`"\ud800"`],
    ['toJSON', { toJSON: () => 'own' }, '"own"'],
  ])('writes %s', (_, record, json) => {
    expect(formatJson(record)).toBe(json);
  });

  it('names what it cannot write', () => {
    const cyclic: { self?: unknown } = {};
    cyclic.self = cyclic;
    expect(() => formatJson(cyclic)).toThrow(
      expect.objectContaining({ code: 'RECORD_UNSUPPORTED' }),
    );
    expect(() => formatJson({ a: { f: () => 1 } })).toThrow(/a function at \.f/);
    expect(() => formatJson(Symbol('x'))).toThrow(/a symbol at the top/);
    expect(() => formatJson({ toJSON: () => undefined })).toThrow(/toJSON\(\) returned nothing/);
  });
});
