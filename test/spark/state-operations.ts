/** Twins of Spark's tests of state: updateStateByKey of its BasicOperationsSuite, and its
 * MapWithStateSuite. Batches come every second. Timeouts are ours: a key goes in the first batch in
 * which it is due, where Spark may be ten batches late.
 * @module */
import { one } from './spark-case.ts';
import type { SparkCase } from './spark-case.ts';

const LETTERS = [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'b'], ['a'], []];

const UPDATED: readonly SparkCase[] = [
  one({
    name: 'updateStateByKey',
    input: LETTERS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .updateStateByKey((values, n: number | undefined) => values.length + (n ?? 0)),
    expected: pairs('a1', 'a2 b1', 'a3 b2 c1', 'a4 b3 c1', 'a5 b3 c1', 'a5 b3 c1'),
  }),
  one({
    name: 'updateStateByKey with an initial state',
    input: LETTERS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .updateStateByKey((values, n: number | undefined) => values.length + (n ?? 0), {
          initialState: [
            ['a', 1],
            ['c', 2],
          ],
        }),
    expected: pairs('a2 c2', 'a3 b1 c2', 'a4 b2 c3', 'a5 b3 c3', 'a6 b3 c3', 'a6 b3 c3'),
  }),
  one({
    name: 'updateStateByKey drops a key whose function gives nothing',
    input: LETTERS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .updateStateByKey((values, n: number | undefined) =>
          n === 2 ? undefined : values.length + (n ?? 0),
        ),
    expected: pairs('a1', 'a2 b1', 'b2 c1', 'a1 c1', 'a2 c1', 'a2 c1'),
  }),
];

const MAPPED: readonly SparkCase[] = [
  one({
    name: 'mapWithState: what the function returns',
    input: LETTERS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .mapWithState(
          (_key, n = 0, state) => {
            const sum = n + (state.exists() ? state.get() : 0);
            state.update(sum);
            return sum;
          },
          { initialState: [['z', 0]] },
        ),
    expected: [[1], [2, 1], [3, 2, 1], [4, 3], [5], []],
  }),
  one({
    name: 'mapWithState: snapshots of the state',
    input: LETTERS,
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .mapWithState(
          (_key, n = 0, state) => state.update(n + (state.exists() ? state.get() : 0)),
          { initialState: [['a', 5]] },
        )
        .stateSnapshots(),
    expected: pairs('a6', 'a7 b1', 'a8 b2 c1', 'a9 b3 c1', 'a10 b3 c1', 'a10 b3 c1'),
  }),
  one({
    name: 'mapWithState: a removed state begins anew',
    input: [['a'], ['a'], ['a'], []],
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .mapWithState(
          (_key, n = 0, state) => {
            if (state.exists()) state.remove();
            else state.update(n);
            return state.exists();
          },
          { initialState: [['z', 0]] },
        ),
    expected: [[true], [false], [true], []],
  }),
  one({
    name: 'mapWithState: a timeout comes once, in the batch where it is due',
    input: [['a', 'b', 'c'], ['a', 'b'], ['a'], [], [], [], []],
    build: (s) =>
      s
        .mapToPair((word) => [word, 1])
        .mapWithState(
          (key, n, state) => {
            if (state.isTimingOut()) return key;
            state.update(n ?? 0);
            return undefined;
          },
          { timeout: '2s', initialState: [['z', 0]] },
        ),
    expected: [[], [], [], ['c', 'z'], ['b'], ['a'], []],
  }),
];

/** Spark's DStreams have none. Of its dropDuplicatesWithinWatermark these are the sentences that can
 * be said of batch times: what is within the span of the first is dropped, and does not prolong it.
 */
const DEDUPED: readonly SparkCase[] = [
  one({
    name: 'dedupeBy: the first of a key passes, repeats within the span of it do not',
    input: [['a1', 'b1', 'a2'], ['a3', 'c1'], ['a4'], ['a5', 'b2'], ['a6'], []],
    build: (s) => s.dedupeBy((text) => text.slice(0, 1), { within: '2s' }),
    expected: [['a1', 'b1'], ['c1'], [], ['a5', 'b2'], [], []],
  }),
  one({
    name: 'dedupeBy: a span that is over does not come back, however long nothing came',
    input: [['a1'], [], [], [], [], ['a2'], ['a3']],
    build: (s) => s.dedupeBy((text) => text.slice(0, 1), { within: '1s', partitions: 3 }),
    expected: [['a1'], [], [], [], [], ['a2'], []],
  }),
  one({
    name: 'dedupeBy: of what was deduplicated by another key',
    input: [['a1', 'b2', 'a3'], ['b4', 'c2', 'd5'], ['e2']],
    build: (s) =>
      s
        .dedupeBy((text) => text.slice(0, 1), { within: '5s' })
        .dedupeBy((text) => text.slice(1), { within: '1s' }),
    expected: [['a1', 'b2'], ['d5'], ['e2']],
  }),
];

export const STATE_OPERATIONS: readonly SparkCase[] = [...UPDATED, ...MAPPED, ...DEDUPED];

/** `'a1 b2'`: the pairs of one batch. */
function pairs(...batches: readonly string[]): [string, number][][] {
  return batches.map((text) =>
    text.split(' ').map((part) => [part.slice(0, 1), Number(part.slice(1))]),
  );
}
