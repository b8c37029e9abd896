import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../core/errors.ts';
import { msgpackCodec as codec } from './msgpack-codec.ts';

const seed = Number(process.env['MILLRACE_SEED'] ?? 20_261_121);

function roundTrip(value: unknown): unknown {
  return codec.unpack(codec.pack(value));
}

function refusalOf(value: unknown): MillraceError {
  try {
    codec.pack(value);
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

class Point {
  readonly x: number;
  readonly y: number;
  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }
}

describe('values that come back as they are', () => {
  it.each([
    ['null', null],
    ['undefined', undefined],
    ['NaN', NaN],
    ['-Infinity', -Infinity],
    ['2 ** 53', 2 ** 53],
    ['0.1', 0.1],
    ['an empty string', ''],
    ['a pair of surrogates', 'a😀b'],
    ['a long string that is not ASCII', 'ä€😀'.repeat(50)],
    ['U+FFFD itself, in a long string', '\ufffd'.repeat(70)],
    ['characters next to the surrogates', '\ud7ff\ue000힣'],
    ['-19 before a string, which looks like a surrogate', [-19, 'ab', -19, '']],
    ['a bigint', 12n],
    ['bigints at the 64-bit borders', [2n ** 63n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n]],
    ['a huge negative bigint', -(2n ** 200n)],
    ['dates', [new Date(0), new Date(-1), new Date(1.7e12 + 1), new Date(8.64e15)]],
    ['an invalid date', new Date(NaN)],
    ['a set', new Set(['a', 1, new Set([2])])],
    [
      'a map',
      new Map<unknown, unknown>([
        ['a', 1],
        [{ k: 1 }, new Map([[1, 2]])],
        [NaN, null],
      ]),
    ],
    ['an empty map', new Map()],
    ['a map deep inside', { a: [1, { b: new Map([['x', new Set([new Map([[1, 1]])])]]) }] }],
    ['a map and a class of built-in things', [new Map(), new Date(5), new Uint8Array([1]), NaN]],
    ['typed arrays', [new Uint8Array([1, 2]), new Float64Array([0.5, NaN]), new Int16Array(3)]],
    ['big typed arrays', [new BigInt64Array([-1n]), new BigUint64Array([2n ** 64n - 1n])]],
    ['an ArrayBuffer', new Uint8Array([1, 2, 3]).buffer],
    ['a Buffer', Buffer.from('bytes')],
    ['a RegExp', /a+b/gi],
    ['odd keys', { '': 1, 'a b': 2, constructor: 3, hasOwnProperty: 4, toJSON: 5, '1': 6 }],
    ['undefined in an object', { a: undefined, b: [undefined] }],
  ])('%s', (_, value) => {
    expect(roundTrip(value)).toStrictEqual(value);
  });

  it('keeps a map with 70,000 entries and an object with 70,000 keys', () => {
    const pairs = Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i] as const);
    expect(roundTrip(new Map(pairs))).toStrictEqual(new Map(pairs));
    expect(roundTrip(Object.fromEntries(pairs))).toStrictEqual(Object.fromEntries(pairs));
  });

  it('keeps name, message and cause of an error', () => {
    const cause = new Map([['a', 1]]);
    const back = roundTrip(new RangeError('too far', { cause })) as Error;
    expect([back.name, back.message]).toEqual(['RangeError', 'too far']);
    expect(back.cause).toStrictEqual(cause);
  });

  it('gives a Buffer back also from plain and from shared bytes, as a copy', () => {
    const message = codec.pack({ b: Buffer.from('abc') });
    const shared = new Uint8Array(new SharedArrayBuffer(message.byteLength));
    shared.set(message);
    const { b } = codec.unpack(shared) as { b: Buffer };
    shared.fill(0);
    expect(Buffer.isBuffer(b)).toBe(true);
    expect(b.toString()).toBe('abc');
    expect(b.buffer).toBeInstanceOf(ArrayBuffer);
  });
});

describe('values that come back as something close', () => {
  it.each([
    ['-0 as 0', -0, 0],
    ['a class instance as its own fields', new Point(1, 2), { x: 1, y: 2 }],
    ['the same beside a map', [new Point(1, 2), new Map()], [{ x: 1, y: 2 }, new Map()]],
    ['an object with toJSON', new URL('http://a.example/b'), 'http://a.example/b'],
    ['the same beside a map', [new URL('http://a/'), new Map()], ['http://a/', new Map()]],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    [
      'data named toJSON without prototype',
      Object.assign(Object.create(null), { toJSON: 1 }),
      { toJSON: 1 },
    ],
    ['a hole as undefined', [1, , 2], [1, undefined, 2]], // oxlint-disable-line no-sparse-arrays
    ['a subclass of Map', new (class extends Map<number, number> {})([[1, 2]]), new Map([[1, 2]])],
    ['a subclass of Array', new (class extends Array<number> {})(3).fill(7), [7, 7, 7]],
    ['a tagged class with fields', { [Symbol.toStringTag]: 'T', a: 1 }, { a: 1 }],
  ])('%s', (_, value, expected) => {
    expect(roundTrip(value)).toStrictEqual(expected);
  });
});

describe('values that are refused', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = [cycle];
  let deep: unknown = 1;
  for (let i = 0; i < 20_000; i += 1) deep = [deep];
  it.each([
    ['a function', () => 1, 'value'],
    ['a function deep inside', { a: [0, 0, 0, { f: (): number => 1 }] }, 'value.a[3].f'],
    ['an async function', { f: async (): Promise<void> => {} }, 'value.f'],
    ['a function with fields', { f: Object.assign(() => 1, { a: 1 }) }, 'value.f'],
    ['a class', { 'a class': Point }, 'value["a class"]'],
    ['a symbol', [Symbol('s')], 'value[0]'],
    ['a promise', { p: Promise.resolve(1) }, 'value.p'],
    ['a promise beside a map', [new Map(), Promise.resolve(1)], 'value[1]'],
    ['a promise in a map', new Map([['k', Promise.resolve(1)]]), 'value.get("k")'],
    ['a promise as a key', new Map([[1, 1], [Promise.resolve(1), 1] as never]), 'value.keys[1]'],
    ['a promise in a set', { s: new Set([Promise.resolve()]) }, 'value.s[0]'],
    ['a promise in a cause', new Error('e', { cause: Promise.resolve() }), 'value.cause'],
    ['a WeakMap', { w: new WeakMap() }, 'value.w'],
    ['a WeakRef', [new WeakRef({})], 'value[0]'],
    ['a generator', [(function* () {})()], 'value[0]'],
    ['a SharedArrayBuffer', [new SharedArrayBuffer(1)], 'value[0]'],
    ['a boxed number', [Object(1)], 'value[0]'],
    ['a boxed string', [Object('ab')], 'value[0]'],
    ['a subclass of Uint8Array', [new (class extends Uint8Array {})(1)], 'value[0]'],
    ['a lone surrogate, short', { s: 'a\ud800' }, 'value.s'],
    ['a lone surrogate, long', ['x'.repeat(100) + '\udfff'], 'value[0]'],
    ['a lone surrogate beside a map', [new Map(), '\ud800'], 'value[1]'],
    ['a lone surrogate in a key', { a: { '\ud800': 1 } }, 'value.a'],
    ['a cycle', cycle, 'value.self[0]'],
    [
      'a toJSON that throws',
      [
        new (class {
          toJSON(): never {
            throw new Error('no');
          }
        })(),
      ],
      'value[0]',
    ],
  ])('%s', (_, value, path) => {
    const error = refusalOf(value);
    expect(error.code).toBe('RECORD_UNSUPPORTED');
    expect(error.details['path']).toBe(path);
    expect(error.message.startsWith(`${path} cannot be stored: it is `)).toBe(true);
  });

  it('nesting that no stack can hold', () => {
    expect(refusalOf(deep).code).toBe('RECORD_UNSUPPORTED');
    expect(refusalOf(deep).message.length).toBeLessThan(300);
  });

  it('leaves the codec usable', () => {
    for (const bad of [cycle, deep, { f: Point }]) {
      refusalOf(bad);
      expect(roundTrip({ a: new Map([[1, 'x']]) })).toStrictEqual({ a: new Map([[1, 'x']]) });
    }
  });

  it('leaves other users of msgpackr in the thread alone', () => {
    const other = new Packr({ useRecords: false });
    expect(other.unpack(other.pack({ p: Promise.resolve(1), m: new Map([['a', 1]]) }))).toEqual({
      p: {},
      m: { a: 1 },
    });
  });
});

describe('messages', () => {
  it('stay as they are when more is packed', () => {
    const first = codec.pack({ a: 'first' });
    const before = Buffer.from(first);
    for (let i = 0; i < 5000; i += 1) codec.pack({ i, a: 'later' });
    expect(Buffer.compare(before, first)).toBe(0);
  });

  it('with trailing bytes, or none, are refused', () => {
    const message = codec.pack({ a: 1 });
    expect(() => codec.unpack(Buffer.concat([message, Buffer.from([0])]))).toThrow(
      'not exactly one',
    );
    expect(() => codec.unpack(Buffer.alloc(0))).toThrow('not exactly one');
    expect(codec.unpack(message)).toEqual({ a: 1 });
  });
});

const leaf = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ minLength: 60, maxLength: 90, unit: 'binary' }),
  fc.double().map((n) => (n === 0 ? 0 : n)),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(null, undefined),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
  fc.float64Array({ maxLength: 5 }),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);
const key = fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__');
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('tree'), { maxLength: 6 }),
    fc.dictionary(key, tie('tree'), { maxKeys: 6, noNullPrototype: true }),
    fc.array(fc.tuple(tie('tree'), tie('tree')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('tree'), { maxLength: 4 }).map((values) => new Set(values)),
  ),
}));

describe(`for all values (MILLRACE_SEED=${seed})`, () => {
  it('a round trip changes nothing', () => {
    fc.assert(
      fc.property(tree, (value) => {
        expect(roundTrip(value)).toStrictEqual(value);
      }),
      { seed, numRuns: 1000 },
    );
  });

  it('equal values give equal bytes', () => {
    fc.assert(
      fc.property(fc.clone(tree, 2), ([a, b]) => {
        expect(Buffer.compare(codec.pack(a), codec.pack(b))).toBe(0);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('a fresh Packr reads each message alone', () => {
    fc.assert(
      fc.property(fc.array(tree, { minLength: 2, maxLength: 4 }), (values) => {
        const messages = values.map((value) => codec.pack(value));
        messages.reverse().forEach((message, i) => {
          const fresh = new Packr({ useRecords: false, mapsAsObjects: true, moreTypes: true });
          expect(fresh.unpack(message)).toStrictEqual(values[values.length - 1 - i]);
        });
      }),
      { seed, numRuns: 300 },
    );
  });

  it('strings either come back or are refused', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 90 }), (units) => {
        const text = String.fromCharCode(...units);
        if (/\p{Surrogate}/u.test(text)) expect(refusalOf([text]).details['path']).toBe('value[0]');
        else expect(roundTrip([text])).toStrictEqual([text]);
      }),
      { seed, numRuns: 1000 },
    );
  });

  it('damaged bytes give an error or another value, and the next message is read well', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(tree, flips, fc.nat(), (value, changes, cut) => {
        const bytes = Buffer.from(codec.pack([value, 'tail']));
        for (const [at, byte] of changes) bytes[at % bytes.byteLength] = byte;
        expectHarmless(bytes);
        expectHarmless(bytes.subarray(0, cut % bytes.byteLength));
        expect(roundTrip({ a: 'ok' })).toEqual({ a: 'ok' });
      }),
      { seed, numRuns: 1000 },
    );
  });

  it('any bytes at all are harmless', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), expectHarmless), {
      seed,
      numRuns: 2000,
    });
  });
});

function expectHarmless(bytes: Uint8Array): void {
  try {
    codec.unpack(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
  }
}

it('a length that lies does not allocate', () => {
  const script = `
    const { Packr } = await import('msgpackr');
    const packr = new Packr({ useRecords: false, moreTypes: true });
    for (const first of [0xdd, 0xdf, 0xdb, 0xc6, 0xc9]) {
      const lie = Buffer.from([first, 0xff, 0xff, 0xff, 0xff, 1]);
      try { packr.unpack(lie); process.exit(3); } catch {}
    }`;
  const child = spawnSync(
    process.execPath,
    ['--max-old-space-size=64', '--input-type=module', '-e', script],
    { encoding: 'utf8' },
  );
  expect([child.status, child.stderr]).toEqual([0, '']);
});
