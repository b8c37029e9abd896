/** Twins of Spark's suites and random pipelines on real threads: what an engine makes of each batch
 * is what the test kit makes of it, record for record, and what Spark makes of it. Needs a built
 * dist/.
 * @module */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import { expectBatches } from '../../src/testing/kit/expect-batches.ts';
import { runPipeline } from '../../src/testing/kit/run-pipeline.ts';
import { BASIC_OPERATIONS } from '../spark/basic-operations.ts';
import { EXECUTORS } from '../support/operator-cases.ts';
import { anyHistory, applySteps, expectedOf, textOfSteps } from '../support/operator-histories.ts';
import { PipelineSite } from '../support/pipeline-site.ts';
import { seedNote, simSeed } from '../support/sim-runs.ts';

/** All of them run in one engine. */
const HISTORIES = 60;

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

const outputOf = (index: number): string => `case-${index}`;

it('threads give what the test kit gives, which is what Spark gives', async () => {
  const body = BASIC_OPERATIONS.map(({ inputs, build }, index) => {
    const queues = inputs.map((input) => `ssc.queueStream(${JSON.stringify(input)})`);
    return `keep('${outputOf(index)}', (${String(build)})(${queues.join(', ')}));`;
  });
  site.pipeline(body.join('\n'), { options: { executors: EXECUTORS } });
  await site.finish();
  const keptOf = (index: number) =>
    site.kept.filter(({ name }) => name === outputOf(index)).map(({ records }) => records);
  const batches = keptOf(0).length;
  expect(batches).toBeGreaterThanOrEqual(5);

  const inline = await runPipeline(
    definePipeline({ name: 'twins' }, (ssc) => {
      BASIC_OPERATIONS.forEach(({ inputs, build }, index) => {
        const streams = inputs.map((input) => ssc.queueStream<never>(input as never));
        build(...streams).foreachBatch(() => undefined, { id: outputOf(index) });
      });
    }),
    { batches, partitions: EXECUTORS },
  );
  BASIC_OPERATIONS.forEach(({ name, expected, isOfHalves }, index) => {
    const kept = keptOf(index);
    expectBatches(kept, inline.batchesOf(outputOf(index)), { ordered: true });
    // A queue deals its records to the tasks in turn, and has no partitions when it is over.
    if (isOfHalves) return;
    expect(kept.length, name).toBe(batches);
    expectBatches(kept.slice(0, expected.length), expected);
  });
});

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
