/** Random pipelines of two streams of pairs, each operator with what it makes of a batch in plain
 * arrays: slow, and plain to see.
 *
 * Functions name nothing outside themselves, so that their text can be written into a module. Order
 * inside a batch is nobody's promise here: no step depends on it.
 * @module */
import fc from 'fast-check';
import type { DStream } from '../../src/dstream/dstream.ts';

export type Key = string | number;
export type Pair = [Key, number];
type Pairs = readonly Pair[];

interface Step {
  readonly apply: (stream: DStream<Pair>, other: DStream<Pair>) => DStream<Pair>;
  /** The records of one batch of both streams → of the result. */
  readonly oracle: (batch: Pairs, other: Pairs) => Pair[];
}

/** One random pipeline and its records. */
export interface History {
  readonly left: readonly Pair[][];
  readonly right: readonly Pair[][];
  readonly steps: readonly string[];
  readonly partitions: number;
  readonly inputPartitions: number;
}

/** The values of a key, `1` and `'1'` being two. */
function valuesOf(batch: Pairs, key: Key): number[] {
  return batch.filter(([each]) => each === key).map(([, value]) => value);
}

function keysOf(...batches: readonly Pairs[]): Key[] {
  return [...new Set(batches.flat().map(([key]) => key))];
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

/** Every combination of the values of both sides; a side without any has `absent`, if it may. */
function combine(
  [left, right]: readonly [Pairs, Pairs],
  absent: readonly [left: number | undefined, right: number | undefined],
): Pair[] {
  return keysOf(left, right).flatMap((key) => {
    const sides = [valuesOf(left, key), valuesOf(right, key)].map((values, side) => {
      const instead = absent[side];
      return values.length === 0 && instead !== undefined ? [instead] : values;
    });
    const [lefts = [], rights = []] = sides;
    return lefts.flatMap((a) => rights.map((b): Pair => [key, a * 7 + b]));
  });
}

export const STEPS: Readonly<Record<string, Step>> = {
  mapValues: {
    apply: (s) => s.mapValues((n) => n * 2),
    oracle: (batch) => batch.map(([key, n]) => [key, n * 2]),
  },
  filter: {
    apply: (s) => s.filter(([, n]) => n % 3 !== 0),
    oracle: (batch) => batch.filter(([, n]) => n % 3 !== 0),
  },
  flatMapValues: {
    apply: (s) => s.flatMapValues((n) => (n % 2 === 0 ? [] : [n, n + 1])),
    oracle: (batch) =>
      batch.flatMap(([key, n]): Pair[] =>
        n % 2 === 0
          ? []
          : [
              [key, n],
              [key, n + 1],
            ],
      ),
  },
  otherKeys: {
    apply: (s) => s.mapToPair(([, n]) => [n % 3, n]),
    oracle: (batch) => batch.map(([, n]) => [n % 3, n]),
  },
  partitions: {
    apply: (s) => s.mapPartitions((part) => [[...part]]).flatMap((part) => part),
    oracle: (batch) => [...batch],
  },
  repartition: {
    apply: (s) =>
      s
        .repartition(3)
        .glom()
        .flatMap((part) => part),
    oracle: (batch) => [...batch],
  },
  union: {
    apply: (s, other) => s.union(other),
    oracle: (batch, other) => [...batch, ...other],
  },
  count: {
    apply: (s) => s.count().mapToPair((n) => ['count', n]),
    oracle: (batch) => [['count', batch.length]],
  },
  reduce: {
    apply: (s) =>
      s
        .map(([, n]) => n)
        .reduce((a, b) => a + b)
        .mapToPair((n) => ['sum', n]),
    oracle: (batch) => (batch.length === 0 ? [] : [['sum', sum(batch.map(([, n]) => n))]]),
  },
  countByValue: {
    apply: (s) => s.countByValue().mapToPair(([[key, n], times]) => [key, n * 100 + times]),
    oracle: (batch) =>
      keysOf(batch).flatMap((key) => {
        const values = valuesOf(batch, key);
        return [...new Set(values)].map((n): Pair => {
          return [key, n * 100 + values.filter((each) => each === n).length];
        });
      }),
  },
  reduceByKey: {
    apply: (s) => s.reduceByKey((a, b) => a + b),
    oracle: (batch) => keysOf(batch).map((key) => [key, sum(valuesOf(batch, key))]),
  },
  groupByKey: {
    apply: (s) =>
      s.groupByKey({ partitions: 3 }).mapValues((list) => {
        return list.reduce((a, b) => a + b, 0) * 10 + list.length;
      }),
    oracle: (batch) =>
      keysOf(batch).map((key) => {
        const values = valuesOf(batch, key);
        return [key, sum(values) * 10 + values.length];
      }),
  },
  cogroup: {
    apply: (s, other) =>
      s.cogroup(other).mapValues(([left, right]) => {
        return left.reduce((a, b) => a + b, 0) * 10 + right.length;
      }),
    oracle: (batch, other) =>
      keysOf(batch, other).map((key) => {
        return [key, sum(valuesOf(batch, key)) * 10 + valuesOf(other, key).length];
      }),
  },
  join: {
    apply: (s, other) => s.join(other).mapValues(([a, b]) => a * 7 + b),
    oracle: (batch, other) => combine([batch, other], [undefined, undefined]),
  },
  leftOuterJoin: {
    apply: (s, other) => s.leftOuterJoin(other).mapValues(([a, b = -1]) => a * 7 + b),
    oracle: (batch, other) => combine([batch, other], [undefined, -1]),
  },
  rightOuterJoin: {
    apply: (s, other) => s.rightOuterJoin(other).mapValues(([a = -1, b]) => a * 7 + b),
    oracle: (batch, other) => combine([batch, other], [-1, undefined]),
  },
  fullOuterJoin: {
    apply: (s, other) => s.fullOuterJoin(other).mapValues(([a = -1, b = -2]) => a * 7 + b),
    oracle: (batch, other) => combine([batch, other], [-1, -2]),
  },
};

const pair: fc.Arbitrary<Pair> = fc.tuple(
  fc.constantFrom<Key[]>('a', 'b', 'c', '1', 1, 2, -5, ''),
  fc.integer({ min: -9, max: 9 }),
);
const batches = fc.array(fc.array(pair, { maxLength: 6 }), { maxLength: 4 });
const few = fc.integer({ min: 1, max: 4 });

export const anyHistory: fc.Arbitrary<History> = fc.record({
  left: batches,
  right: batches,
  steps: fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 4 }),
  partitions: few,
  inputPartitions: few,
});

function stepsOf({ steps }: History): Step[] {
  return steps.flatMap((name) => STEPS[name] ?? []);
}

/** Adds the operators of a history. */
export function applySteps(
  history: History,
  left: DStream<Pair>,
  right: DStream<Pair>,
): DStream<Pair> {
  return stepsOf(history).reduce((stream, { apply }) => apply(stream, right), left);
}

/** The same as code of a pipeline module. @param streams how the code names both streams. */
export function textOfSteps(history: History, streams: readonly [string, string]): string {
  const [left, right] = streams;
  return stepsOf(history).reduce(
    (text, { apply }) => `(${String(apply)})(${text}, ${right})`,
    left,
  );
}

/** What each batch must have. */
export function expectedOf(history: History, batchCount: number): Pair[][] {
  return Array.from({ length: batchCount }, (_, index) => {
    const other = history.right[index] ?? [];
    const records = stepsOf(history).reduce<Pair[]>(
      (batch, { oracle }) => oracle(batch, other),
      history.left[index] ?? [],
    );
    return records.map(([key, n]) => [typeof key === 'number' ? unsigned(key) : key, unsigned(n)]);
  });
}

/** Packing makes 0 of −0. */
function unsigned(n: number): number {
  return n === 0 ? 0 : n;
}
