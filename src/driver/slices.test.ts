/** Slices over the engine's own scheduler, execution and stage code, without threads. @module */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchOf } from '../../test/support/block-samples.ts';
import { InlineBatches } from '../../test/support/inline-batches.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { withoutWaiting } from '../../test/support/without-waiting.ts';

type Build = ConstructorParameters<typeof InlineBatches>[0];

const LETTERS = [['a', 'b'], ['c'], [], ['d', 'e'], ['f'], ['g']];

let spillDirectory: string;

beforeEach(() => {
  spillDirectory = mkdtempSync(join(tmpdir(), 'slices-'));
});

afterEach(() => {
  rmSync(spillDirectory, { recursive: true });
});

/** Batches at 1 s, 2 s … with the letters, in order. */
async function run(build: Build, batchCount = LETTERS.length): Promise<InlineBatches> {
  const batches = new InlineBatches(build, { spillDirectory });
  for (let i = 0; i < batchCount; i += 1) await batches.run((i + 1) * 1_000, i);
  return batches;
}

/** Records by batch time, in seconds. */
async function slice(
  { slices }: InlineBatches,
  ...range: readonly [streamId: string, from: number, to: number]
): Promise<[number, readonly unknown[]][]> {
  const sliced = await slices.read(...range);
  return sliced.map(({ batchTime, records }) => [batchTime / 1_000, records]);
}

const upperCase: Build = (ssc, keep) => {
  const upper = ssc.queueStream(LETTERS, { id: 'letters' }).map((x) => x.toUpperCase());
  keep('upper', upper);
};

/** Lets tasks begin only when `open` was called. */
function gate({ pool }: InlineBatches): () => void {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  pool.before = () => opened;
  return () => open();
}

describe('a range', () => {
  it('has both its ends, and the oldest batch first', async () => {
    const batches = await run(upperCase);
    expect(await slice(batches, 'map-0', 2_000, 4_000)).toEqual([
      [2, ['C']],
      [3, []],
      [4, ['D', 'E']],
    ]);
    expect(await slice(batches, 'letters', 6_000, 6_000)).toEqual([[6, ['g']]]);
  });

  it('begins with the batch at or before it, and leaves out times without a batch', async () => {
    const batches = await run(upperCase, 2);
    expect(await slice(batches, 'map-0', 1_999, 2_999)).toEqual([
      [1, ['A', 'B']],
      [2, ['C']],
    ]);
    expect(await slice(batches, 'map-0', -5_000, 999)).toEqual([]);
    await batches.run(9_000, 3);
    const all = await slice(batches, 'map-0', 0, 99_000);
    expect(all.map(([time]) => time)).toEqual([1, 2, 9]);
  });

  it('leaves out batches that are not done', async () => {
    const batches = await run(upperCase, 1);
    const share = batchOf(2_000, []);
    const unfinished = { share, finishedOutputs: new Set<string>(), isDone: false };
    batches.tracked.batches.set(share.batchTimeMs, unfinished);
    expect(await slice(batches, 'map-0', 0, 2_000)).toEqual([[1, ['A', 'B']]]);
  });
});

it('gives what the outputs of every stream got, and keeps nothing', async () => {
  const batches = await run((ssc, keep) => {
    const letters = ssc.queueStream(LETTERS);
    const pairs = letters.mapToPair((x) => [x < 'd' ? 'low' : 'high', x]);
    const plus = (a: string, b: string): string => a + b;
    keep(
      'reduced',
      letters.reduceByWindow(plus, '3s').map((x) => x, { id: 'of-reduced' }),
    );
    keep(
      'counted',
      letters.count().map((x) => x, { id: 'of-counted' }),
    );
    keep(
      'cached',
      letters.cache().map((x) => x, { id: 'of-cached' }),
    );
    const wide = pairs.reduceByKeyAndWindow(plus, '4s', '2s');
    keep(
      'wide',
      wide.map((x) => x, { id: 'of-wide' }),
    );
    const nested = pairs.groupByKey().window('2s', '2s').window('4s');
    keep(
      'nested',
      nested.map((x) => x, { id: 'of-nested' }),
    );
    const both = pairs.join(pairs.mapValues((x) => x + x)).union(pairs.cogroup(pairs) as never);
    keep(
      'both',
      both.map((x) => x, { id: 'of-both' }),
    );
  });
  const references = batches.references;
  for (const [name, results] of batches.results) {
    const expected = [...results].map(([timeMs, records]) => [timeMs / 1_000, records]);
    expect(await slice(batches, `of-${name}`, 0, 6_000), name).toEqual(expected);
  }
  expect(batches.references).toBe(references);
  await batches.run(7_000, 0); // windows still find what they had kept
  expect(batches.results.get('reduced')?.get(7_000)).toEqual(['fgab']);
});

describe('is refused', () => {
  it.each([
    ['of a stream that is not there', 'nowhere', 0, 1, 'has letters, map-0'],
    ['of an output', 'upper', 0, 1, 'there is no stream upper'],
    ['with its ends exchanged', 'map-0', 2, 1, 'not 2 and 1'],
    ['with no number', 'map-0', NaN, 1, 'not NaN and 1'],
  ])('%s', async (...[, id, from, to, message]) => {
    const batches = await run(upperCase, 1);
    await expect(slice(batches, id, from, to)).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringContaining(message),
    });
  });

  it('of streams that come from keyed state', async () => {
    const batches = await run((ssc, keep) => {
      const pairs = ssc.queueStream(LETTERS).mapToPair((x) => ['k', x]);
      const all = pairs.updateStateByKey((_: string[], n: number | undefined) => (n ?? 0) + 1);
      keep('all', all);
      keep(
        'of-all',
        all.mapValues((n) => n, { id: 'behind' }),
      );
      const plus = (a: string, b: string): string => a + b;
      const inverse = (a: string): string => a;
      keep('moved', pairs.reduceByKeyAndWindow(plus, inverse, '3s', '1s'));
    }, 2);
    const refused = (text: string): object => ({
      code: 'OPTIONS_INVALID',
      message: expect.stringContaining(`${text}: keyed state is there only as it is after`),
    });
    const range = [0, 9_000] as const;
    await expect(slice(batches, 'updateStateByKey-0', ...range)).rejects.toMatchObject(
      refused('earlier batches of updateStateByKey-0'),
    );
    await expect(slice(batches, 'behind', ...range)).rejects.toMatchObject(
      refused('earlier batches of behind, which reads updateStateByKey-0'),
    );
    await expect(slice(batches, 'reduceByKeyAndWindow-0', ...range)).rejects.toMatchObject(
      refused('earlier batches of reduceByKeyAndWindow-0'),
    );
    expect(await slice(batches, 'mapToPair-0', 2_000, 2_000)).toEqual([[2, [['k', 'c']]]]);
  });

  it('when a batch in it has been forgotten, also one that a window looks at', async () => {
    const batches = await run((ssc, keep) => {
      keep(
        'wide',
        ssc.queueStream(LETTERS, { id: 'letters' }).window('3s', '1s', { id: 'wide-3' }),
      );
    });
    batches.held.forgotten(2_000);
    const forgotten = (batchTimeMs: number, neededMs: number): object => ({
      code: 'CONTEXT_STATE',
      message: expect.stringContaining(
        `batch ${batchTimeMs} has been forgotten; the option remember would have kept it ` +
          `with ${neededMs} ms`,
      ),
    });
    await expect(slice(batches, 'letters', 1_000, 6_000)).rejects.toMatchObject(
      forgotten(2_000, 5_000),
    );
    await expect(slice(batches, 'letters', 0, 1_000)).rejects.toMatchObject(
      forgotten(1_000, 6_000),
    );
    expect((await slice(batches, 'letters', 3_000, 6_000)).map(([time]) => time)).toEqual([
      3, 4, 5, 6,
    ]);
    await expect(slice(batches, 'wide-3', 4_000, 6_000)).rejects.toMatchObject(
      forgotten(4_000, 5_000),
    );
    const wide = await slice(batches, 'wide-3', 5_000, 5_000);
    expect(wide).toEqual([[5, ['d', 'e', 'f']]]);
  });

  it('when records of it are gone', async () => {
    const batches = await run(upperCase, 3);
    batches.lose(2_000);
    await expect(slice(batches, 'map-0', 1_000, 3_000)).rejects.toMatchObject({
      code: 'CONTEXT_STATE',
      message: expect.stringMatching(/\d+ records of batch 2000 are gone/),
    });
    expect(await slice(batches, 'map-0', 3_000, 3_000)).toEqual([[3, []]]);
  });

  it('when as many wait as may', async () => {
    const batches = await run(upperCase, 1);
    const open = gate(batches);
    const read = (): Promise<unknown> => batches.slices.read('map-0', 0, 1_000);
    const waiting = Array.from({ length: 17 }, read);
    await expect(read()).rejects.toMatchObject({ message: expect.stringContaining('16 slices') });
    open();
    expect(await Promise.all(waiting)).toHaveLength(17);
    expect(await read()).toHaveLength(1);
  });
});

describe('while it reads', () => {
  it('what it reads is held, and no batch runs', async () => {
    const batches = await run((ssc, keep) => {
      keep('wide', ssc.queueStream(LETTERS).window('3s'));
    }, 5);
    const { pool } = batches;
    const open = gate(batches);
    const { before } = pool;
    // One thread is free: a batch could run.
    pool.before = (spec) => (spec.partition === 0 ? before(spec) : undefined);
    const reading = slice(batches, 'window-0', 4_000, 5_000);
    await settle();
    const next = batches.run(6_000, 5);
    await settle();
    expect(batches.held.fromMs).toBe(2_000);
    expect(pool.specs.some(({ outputId }) => outputId === 'window-0')).toBe(true);
    expect(pool.specs.filter(({ batchTimeMs }) => batchTimeMs === 6_000)).toEqual([]);
    expect(batches.results.get('wide')?.has(6_000)).toBe(false);
    open();
    expect((await reading).map(([time]) => time)).toEqual([4, 5]);
    expect(batches.held.fromMs).toBe(Infinity);
    await next;
    expect(batches.results.get('wide')?.get(6_000)).toEqual(['d', 'e', 'f', 'g']);
  });

  it('batches that run come first, and those that wait come between two slices', async () => {
    const batches = await run(upperCase, 1);
    const open = gate(batches);
    const running = batches.run(2_000, 1);
    const first = slice(batches, 'map-0', 0, 9_000);
    const second = slice(batches, 'map-0', 0, 9_000);
    const waiting = batches.run(3_000, 2);
    open();
    const times = (sliced: [number, unknown][]): number[] => sliced.map(([time]) => time);
    expect([times(await first), times(await second)]).toEqual([
      [1, 2],
      [1, 2, 3],
    ]);
    await Promise.all([running, waiting]);
  });

  it('a task that fails ends the slice only, and nothing of it stays', async () => {
    const batches = await run((ssc, keep) => {
      const pairs = ssc.queueStream(LETTERS).mapToPair((x) => [x, x]);
      keep('groups', pairs.groupByKey());
    }, 4);
    const { pool } = batches;
    const references = batches.references;
    for (const kind of ['shuffle-write', 'collect']) {
      pool.before = ({ action, partition }) => {
        if (action.kind === kind && partition === 1) throw new Error('the thread is gone');
      };
      await expect(slice(batches, 'groupByKey-0', 1_000, 4_000)).rejects.toMatchObject({
        code: 'TASK_FAILED',
      });
      expect([batches.references, batches.held.fromMs]).toEqual([references, Infinity]);
    }
    pool.before = () => {};
    await batches.run(5_000, 4);
    expect(await slice(batches, 'groupByKey-0', 5_000, 5_000)).toEqual([[5, [['f', ['f']]]]]);
  });

  it('the end of the run ends it, and all that wait', async () => {
    const batches = await run(upperCase, 3);
    const open = gate(batches);
    const ended = { code: 'CONTEXT_STATE', message: expect.stringContaining('has ended') };
    const reading = slice(batches, 'map-0', 1_000, 3_000);
    const waiting = slice(batches, 'map-0', 1_000, 3_000);
    await settle();
    const begun = batches.pool.specs.length;
    batches.slices.end();
    await expect(withoutWaiting(reading)).rejects.toMatchObject(ended);
    await expect(withoutWaiting(waiting)).rejects.toMatchObject(ended);
    const stopped = batches.scheduler.stop();
    open();
    await stopped;
    expect(batches.pool.specs).toHaveLength(begun); // the batches after it are not read
    expect(batches.held.fromMs).toBe(Infinity);
    await expect(slice(batches, 'map-0', 1_000, 3_000)).rejects.toMatchObject(ended);
  });
});

it('does not wait for its turn after a batch has failed', async () => {
  const batches = await run(upperCase, 1);
  const open = gate(batches);
  const { before } = batches.pool;
  batches.pool.before = async (spec) => {
    await before(spec);
    throw new Error('the thread is gone');
  };
  const failing = expect(batches.run(2_000, 1)).rejects.toMatchObject({ code: 'TASK_FAILED' });
  const ended = { code: 'CONTEXT_STATE' };
  const waiting = expect(slice(batches, 'map-0', 0, 9_000)).rejects.toMatchObject(ended);
  open();
  await Promise.all([failing, waiting]);
});
