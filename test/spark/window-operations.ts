/** Twins of Spark's WindowOperationsSuite. Batches come every second; a stream with a slide has one
 * at those batch times that are multiples of it, and nothing at the others.
 *
 * Inputs and results are Spark's where its suite has them, without the batches that it leaves out
 * before the first window is full: here a window holds what there is. Functions stand where they are
 * used: a test runs `build` on threads, by its text.
 * @module */
import { one, onePairs, two } from './spark-case.ts';
import type { SparkCase } from './spark-case.ts';

const COUNTING = [[0], [1], [2], [3], [4], [5]];

/** Spark's bigInput: keys come, stay, and go, twice. */
const BIG_INPUT: [string, number][][] = [
  ['a'],
  ['a', 'b'],
  ['a', 'b', 'c'],
  ['a', 'b'],
  ['a'],
  [],
  ['a'],
  ['a', 'b'],
  ['a', 'b', 'c'],
  ['a', 'b'],
  ['a'],
  [],
].map((keys) => keys.map((key) => [key, 1]));

/** Of a window of two batches: how often each key is in it. */
const BIG_COUNTS: [string, number][][] = [
  'a1',
  'a2 b1',
  'a2 b2 c1',
  'a2 b2 c1',
  'a2 b1',
  'a1',
  'a1',
  'a2 b1',
  'a2 b2 c1',
  'a2 b2 c1',
  'a2 b1',
  'a1',
].map((text) => text.split(' ').map((part) => [part.slice(0, 1), Number(part.slice(1))]));

/** With an inverse function: a key that has left stays with 0. */
const BIG_COUNTS_KEPT: [string, number][][] = [
  'a1',
  'a2 b1',
  'a2 b2 c1',
  'a2 b2 c1',
  'a2 b1 c0',
  'a1 b0 c0',
  'a1 b0 c0',
  'a2 b1 c0',
  'a2 b2 c1',
  'a2 b2 c1',
  'a2 b1 c0',
  'a1 b0 c0',
].map((text) => text.split(' ').map((part) => [part.slice(0, 1), Number(part.slice(1))]));

const WINDOWS: readonly SparkCase[] = [
  one({
    name: 'window',
    input: COUNTING,
    build: (s) => s.window(2_000, 1_000),
    expected: [[0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5]],
  }),
  one({
    name: 'window as long as its slide',
    input: COUNTING,
    build: (s) => s.window(2_000, 2_000),
    expected: [[], [0, 1], [], [2, 3], [], [4, 5]],
  }),
  one({
    name: 'window longer than its slide',
    input: COUNTING,
    build: (s) => s.window('4s', '2s'),
    expected: [[], [0, 1], [], [0, 1, 2, 3], [], [2, 3, 4, 5]],
  }),
  one({
    name: 'window shorter than its slide',
    input: COUNTING,
    build: (s) => s.window(1_000, 2_000),
    expected: [[], [1], [], [3], [], [5]],
  }),
  one({
    name: 'window of a window',
    input: COUNTING,
    build: (s) => s.window(2_000).window(2_000),
    expected: [[0], [0, 0, 1], [0, 1, 1, 2], [1, 2, 2, 3], [2, 3, 3, 4], [3, 4, 4, 5]],
  }),
  one({
    name: 'window of a persisted stream',
    input: COUNTING,
    build: (s) =>
      s
        .map((n) => n * 10)
        .persist()
        .window(3_000),
    expected: [[0], [0, 10], [0, 10, 20], [10, 20, 30], [20, 30, 40], [30, 40, 50]],
  }),
];

const REDUCED: readonly SparkCase[] = [
  one({
    name: 'reduceByWindow',
    input: COUNTING,
    build: (s) => s.reduceByWindow((a, b) => a + b, 2_000, 1_000),
    expected: [[0], [1], [3], [5], [7], [9]],
  }),
  one({
    name: 'countByWindow',
    input: [[1], [1], [1, 2], [0], [], []],
    build: (s) => s.countByWindow(2_000, 1_000),
    expected: [[1], [2], [3], [3], [1], [0]],
  }),
  one({
    name: 'countByValueAndWindow',
    input: [['a'], ['b', 'b'], ['a', 'b'], []],
    build: (s) => s.countByValueAndWindow(2_000, 1_000),
    expected: [
      [['a', 1]],
      [
        ['a', 1],
        ['b', 2],
      ],
      [
        ['a', 1],
        ['b', 3],
      ],
      [
        ['a', 1],
        ['b', 1],
      ],
    ],
  }),
];

const BY_KEY: readonly SparkCase[] = [
  onePairs({
    name: 'groupByKeyAndWindow',
    input: BIG_INPUT,
    build: (s) => s.groupByKeyAndWindow(2_000, 1_000).mapValues((values) => values.length),
    expected: BIG_COUNTS,
  }),
  onePairs({
    name: 'reduceByKeyAndWindow: basic',
    input: [
      [
        ['a', 1],
        ['a', 3],
      ],
    ],
    build: (s) => s.reduceByKeyAndWindow((a, b) => a + b, 2_000, 1_000),
    expected: [[['a', 4]]],
  }),
  onePairs({
    name: 'reduceByKeyAndWindow: a key is removed from the window',
    input: [[['a', 1]], [['a', 1]], [], []],
    build: (s) => s.reduceByKeyAndWindow((a, b) => a + b, 2_000, 1_000),
    expected: [[['a', 1]], [['a', 2]], [['a', 1]], []],
  }),
  onePairs({
    name: 'reduceByKeyAndWindow: larger slide',
    input: [[['a', 1]], [['a', 2]], [['a', 3]], [['a', 4]], [['a', 5]], [['a', 6]], [], []],
    build: (s) => s.reduceByKeyAndWindow((a, b) => a + b, 4_000, 2_000),
    expected: [[], [['a', 3]], [], [['a', 10]], [], [['a', 18]], [], [['a', 11]]],
  }),
  onePairs({
    name: 'reduceByKeyAndWindow: big',
    input: BIG_INPUT,
    build: (s) => s.reduceByKeyAndWindow((a, b) => a + b, 2_000, 1_000),
    expected: BIG_COUNTS,
  }),
  two({
    name: 'join of windows',
    left: [['a'], ['b'], []],
    right: [[], ['a', 'b'], []],
    build: (l, r) =>
      l
        .mapToPair((w) => [w, 1])
        .window(2_000)
        .join(r.mapToPair((w) => [w, 'x']).window(1_000)),
    expected: [
      [],
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [],
    ],
  }),
];

const INVERSE: readonly SparkCase[] = [
  one({
    name: 'reduceByWindow with an inverse function',
    input: COUNTING,
    build: (s) =>
      s.reduceByWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        2_000,
        1_000,
      ),
    expected: [[0], [1], [3], [5], [7], [9]],
  }),
  one({
    name: 'a window of 4 batches with an inverse function (CheckpointSuite)',
    input: Array.from({ length: 10 }, () => ['a']),
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .reduceByKeyAndWindow(
          (a, b) => a + b,
          (a, b) => a - b,
          4_000,
          1_000,
        )
        .checkpoint('2s'),
    expected: [1, 2, 3, 4, 4, 4, 4, 4, 4, 4].map((n): [string, number][] => [['a', n]]),
  }),
  inverseCase('basic', {
    input: [
      [
        ['a', 1],
        ['a', 3],
      ],
    ],
    expected: [[['a', 4]]],
  }),
  inverseCase('a key is in the window already, and a new value comes', {
    input: [[['a', 1]], [['a', 1]]],
    expected: [[['a', 1]], [['a', 2]]],
  }),
  inverseCase('a new key comes', {
    input: [
      [['a', 1]],
      [
        ['a', 1],
        ['b', 1],
      ],
    ],
    expected: [
      [['a', 1]],
      [
        ['a', 2],
        ['b', 1],
      ],
    ],
  }),
  inverseCase('a key is removed from the window', {
    input: [[['a', 1]], [['a', 1]], [], []],
    expected: [[['a', 1]], [['a', 2]], [['a', 1]], [['a', 0]]],
  }),
  inverseCase('big', { input: BIG_INPUT, expected: BIG_COUNTS_KEPT }),
  onePairs({
    name: 'reduceByKeyAndWindow with an inverse function: larger slide',
    input: [[['a', 1]], [['a', 2]], [['a', 3]], [['a', 4]], [['a', 5]], [['a', 6]], [], []],
    build: (s) =>
      s.reduceByKeyAndWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        4_000,
        2_000,
      ),
    expected: [[], [['a', 3]], [], [['a', 10]], [], [['a', 18]], [], [['a', 11]]],
  }),
  onePairs({
    name: 'reduceByKeyAndWindow with an inverse and a filter function: big',
    input: BIG_INPUT,
    build: (s) =>
      s.reduceByKeyAndWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        2_000,
        1_000,
        { filter: ([, n]) => n !== 0 },
      ),
    expected: BIG_COUNTS,
  }),
];

/** A window of two batches. */
function inverseCase(
  name: string,
  { input, expected }: Record<'input' | 'expected', [string, number][][]>,
): SparkCase {
  return onePairs({
    name: `reduceByKeyAndWindow with an inverse function: ${name}`,
    input,
    build: (s) =>
      s.reduceByKeyAndWindow(
        (a, b) => a + b,
        (a, b) => a - b,
        2_000,
        1_000,
      ),
    expected,
  });
}

export const WINDOW_OPERATIONS: readonly SparkCase[] = [
  ...WINDOWS,
  ...REDUCED,
  ...BY_KEY,
  ...INVERSE,
];
