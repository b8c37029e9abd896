/** Twins of Spark's suites, inline: what each operator makes of each batch.
 * @module */
import { describe, expect, it } from 'vitest';
import { DStream } from '../../src/dstream/dstream.ts';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import { expectBatches } from '../../src/testing/kit/expect-batches.ts';
import { runPipeline } from '../../src/testing/kit/run-pipeline.ts';
import { testStream, testStream2 } from '../../src/testing/kit/test-stream.ts';
import { BASIC_OPERATIONS } from './basic-operations.ts';
import type { BuildCase, SparkCase } from './spark-case.ts';
import { STATE_OPERATIONS } from './state-operations.ts';
import { WINDOW_OPERATIONS } from './window-operations.ts';

const TWINS = [...BASIC_OPERATIONS, ...WINDOW_OPERATIONS, ...STATE_OPERATIONS];

/** Outputs, and what is tested with several streams of a context. */
const ELSEWHERE = new Set([
  'print',
  'foreachBatch',
  'foreachPartition',
  'to', // Spark has no sinks
  'unionAll',
  'transformAll',
]);

function run({ inputs, build }: SparkCase, partitions: number): Promise<unknown[][]> {
  const [left = [], right] = inputs;
  const any = build as BuildCase & ((...streams: DStream<unknown>[]) => DStream<unknown>);
  if (right === undefined) return testStream(left, any, { partitions });
  return testStream2(left, right, any, { partitions });
}

describe.each([
  ['WindowOperationsSuite', WINDOW_OPERATIONS],
  ['state', STATE_OPERATIONS],
])('%s', (_suite, twins) => {
  it.each(twins.map((each) => [each.name, each] as const))('%s', async (_, twin) => {
    for (const partitions of [1, 2, 5]) {
      expectBatches(await run(twin, partitions), twin.expected);
    }
  });
});

describe('BasicOperationsSuite', () => {
  it.each(BASIC_OPERATIONS.map((each) => [each.name, each] as const))('%s', async (_, twin) => {
    for (const partitions of [1, 2, 5]) {
      expectBatches(await run(twin, partitions), twin.expected);
    }
  });

  it('repartition: 2 to 5, 5 to 2, with the same records', async () => {
    const input = [1, 101, 201].map((from) => Array.from({ length: 100 }, (_, n) => from + n));
    for (const [inputPartitions, partitions] of [
      [2, 5],
      [5, 2],
    ] as const) {
      const build = (s: DStream<number>): DStream<number[]> => s.repartition(partitions).glom();
      const parts = await testStream(input, build, { inputPartitions });
      expect(parts.map(({ length }) => length)).toEqual([partitions, partitions, partitions]);
      expectBatches(
        parts.map((batch) => batch.flat()),
        input,
      );
      const lengths = parts.flat().map(({ length }) => length);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(inputPartitions);
    }
  });

  it('StreamingContext.union', async () => {
    const pipeline = definePipeline({ name: 'union' }, (ssc) => {
      const s = ssc.httpTextStream({ port: 1 }).map(Number);
      const all = [s, s.map((n) => n + 4), s.map((n) => n + 8)];
      ssc.union(all).print(100, { id: 'out' });
    });
    const input = [1, 101, 201].map((from) => [0, 1, 2, 3].map((n) => `${from + n}`));
    const result = await runPipeline(pipeline, { inputs: { 'httpTextStream-0': input } });
    const expected = [1, 101, 201].map((from) => Array.from({ length: 12 }, (_, n) => from + n));
    expectBatches(result.batchesOf('out'), expected, { ordered: true });
  });
});

describe('the twins', () => {
  it('use every operator', () => {
    const texts = TWINS.map(({ build }) => String(build)).join('\n');
    const operators = Object.getOwnPropertyNames(DStream.prototype).filter(
      (name) => !/^(constructor|saveAs\w+)$/.test(name) && !ELSEWHERE.has(name),
    );
    const unused = operators.filter((name) => !texts.includes(`.${name}(`));
    expect(unused).toEqual([]);
  });

  it('have names of their own', () => {
    const names = TWINS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
