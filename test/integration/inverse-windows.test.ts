/** Windows with an inverse function in an engine with threads: what they need, and what a start makes
 * of the values that an earlier run has kept. Batch times come from a manual clock. Needs a built
 * dist/. @module */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../support/manual-clock.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

const INTERVAL_MS = 1_000;
const WORDS = [['a', 'b'], ['a'], ['c'], [], ['a'], ['b'], [], []];

let site: PipelineSite;
let clock: ManualClock;
beforeEach(() => {
  site = new PipelineSite();
  clock = new ManualClock(0);
});
afterEach(() => site.close());

/** Counts of words over 4 s. @param key what becomes of a word. */
function counting(key: string, more = ''): void {
  site.pipeline(`
    const words = ssc.queueStream(${JSON.stringify(WORDS)}).mapToPair((word) => [${key}, 1]);
    keep('counts', words.reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, '4s'));
    ${more}`);
}

/** Runs so many batches, and stops. */
async function run(batches: number): Promise<void> {
  const started = await site.start({ clock, batchInterval: INTERVAL_MS, batches });
  for (let count = 1; count <= batches; count += 1) {
    clock.advance(INTERVAL_MS);
    await started.until(`batch ${count}`, () => {
      const isDone = started.of('batch-completed').length >= count;
      return isDone && (count === batches || clock.pendingMs.includes(INTERVAL_MS)); // the next one
    });
  }
  await started.context.awaitTermination();
}

/** `'a2 b0'`, at a batch time in seconds. */
function countsAt(seconds: number): string {
  const found = site.kept.find(({ batchTime }) => batchTime === seconds * INTERVAL_MS);
  const records = (found?.records ?? []) as readonly (readonly [string, number])[];
  return records
    .map((pair) => pair.join(''))
    .toSorted()
    .join(' ');
}

it('are refused without a checkpoint directory, by name', async () => {
  counting(
    'word',
    `words.map(() => 1).reduceByWindow((a, b) => a + b, (a, b) => a - b, '2s').print()`,
  );
  const failure = await failureOf(site.open({ checkpointDir: false }));
  expect(failure).toMatchObject({ code: 'OPTIONS_INVALID', exitCode: 64 });
  expect(failure.message).toMatch(
    /inverse function \(reduceByKeyAndWindow-0, reduceByWindow-0.window\) needs a checkpoint dir/,
  );
});

it('go on after a restart where they were, with the keys that have nothing left', async () => {
  counting('word');
  await run(5);
  expect([4, 5].map(countsAt)).toEqual(['a2 b1 c1', 'a2 b0 c1']);
  await run(3);
  expect([6, 7, 8].map(countsAt)).toEqual(['a1 b1 c1', 'a1 b1 c0', 'a1 b1 c0']);
});

it('begin anew from the batches in them when the code has changed, also after that', async () => {
  counting('word');
  await run(5);
  counting('word.toUpperCase()');
  await run(1);
  expect(countsAt(6)).toBe('A1 B1 C1');
  await run(2);
  expect([7, 8].map(countsAt)).toEqual(['A1 B1 C0', 'A1 B1 C0']);
});

it('may go from a pipeline that has kept values of them', async () => {
  counting('word');
  await run(3);
  site.pipeline(`keep('count', ssc.queueStream(${JSON.stringify(WORDS)}).countByWindow('4s'));`);
  await run(2);
  expect(site.kept.filter(({ name }) => name === 'count').map(({ records }) => records)).toEqual([
    [4],
    [3],
  ]);
});
