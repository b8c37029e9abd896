/** Random pipelines over the test kit, against plain arrays: every operator, in random chains, over
 * random partitions.
 * @module */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DStream } from '../../src/dstream/dstream.ts';
import { expectBatches } from '../../src/testing/kit/expect-batches.ts';
import { testStream2 } from '../../src/testing/kit/test-stream.ts';
import { anyHistory, applySteps, expectedOf, STEPS } from '../support/operator-histories.ts';
import { scaled, scaledTimeoutMs, seedNote, simSeed } from '../support/sim-runs.ts';

it(
  `give what plain arrays give (${seedNote})`,
  async () => {
    const property = fc.asyncProperty(anyHistory, async (history) => {
      const { left, right, partitions, inputPartitions } = history;
      const build = (l: DStream<[string | number, number]>, r: typeof l) =>
        applySteps(history, l, r);
      const actual = await testStream2(left, right, build, { partitions, inputPartitions });
      expectBatches(actual, expectedOf(history, Math.max(left.length, right.length)));
    });
    await fc.assert(property, { seed: simSeed, numRuns: scaled(10_000) });
  },
  scaledTimeoutMs(),
);

it('know every operator that has an oracle', () => {
  const texts = Object.values(STEPS).map(({ apply }) => String(apply));
  const operators = ['join', 'leftOuterJoin', 'rightOuterJoin', 'fullOuterJoin', 'cogroup'];
  for (const operator of operators) {
    expect(operator in DStream.prototype).toBe(true);
    expect(texts.filter((text) => text.includes(`.${operator}(`))).toHaveLength(1);
  }
});
