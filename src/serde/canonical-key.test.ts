import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyMap, partitionOfKey } from './canonical-key.ts';
import { msgpackCodec } from './msgpack-codec.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_240_611);

function keysAfter(...keys: readonly unknown[]): unknown[] {
  const map = new KeyMap<number>(msgpackCodec);
  for (const key of keys) map.set(key, (map.get(key) ?? 0) + 1);
  const found: unknown[] = [];
  map.forEach((key, count) => found.push([key, count]));
  return found;
}

class Point {
  y: number;
  x: number;
  constructor(x: number, y: number) {
    this.y = y;
    this.x = x;
  }
}

describe('equality of keys', () => {
  it.each([
    ['text', 'a', 'a'],
    ['zeros', 0, -0],
    ['not-a-numbers', Number.NaN, Number.NaN],
    ['bigints', 10n, 10n],
    ['arrays', [1, 'a'], [1, 'a']],
    ['arrays with zeros', [0], [-0]],
    ['objects in another order', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    [
      'maps in another order',
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    ],
    ['sets in another order', new Set([1, 'x']), new Set(['x', 1])],
    ['dates', new Date(5), new Date(5)],
    ['bytes', new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    ['an instance and the object that it is read back as', new Point(1, 2), { x: 1, y: 2 }],
  ])('has equal %s', (_name, a, b) => {
    expect(keysAfter(a, b)).toEqual([[a, 2]]);
    for (const partitions of [2, 7, 64]) {
      expect(partitionOfKey(a, partitions, msgpackCodec)).toBe(
        partitionOfKey(b, partitions, msgpackCodec),
      );
    }
  });

  it('keeps other keys apart', () => {
    const keys = [1, '1', 1n, true, 'true', null, undefined, '', [], {}, [1], ['1'], { a: 1 }];
    expect(keysAfter(...keys, ...keys)).toHaveLength(keys.length);
  });

  it('visits primitive keys first, in the order of their first coming', () => {
    expect(keysAfter('b', [2], 'a', 'b', [1], [2])).toEqual([
      ['b', 2],
      ['a', 1],
      [[2], 2],
      [[1], 1],
    ]);
  });

  it('refuses a key that cannot be packed', () => {
    expect(() => keysAfter([(): number => 1])).toThrow(
      expect.objectContaining({ code: 'RECORD_UNSUPPORTED' }),
    );
  });
});

describe('KeyMap', () => {
  it(`does what a Map does for text, beyond its cache too (MILLRACE_SEED=${seed})`, () => {
    const keys = fc.array(
      fc.oneof(
        fc.nat(20_000).map((n) => `w${n}`),
        fc.string(),
      ),
      {
        minLength: 1,
        maxLength: 8_000,
        size: 'max',
      },
    );
    fc.assert(
      fc.property(keys, (given) => {
        const model = new Map<string, number>();
        const map = new KeyMap<number>(msgpackCodec);
        for (const [index, key] of given.entries()) {
          expect(map.get(key)).toBe(model.get(key));
          model.set(key, index);
          map.set(key, index);
        }
        const found: [unknown, number][] = [];
        map.forEach((key, value) => found.push([key, value]));
        expect(found).toEqual([...model]);
        expect(map.size).toBe(model.size);
      }),
      { seed, numRuns: 20 },
    );
  });
});

describe('partitionOfKey', () => {
  it('is what it was in every earlier version: replays and kept state depend on it', () => {
    const keys = ['', 'w1', 'größe', 0, 1, -1, 1.5, 2 ** 40, Number.NaN, 7n, true, null, [1, 'a']];
    expect(keys.map((key) => partitionOfKey(key, 1_000, msgpackCodec))).toMatchInlineSnapshot(`
      [
        923,
        963,
        87,
        0,
        727,
        513,
        198,
        46,
        485,
        662,
        727,
        93,
        658,
      ]
    `);
  });

  it('spreads small numbers and similar words', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 8_000; i += 1) {
      for (const key of [i, `w${i}`, [i], i * 4]) {
        const type = Array.isArray(key) ? 'array' : typeof key;
        const at = `${type} ${partitionOfKey(key, 8, msgpackCodec)}`;
        counts.set(at, (counts.get(at) ?? 0) + 1);
      }
    }
    // 8 partitions each: 1,000 arrays, 1,000 words, 2,000 numbers, within a fifth.
    for (const [at, count] of counts) {
      const expected = at.startsWith('number') ? 2_000 : 1_000;
      expect(Math.abs(count - expected), at).toBeLessThan(expected / 5);
    }
    expect(counts.size).toBe(24);
  });

  it('stays within its bounds for any value', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true }),
        fc.integer({ min: 1, max: 9 }),
        (key, n) => {
          const partition = partitionOfKey(key, n, msgpackCodec);
          expect(partition).toBeGreaterThanOrEqual(0);
          expect(partition).toBeLessThan(n);
        },
      ),
      { seed, numRuns: 300 },
    );
  });

  it('is the same before and after a key was sent', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true }),
        (key) => {
          const read = msgpackCodec.unpack(msgpackCodec.pack(key));
          expect(partitionOfKey(read, 97, msgpackCodec)).toBe(
            partitionOfKey(key, 97, msgpackCodec),
          );
        },
      ),
      { seed, numRuns: 500 },
    );
  });
});
