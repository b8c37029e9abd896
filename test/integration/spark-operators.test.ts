/** Twins of Spark's suites and random pipelines on real threads: what an engine makes of each batch
 * is what the test kit makes of it, record for record, and what Spark makes of it. Batch times come
 * from a manual clock, one after the other, however slow the machine is. Needs a built dist/.
 * @module */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../src/core/random.ts';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import { expectBatches } from '../../src/testing/kit/expect-batches.ts';
import { runPipeline } from '../../src/testing/kit/run-pipeline.ts';
import { BASIC_OPERATIONS } from '../spark/basic-operations.ts';
import { STATE_OPERATIONS } from '../spark/state-operations.ts';
import { WINDOW_OPERATIONS } from '../spark/window-operations.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { EXECUTORS } from '../support/operator-cases.ts';
import { anyHistory, applySteps, expectedOf, textOfSteps } from '../support/operator-histories.ts';
import { PipelineSite } from '../support/pipeline-site.ts';
import { seedNote, simSeed } from '../support/sim-runs.ts';
import { expectedAt, randomInputs, randomSpec, slideOf } from '../support/window-oracle.ts';

/** All of them run in one engine. */
const HISTORIES = 60;
const WINDOW_HISTORIES = 60;
const WINDOW_BATCHES = 9;
const INTERVAL_MS = 1_000;

const TWINS = [...BASIC_OPERATIONS, ...WINDOW_OPERATIONS, ...STATE_OPERATIONS];

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

/** Runs until the inputs have ended, a batch at each second from the first on. */
async function finishBySeconds(): Promise<void> {
  const clock = new ManualClock(0);
  const run = await site.start({ clock, batchInterval: INTERVAL_MS, executors: EXECUTORS });
  const life = { isOver: false };
  const over = run.context.awaitTermination().finally(() => (life.isOver = true));
  for (let count = 1; !life.isOver; count += 1) {
    clock.advance(INTERVAL_MS);
    await run.until(`batch ${count}`, () => {
      const isDone = run.of('batch-completed').length >= count;
      return life.isOver || (isDone && clock.pendingMs.includes(INTERVAL_MS)); // the next one's timer
    });
  }
  await over;
}

const outputOf = (index: number): string => `case-${index}`;

it('threads give what the test kit gives, which is what Spark gives', async () => {
  const body = TWINS.map(({ inputs, build }, index) => {
    const queues = inputs.map((input) => `ssc.queueStream(${JSON.stringify(input)})`);
    return `keep('${outputOf(index)}', (${String(build)})(${queues.join(', ')}));`;
  });
  site.pipeline(body.join('\n'));
  await finishBySeconds();
  const batches = site.kept.filter(({ name }) => name === outputOf(0)).length;
  expect(batches).toBeGreaterThanOrEqual(12);

  const inline = await runPipeline(
    definePipeline({ name: 'twins' }, (ssc) => {
      TWINS.forEach(({ inputs, build }, index) => {
        const streams = inputs.map((input) => ssc.queueStream<never>(input as never));
        build(...streams).foreachBatch(() => undefined, { id: outputOf(index) });
      });
    }),
    { batches, partitions: EXECUTORS },
  );
  TWINS.forEach(({ expected, isOfHalves }, index) => {
    const kept = keptIn(batches, outputOf(index));
    // The slots of keyed state have a seed that differs from run to run.
    const ordered = index < BASIC_OPERATIONS.length;
    expectBatches(kept, inline.batchesOf(outputOf(index)), { ordered });
    // A queue deals its records to the tasks in turn, and has no partitions when it is over.
    if (!isOfHalves) expectBatches(kept.slice(0, expected.length), expected);
  });
});

/** What an output got in each of the first batches: nothing in one that its stream does not have. */
function keptIn(batches: number, output: string): unknown[][] {
  const found = new Map(
    site.kept.flatMap(({ name, batchTime, records }) =>
      name === output ? [[batchTime, records] as const] : [],
    ),
  );
  return Array.from({ length: batches }, (_, index) => [
    ...(found.get((index + 1) * INTERVAL_MS) ?? []),
  ]);
}

it(`random pipelines too (${seedNote})`, async () => {
  const histories = fc.sample(anyHistory, { seed: simSeed, numRuns: HISTORIES });
  const body = histories.map((history, index) => {
    const queues = [history.left, history.right].map((queue) => {
      return `ssc.queueStream(${JSON.stringify(queue)})`;
    });
    return `{ const left = ${queues[0]}; const right = ${queues[1]};
      keep('${outputOf(index)}', ${textOfSteps(history, ['left', 'right'])}); }`;
  });
  site.pipeline(body.join('\n'), { options: { executors: EXECUTORS } });
  await site.finish();
  const keptOf = (index: number) =>
    site.kept.filter(({ name }) => name === outputOf(index)).map(({ records }) => records);
  const batches = keptOf(0).length;
  const longest = Math.max(...histories.flatMap(({ left, right }) => [left.length, right.length]));
  expect(batches).toBeGreaterThanOrEqual(longest);

  const inline = await runPipeline(
    definePipeline({ name: 'histories' }, (ssc) => {
      histories.forEach((history, index) => {
        const [left, right] = [history.left, history.right].map((queue) => ssc.queueStream(queue));
        applySteps(history, left!, right!).foreachBatch(() => undefined, { id: outputOf(index) });
      });
    }),
    { batches, partitions: EXECUTORS },
  );
  histories.forEach((history, index) => {
    const kept = keptOf(index);
    expectBatches(kept, inline.batchesOf(outputOf(index)), { ordered: true });
    expectBatches(kept, expectedOf(history, batches));
  });
});

it(`random windows hold on threads what their definition says (${seedNote})`, async () => {
  const random = seededRandom(simSeed);
  const histories = Array.from({ length: WINDOW_HISTORIES }, () => {
    const slide = 1 + Math.floor(random.next() * 3);
    const spec = randomSpec(random, { depth: 1 + Math.floor(random.next() * 2), slide });
    return { spec, steps: Array.from({ length: WINDOW_BATCHES }, () => randomInputs(random)) };
  });
  const oracle = fileURLToPath(new URL('../support/window-oracle.ts', import.meta.url));
  const body = histories.map(({ spec, steps }, index) => {
    const queues = ['a', 'b'].map((name) => {
      const queue = steps.map((step) => step[name] ?? []);
      return `[${JSON.stringify(name)}, ssc.queueStream(${JSON.stringify(queue)})]`;
    });
    const inputs = `new Map([${queues.join(', ')}])`;
    return `keep('${outputOf(index)}', buildStream(${JSON.stringify(spec)}, ${inputs}));`;
  });
  site.pipeline(body.join('\n'), {
    head: `import { buildStream } from ${JSON.stringify(oracle)};`,
  });
  await finishBySeconds();
  histories.forEach(({ spec, steps }, index) => {
    const history = new Map(steps.map((step, batch) => [batch + 1, step]));
    const expected = Array.from({ length: WINDOW_BATCHES }, (_, batch) =>
      (batch + 1) % slideOf(spec) === 0 ? expectedAt(spec, batch + 1, history) : [],
    );
    expectBatches(keptIn(WINDOW_BATCHES, outputOf(index)), expected);
  });
});
