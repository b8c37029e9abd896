/** Keyed state and windows together, over the engine's own scheduler and execution, without
 * threads: when a stateful operator runs, and what a replay after a crash finds. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InlineBatches } from '../../test/support/inline-batches.ts';
import type { DStream } from '../dstream/dstream.ts';

type Build = ConstructorParameters<typeof InlineBatches>[0];

const LETTERS = [['a', 'b'], ['c'], [], ['d', 'e'], ['f'], ['g'], ['h'], ['i']];

let spillDirectory: string;

beforeEach(() => {
  spillDirectory = mkdtempSync(join(tmpdir(), 'state-windows-'));
});

afterEach(() => {
  rmSync(spillDirectory, { recursive: true });
});

/** All letters that ever came, under one key, in the order of their batches. */
function allOf(letters: DStream<string>): DStream<[string, string]> {
  return letters
    .mapToPair((letter) => ['k', letter])
    .updateStateByKey((values: string[], state: string | undefined) => {
      return (state ?? '') + values.toSorted().join('');
    });
}

/** The batches from the `first` to the `last`, at 1 s, 2 s … */
async function run(batches: InlineBatches, first: number, last: number): Promise<void> {
  for (let i = first; i <= last; i += 1) await batches.run(i * 1_000, i - 1);
}

/** What one output had under `k`, by batch time in seconds. */
function shown({ results }: InlineBatches, name: string): Record<number, unknown> {
  const times = [...(results.get(name) ?? [])] as [number, [string, unknown][]][];
  return Object.fromEntries(times.map(([time, records]) => [time / 1_000, records[0]?.[1]]));
}

/** Batch times in which state was changed, in seconds. */
function updates({ pool }: InlineBatches): number[] {
  const specs = pool.specs.filter(({ action }) => action.kind === 'state-update');
  return [...new Set(specs.map(({ batchTimeMs }) => batchTimeMs / 1_000))];
}

const overWindow: Build = (ssc, keep) => {
  keep('all', allOf(ssc.queueStream(LETTERS).window('3s', '2s')));
};

it('runs with each batch of a window below, and with no other', async () => {
  const batches = new InlineBatches(overWindow, { spillDirectory });
  await run(batches, 1, 6);
  expect(updates(batches)).toEqual([2, 4, 6]);
  expect(shown(batches, 'all')).toEqual({ 2: 'abc', 4: 'abccde', 6: 'abccdedefg' });
});

it('runs in batches in which none of its readers has one', async () => {
  const batches = new InlineBatches(
    (ssc, keep) => keep('seldom', allOf(ssc.queueStream(LETTERS)).window('1s', '3s')),
    { spillDirectory },
  );
  await run(batches, 1, 7);
  expect(updates(batches)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(shown(batches, 'seldom')).toEqual({ 3: 'abc', 6: 'abcdefg' });
});

it('is read after the batch, and once, by whatever else looks at windows', async () => {
  const batches = new InlineBatches(
    (ssc, keep) => {
      const letters = ssc.queueStream(LETTERS);
      const last = letters.mapToPair((x) => ['k', x]).reduceByKeyAndWindow((a, b) => a + b, '2s');
      keep(
        'both',
        last.join(allOf(letters)).mapValues((pair) => pair.join('/')),
      );
      keep(
        'again',
        allOf(letters.window('2s')).mapValues((text) => text.length),
      );
    },
    { spillDirectory },
  );
  await run(batches, 1, 4);
  expect(shown(batches, 'both')).toEqual({ 1: 'ab/ab', 2: 'abc/abc', 3: 'c/abc', 4: 'de/abcde' });
  expect(shown(batches, 'again')).toEqual({ 1: 2, 2: 5, 3: 6, 4: 8 });
});

it('is made again from batches whose windows look at batches before the snapshot', async () => {
  const expected = new InlineBatches(overWindow, { spillDirectory });
  await run(expected, 1, 8);
  const batches = new InlineBatches(overWindow, { spillDirectory });
  await run(batches, 1, 5);
  await batches.snapshot();
  await run(batches, 6, 7);
  batches.clean();
  // 6 and 7 are run again, and the window of 6 has 4, 5 and 6.
  expect([...batches.shares.keys()]).toEqual([4_000, 5_000, 6_000, 7_000]);
  batches.results.get('all')?.clear();
  await batches.restart();
  expect(updates(batches)).toEqual([6]);
  expect(shown(batches, 'all')).toEqual({}); // a replay has no outputs
  await run(batches, 8, 8);
  expect(shown(batches, 'all')).toEqual({ 8: shown(expected, 'all')[8] });
});

it('is fed by a shuffle with the partitions that the state has', async () => {
  const batches = new InlineBatches(overWindow, { spillDirectory, partitions: 2 });
  await run(batches, 1, 4);
  await batches.snapshot();
  batches.statePartitions = 5;
  await batches.restart();
  await run(batches, 5, 6);
  const counts = batches.pool.specs.flatMap(({ action }) =>
    action.kind === 'shuffle-write' ? [action.partitions] : [],
  );
  expect(new Set(counts)).toEqual(new Set([5]));
  expect(batches.pool.count('state-update')).toBe(5);
  expect(shown(batches, 'all')[6]).toBe('abccdedefg');
});

describe('a window with an inverse function', () => {
  const ones = LETTERS.map((letters) => letters.map((letter): [string, number] => [letter, 1]));
  const plus = (a: number, b: number): number => a + b;
  const minus = (a: number, b: number): number => a - b;
  const length = 4;
  const sliding: Build = (ssc, keep) => {
    const pairs = ssc.queueStream<string, number>(ones).mapToPair(([, n]) => ['k', n]);
    keep('all', pairs.reduceByKeyAndWindow(plus, minus, `${length * 1_000}ms` as '4s'));
  };
  const shuffled = ({ pool }: InlineBatches, batchTimeMs: number): number =>
    pool.specs.filter((spec) => {
      return spec.batchTimeMs === batchTimeMs && spec.action.kind === 'shuffle-write';
    }).length;

  it('writes the shuffle of each batch once, reads only what leaves and what enters', async () => {
    const batches = new InlineBatches(sliding, { spillDirectory });
    await run(batches, 1, 8);
    expect(shown(batches, 'all')).toEqual({ 1: 2, 2: 3, 3: 3, 4: 5, 5: 4, 6: 4, 7: 5, 8: 4 });
    expect([5, 6, 7, 8].map((time) => shuffled(batches, time * 1_000))).toEqual([2, 2, 2, 2]);
    const inputs = batches.pool.specs.flatMap(({ batchTimeMs, action, leaf }) =>
      batchTimeMs === 8_000 && action.kind === 'state-update' && leaf.kind === 'shuffle'
        ? [leaf.inputs.map(({ pieces }) => pieces.length)]
        : [],
    );
    // In one of the two partitions the key has a piece of the batch that leaves and of the new one.
    expect(inputs.toSorted(([a = 0], [b = 0]) => a - b)).toEqual([
      [0, 0],
      [2, 1],
    ]);
  });

  it('makes what leaves again after a restart, a batch at a time', async () => {
    const batches = new InlineBatches(sliding, { spillDirectory });
    await run(batches, 1, 6);
    await batches.snapshot();
    batches.clean();
    expect([...batches.shares.keys()]).toEqual([3_000, 4_000, 5_000, 6_000]);
    await batches.restart();
    await run(batches, 7, 8);
    expect(shown(batches, 'all')).toMatchObject({ 7: 5, 8: 4 });
    // Of 3 s and of 7 s; batches that stay in the window are not looked at.
    expect(shuffled(batches, 7_000)).toBe(4);
  });

  it('begins anew when records that have to leave are gone', async () => {
    const batches = new InlineBatches(sliding, { spillDirectory });
    await run(batches, 1, 4);
    await batches.snapshot();
    await batches.restart();
    batches.lose(2_000);
    await run(batches, 5, 8);
    expect(shown(batches, 'all')).toMatchObject({ 4: 5, 5: 3, 6: 4, 7: 5, 8: 4 });
  });

  it('stops at a value that leaves for a key that is not there, and names it all', async () => {
    const batches = new InlineBatches(
      (ssc, keep) => {
        const filter = ([, n]: readonly [string, number]): boolean => n > 1;
        const pairs = ssc.queueStream<string, number>(ones);
        keep('all', pairs.reduceByKeyAndWindow(plus, minus, '2s', undefined, { filter, id: 'w' }));
      },
      { spillDirectory },
    );
    await run(batches, 1, 2);
    await expect(run(batches, 3, 3)).rejects.toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringMatching(/operator w failed in batch 3000 .* of the key '[ab]' leaves/),
    });
  });
});
