/** Twins of Spark's BasicOperationsSuite: every operator that works on one batch at a time.
 *
 * Inputs and results are Spark's where its suite has them; the others follow from what its operators
 * mean. Spark compares what comes out of a shuffle as sets, and so does who runs these.
 * @module */
import { one, onePairs, two } from './spark-case.ts';
import type { SparkCase } from './spark-case.ts';

const NUMBERS = [
  [1, 2, 3, 4],
  [5, 6, 7, 8],
  [9, 10, 11, 12],
];
const WORDS = [['a', 'a', 'b'], ['', ''], []];

const PER_RECORD: readonly SparkCase[] = [
  one({
    name: 'map',
    input: NUMBERS,
    build: (s) => s.map((n) => n.toString()),
    expected: NUMBERS.map((batch) => batch.map(String)),
  }),
  one({
    name: 'flatMap',
    input: NUMBERS,
    build: (s) => s.flatMap((n) => [n, n * 2]),
    expected: NUMBERS.map((batch) => batch.flatMap((n) => [n, n * 2])),
  }),
  one({
    name: 'filter',
    input: NUMBERS,
    build: (s) => s.filter((n) => n % 2 === 0),
    expected: [
      [2, 4],
      [6, 8],
      [10, 12],
    ],
  }),
  one({
    name: 'glom',
    input: NUMBERS,
    build: (s) => s.glom(),
    expected: [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 8],
      ],
      [
        [9, 10],
        [11, 12],
      ],
    ],
    isOfHalves: true,
  }),
  one({
    name: 'mapPartitions',
    input: NUMBERS,
    build: (s) => s.mapPartitions((part) => [[...part].reduce((a, b) => a + b, 0)]),
    expected: [
      [3, 7],
      [11, 15],
      [19, 23],
    ],
    isOfHalves: true,
  }),
  one({
    name: 'mapToPair, keyBy',
    input: [['a', 'bb'], ['c'], []],
    build: (s) => s.keyBy((word) => word.length).mapToPair(([length, word]) => [word, length]),
    expected: [
      [
        ['a', 1],
        ['bb', 2],
      ],
      [['c', 1]],
      [],
    ],
  }),
];

const PER_STREAM: readonly SparkCase[] = [
  one({
    name: 'repartition, more partitions',
    input: NUMBERS,
    build: (s) => s.repartition(5).glom().count(),
    expected: [[5], [5], [5]],
  }),
  one({
    name: 'repartition, fewer partitions',
    input: NUMBERS,
    build: (s) => s.repartition(5).repartition(2).glom().count(),
    expected: [[2], [2], [2]],
  }),
  one({
    name: 'repartition keeps every record',
    input: NUMBERS,
    build: (s) => s.repartition(5),
    expected: NUMBERS,
  }),
  one({
    name: 'count',
    input: [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]],
    build: (s) => s.count(),
    expected: [[0], [1], [2], [3], [4]],
  }),
  one({
    name: 'countByValue',
    input: [[1], [1, 1, 1], [1, 2], [1, 1, 2, 2]],
    build: (s) => s.countByValue(),
    expected: [
      [[1, 1]],
      [[1, 3]],
      [
        [1, 1],
        [2, 1],
      ],
      [
        [1, 2],
        [2, 2],
      ],
    ],
  }),
  one({
    name: 'reduce',
    input: NUMBERS,
    build: (s) => s.reduce((a, b) => a + b),
    expected: [[10], [26], [42]],
  }),
  one({
    name: 'reduce of an empty batch',
    input: [[1, 2], [], [3]],
    build: (s) => s.reduce((a, b) => a + b),
    expected: [[3], [], [3]],
  }),
  one({
    name: 'union with itself',
    input: [
      [1, 2, 3, 4],
      [101, 102, 103, 104],
      [201, 202, 203, 204],
    ],
    build: (s) => s.union(s.map((n) => n + 4)),
    expected: [
      [1, 2, 3, 4, 5, 6, 7, 8],
      [101, 102, 103, 104, 105, 106, 107, 108],
      [201, 202, 203, 204, 205, 206, 207, 208],
    ],
  }),
  two({
    name: 'union of two streams, one of them shorter',
    left: [[1], [2], [3]],
    right: [[10], [], [30]],
    build: (l, r) => l.union(r),
    expected: [[1, 10], [2], [3, 30]],
  }),
];

const PAIRS: readonly SparkCase[] = [
  one({
    name: 'groupByKey',
    input: WORDS,
    build: (s) => s.mapToPair((word) => [word, 1]).groupByKey(),
    expected: [
      [
        ['a', [1, 1]],
        ['b', [1]],
      ],
      [['', [1, 1]]],
      [],
    ],
  }),
  one({
    name: 'reduceByKey',
    input: WORDS,
    build: (s) => s.mapToPair((word) => [word, 1]).reduceByKey((a, b) => a + b),
    expected: [
      [
        ['a', 2],
        ['b', 1],
      ],
      [['', 2]],
      [],
    ],
  }),
  one({
    name: 'reduceByKey into more partitions than keys',
    input: WORDS,
    build: (s) => s.mapToPair((word) => [word, 1]).reduceByKey((a, b) => a + b, { partitions: 7 }),
    expected: [
      [
        ['a', 2],
        ['b', 1],
      ],
      [['', 2]],
      [],
    ],
  }),
  one({
    name: 'mapValues',
    input: WORDS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .reduceByKey((a, b) => a + b)
        .mapValues((n) => n + 10),
    expected: [
      [
        ['a', 12],
        ['b', 11],
      ],
      [['', 12]],
      [],
    ],
  }),
  one({
    name: 'flatMapValues',
    input: WORDS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .reduceByKey((a, b) => a + b)
        .flatMapValues((n) => [n, n + 10]),
    expected: [
      [
        ['a', 2],
        ['a', 12],
        ['b', 1],
        ['b', 11],
      ],
      [
        ['', 2],
        ['', 12],
      ],
      [],
    ],
  }),
  onePairs({
    name: 'pairs whose keys are numbers, arrays and objects',
    input: [
      [
        [1, 'a'],
        [1, 'b'],
        [2, 'c'],
      ],
      [],
    ],
    build: (s) => s.mapToPair(([n, word]) => [{ n, list: [n] }, word]).reduceByKey((a, b) => a + b),
    expected: [
      [
        [{ n: 1, list: [1] }, 'ab'],
        [{ n: 2, list: [2] }, 'c'],
      ],
      [],
    ],
  }),
];

const TRANSFORMED: readonly SparkCase[] = [
  one({
    name: 'transform',
    input: NUMBERS,
    build: (s) => s.transform((each) => each.map((n) => n.toString())),
    expected: NUMBERS.map((batch) => batch.map(String)),
  }),
  two({
    name: 'transformWith',
    left: [['a', 'b'], ['a', ''], [''], []],
    right: [['a', 'b'], ['b', ''], [], ['']],
    build: (l, r) =>
      l
        .mapToPair((w) => [w, 1])
        .transformWith(
          r.mapToPair((w) => [w, 'x']),
          (a, b) => a.join(b),
        ),
    expected: [
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [['', [1, 'x']]],
      [],
      [],
    ],
  }),
  one({
    name: 'persist, cache',
    input: NUMBERS,
    build: (s) =>
      s
        .map((n) => n + 1)
        .persist()
        .cache()
        .map((n) => n - 1),
    expected: NUMBERS,
  }),
  one({
    name: 'combineByKey',
    input: WORDS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .combineByKey(
          (n) => [n],
          (list, n) => [...list, n],
          (a, b) => [...a, ...b],
        ),
    expected: [
      [
        ['a', [1, 1]],
        ['b', [1]],
      ],
      [['', [1, 1]]],
      [],
    ],
  }),
  one({
    name: 'aggregateByKey',
    input: WORDS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .aggregateByKey(
          0,
          (sum, n) => sum + n,
          (a, b) => a + b,
        ),
    expected: [
      [
        ['a', 2],
        ['b', 1],
      ],
      [['', 2]],
      [],
    ],
  }),
];

/** The two streams of the tests of cogroup. */
const GROUPED = {
  left: [['a', 'a', 'b'], ['a', ''], [''], []],
  right: [['a', 'a', 'b'], ['b', ''], [], ['']],
};

const TWO_STREAMS: readonly SparkCase[] = [
  two({
    name: 'cogroup',
    ...GROUPED,
    build: (l, r) => l.mapToPair((w) => [w, 1]).cogroup(r.mapToPair((w) => [w, 'x'])),
    expected: [
      [
        [
          'a',
          [
            [1, 1],
            ['x', 'x'],
          ],
        ],
        ['b', [[1], ['x']]],
      ],
      [
        ['a', [[1], []]],
        ['b', [[], ['x']]],
        ['', [[1], ['x']]],
      ],
      [['', [[1], []]]],
      [['', [[], ['x']]]],
    ],
  }),
  two({
    name: 'join',
    left: [['a', 'b'], ['a', ''], [''], []],
    right: [['a', 'b'], ['b', ''], [], ['']],
    build: (l, r) => l.mapToPair((w) => [w, 1]).join(r.mapToPair((w) => [w, 'x'])),
    expected: [
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [['', [1, 'x']]],
      [],
      [],
    ],
  }),
  two({
    name: 'join gives every combination',
    ...GROUPED,
    build: (l, r) =>
      l
        .mapToPair((w) => [w, 1])
        .join(r.mapToPair((w) => [w, 'x']))
        .countByValue(),
    expected: [
      [
        [['a', [1, 'x']], 4],
        [['b', [1, 'x']], 1],
      ],
      [[['', [1, 'x']], 1]],
      [],
      [],
    ],
  }),
  two({
    name: 'leftOuterJoin',
    left: [['a', 'b'], ['a', ''], [''], []],
    right: [['a', 'b'], ['b', ''], [], ['']],
    build: (l, r) => l.mapToPair((w) => [w, 1]).leftOuterJoin(r.mapToPair((w) => [w, 'x'])),
    expected: [
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [
        ['', [1, 'x']],
        ['a', [1, undefined]],
      ],
      [['', [1, undefined]]],
      [],
    ],
  }),
  two({
    name: 'rightOuterJoin',
    left: [['a', 'b'], ['a', ''], [''], []],
    right: [['a', 'b'], ['b', ''], [], ['']],
    build: (l, r) => l.mapToPair((w) => [w, 1]).rightOuterJoin(r.mapToPair((w) => [w, 'x'])),
    expected: [
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [
        ['', [1, 'x']],
        ['b', [undefined, 'x']],
      ],
      [],
      [['', [undefined, 'x']]],
    ],
  }),
  two({
    name: 'fullOuterJoin',
    left: [['a', 'b'], ['a', ''], [''], []],
    right: [['a', 'b'], ['b', ''], [], ['']],
    build: (l, r) => l.mapToPair((w) => [w, 1]).fullOuterJoin(r.mapToPair((w) => [w, 'x'])),
    expected: [
      [
        ['a', [1, 'x']],
        ['b', [1, 'x']],
      ],
      [
        ['', [1, 'x']],
        ['a', [1, undefined]],
        ['b', [undefined, 'x']],
      ],
      [['', [1, undefined]]],
      [['', [undefined, 'x']]],
    ],
  }),
];

export const BASIC_OPERATIONS: readonly SparkCase[] = [
  ...PER_RECORD,
  ...PER_STREAM,
  ...PAIRS,
  ...TWO_STREAMS,
  ...TRANSFORMED,
];
