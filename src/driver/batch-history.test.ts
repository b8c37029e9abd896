/** Windows over the engine's own scheduler and execution, without threads. @module */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InlineBatches } from '../../test/support/inline-batches.ts';
import type { DStream } from '../dstream/dstream.ts';

type Build = ConstructorParameters<typeof InlineBatches>[0];

const LETTERS = [['a', 'b'], ['c'], [], ['d', 'e'], ['f'], ['g']];

let spillDirectory: string;

beforeEach(() => {
  spillDirectory = mkdtempSync(join(tmpdir(), 'windows-'));
});

afterEach(() => {
  rmSync(spillDirectory, { recursive: true });
});

/** Batches at 1 s, 2 s … with the records of the queues, in order. */
async function run(build: Build, batchCount = LETTERS.length): Promise<InlineBatches> {
  const batches = new InlineBatches(build, { spillDirectory });
  for (let i = 0; i < batchCount; i += 1) await batches.run((i + 1) * 1_000, i);
  return batches;
}

/** What one output had, by batch time in seconds. */
function shown({ results }: InlineBatches, name: string): Record<number, readonly unknown[]> {
  const times = [...(results.get(name) ?? [])];
  return Object.fromEntries(times.map(([time, records]) => [time / 1_000, records]));
}

/** One text for all that a window holds, oldest first. */
const joined = (records: readonly unknown[] = []): string => records.join('');

it('gives the batches of (t − length, t], oldest first, at multiples of the slide', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    keep('every', letters.window('3s'));
    keep('second', letters.window('3s', '2s'));
    keep('apart', letters.window('1s', '3s'));
  });
  const every = Object.values(shown(batches, 'every')).map(joined);
  expect(every).toEqual(['ab', 'abc', 'abc', 'cde', 'def', 'defg']);
  expect(shown(batches, 'second')).toEqual({
    2: ['a', 'b', 'c'],
    4: ['c', 'd', 'e'],
    6: ['d', 'e', 'f', 'g'],
  });
  expect(shown(batches, 'apart')).toEqual({ 3: [], 6: ['g'] });
});

it('reduces, counts and groups windows, combining the oldest batch first', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    const pairs = letters.mapToPair((x) => [x < 'd' ? 'low' : 'high', x]);
    const plus = (a: string, b: string): string => a + b;
    const one = { partitions: 1 };
    keep('reduced', letters.reduceByWindow(plus, '3s'));
    keep('counted', letters.countByWindow('2s', '2s'));
    keep('values', letters.countByValueAndWindow('3s', '3s', one));
    keep('byKey', pairs.reduceByKeyAndWindow(plus, '6s', '3s', one));
    keep('groups', pairs.groupByKeyAndWindow('6s', '3s', one));
  });
  expect(shown(batches, 'reduced')).toEqual({
    1: ['ab'],
    2: ['abc'],
    3: ['abc'],
    4: ['cde'],
    5: ['def'],
    6: ['defg'],
  });
  expect(shown(batches, 'counted')).toEqual({ 2: [3], 4: [2], 6: [2] });
  expect(shown(batches, 'values')).toEqual({
    3: [
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ],
    6: [
      ['d', 1],
      ['e', 1],
      ['f', 1],
      ['g', 1],
    ],
  });
  expect(shown(batches, 'byKey')).toEqual({
    3: [['low', 'abc']],
    6: [
      ['low', 'abc'],
      ['high', 'defg'],
    ],
  });
  expect(shown(batches, 'groups')).toEqual({
    3: [['low', ['a', 'b', 'c']]],
    6: [
      ['low', ['a', 'b', 'c']],
      ['high', ['d', 'e', 'f', 'g']],
    ],
  });
});

it('lets windows look at windows, which counts a record as often as it is in them', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    keep('twice', letters.window('2s').window('2s'));
    keep('coarse', letters.countByWindow('2s', '2s').window('4s', '4s'));
  });
  const twice = Object.values(shown(batches, 'twice')).map(joined);
  expect(twice).toEqual(['ab', 'ababc', 'abcc', 'cde', 'dedef', 'deffg']);
  expect(shown(batches, 'coarse')).toEqual({ 4: [3, 2] });
});

it('joins a window with the batch, and windows with each other', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    const pairs = letters.keyBy(() => 'k');
    const one = { partitions: 1 };
    keep('before', pairs.join(pairs.window('2s'), one).mapValues(joined));
    keep('both', pairs.window('2s', '2s').join(pairs.window('1s', '2s'), one).mapValues(joined));
  });
  const before = shown(batches, 'before');
  expect(before[2]).toEqual([
    ['k', 'ca'],
    ['k', 'cb'],
    ['k', 'cc'],
  ]);
  expect(before[3]).toEqual([]);
  expect(shown(batches, 'both')[6]).toEqual([
    ['k', 'fg'],
    ['k', 'gg'],
  ]);
});

it('keeps apart the partitions of its batches for what came before it', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    keep('parts', letters.mapPartitions((all) => [joined([...all])]).window('4s', '4s'));
    keep('whole', letters.window('4s', '4s').repartition(1).glom());
  });
  // Four batches of two partitions, in four tasks.
  expect(shown(batches, 'parts')[4]).toEqual(['a', 'b', 'c', '', '', '', 'd', 'e']);
  expect(shown(batches, 'whole')[4]).toEqual([['a', 'b', 'c', 'd', 'e']]);
  const tasks = batches.pool.specs.filter(({ outputId }) => outputId === 'parts');
  expect(tasks).toHaveLength(4);
});

it('takes a batch time without a batch for one without even a count of 0', async () => {
  const build: Build = (ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    keep('counts', letters.count().window('4s'));
    keep('letters', letters.window('4s'));
    keep('nested', letters.window('3s').window('3s'));
  };
  const batches = new InlineBatches(build, { spillDirectory });
  for (const [time, index] of [
    [1_000, 0],
    [2_000, null],
    [4_000, 3],
    [9_000, 4],
  ] as const) {
    await batches.run(time, index);
  }
  expect(shown(batches, 'counts')).toEqual({ 1: [2], 2: [2, 0], 4: [2, 0, 2], 9: [1] });
  expect(joined(shown(batches, 'letters')[4])).toBe('abde');
  // At 3 s there was no batch, so none of the window of 3 s either.
  expect(joined(shown(batches, 'nested')[4])).toBe('ab' + 'de');
});

it('reduces each batch once, however many windows it is in', async () => {
  let calls = 0;
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS).map((x) => {
      calls += 1;
      return x;
    });
    keep('counts', letters.countByValueAndWindow('4s'));
    keep('stored', letters.persist().window('3s', '2s'));
  });
  // Once for each of the two: nothing is kept of `letters` itself.
  expect(calls).toBe(2 * LETTERS.flat().length);
  expect(joined(shown(batches, 'stored')[4])).toBe('cde');
});

it('makes again what a restart has taken, and has the same windows', async () => {
  const build: Build = (ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    const pairs = letters.keyBy((x) => x);
    keep('window', letters.window('4s', '2s'));
    keep('byKey', pairs.reduceByKeyAndWindow((a, b) => a + b, '3s').window('2s'));
    keep('stored', letters.persist().window('3s'));
  };
  const expected = await run(build);
  const batches = new InlineBatches(build, { spillDirectory });
  for (let i = 0; i < LETTERS.length; i += 1) {
    await batches.run((i + 1) * 1_000, i);
    await batches.restart();
  }
  expect(batches.results).toEqual(expected.results);
});

it('keeps what later windows need, each shuffle of a batch in one piece, and no more', async () => {
  const long = Array.from({ length: 40 }, () => ['a']);
  const build: Build = (ssc, keep) => {
    const letters = ssc.queueStream(long);
    keep('counts', letters.countByValueAndWindow('4s', '4s'));
    keep('deep', letters.countByValueAndWindow('3s').countByWindow('2s'));
  };
  const batches = new InlineBatches(build, { spillDirectory });
  const held: number[] = [];
  for (let i = 0; i < long.length; i += 1) {
    await batches.run((i + 1) * 1_000, i);
    held.push(batches.references - 1);
  }
  // Of `deep` three batches of its innermost shuffle and one of the next; `counts` reads all
  // that it needs when it is due.
  expect(new Set(held.slice(8))).toEqual(new Set([5]));
  expect(readdirSync(spillDirectory)).toEqual([]);
});

it.each([
  ['without windows', (letters: DStream<string>) => letters.countByValue()],
  ['behind the last window of a slide', (letters) => letters.countByValueAndWindow('4s', '4s')],
])('keeps nothing %s', async (_name, use: (letters: DStream<string>) => DStream<unknown>) => {
  const batches = await run((ssc, keep) => keep('x', use(ssc.queueStream(LETTERS))), 4);
  expect(batches.references).toBeLessThanOrEqual(1);
});

it('runs nothing at a batch time that is no multiple of the slide', async () => {
  const batches = await run(
    (ssc, keep) => keep('x', ssc.queueStream(LETTERS).window('4s', '4s')),
    3,
  );
  expect([shown(batches, 'x'), batches.pool.specs]).toEqual([{}, []]);
});
