/** Pipelines over queues whose results are known in two ways: as the test kit computes them and
 * as an engine with threads does. Each function is run by the first and written into a module for
 * the second, so it names nothing outside itself. @module */
import type { DStream } from '../../src/dstream/dstream.ts';
import type { PipelineContext } from '../../src/dstream/pipeline-context.ts';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import { runPipeline } from '../../src/testing/kit/run-pipeline.ts';

/** Adds an output with this name. */
export type Keep = (name: string, stream: DStream<unknown>) => void;
export type OperatorCase = (ssc: PipelineContext, keep: Keep) => void;

/** Tasks of a batch: as many as the engine of the comparison has executors. */
export const EXECUTORS = 2;

/** What each output has in each batch, by name. @param batches how many batches to run. */
export async function inlineResults(
  build: OperatorCase,
  batches: number,
): Promise<Map<string, unknown[][]>> {
  const pipeline = definePipeline({ name: 'test' }, (ssc) => {
    build(ssc, (id, stream) => stream.foreachBatch(() => undefined, { id }));
  });
  const run = await runPipeline(pipeline, { batches, partitions: EXECUTORS });
  return new Map(run.outputIds.map((id) => [id, run.batchesOf(id)]));
}

export const OPERATOR_CASES: Readonly<Record<string, OperatorCase>> = {
  'per record': (ssc, keep) => {
    const lines = ssc.queueStream([['a b', '', 'c', 'd e f', 'g'], [], ['h']]);
    keep('source', lines);
    keep(
      'map',
      lines.map((line) => line.length),
    );
    keep(
      'flatMap',
      lines.flatMap((line) => line.split(' ')),
    );
    keep(
      'filter',
      lines.filter((line) => line.includes(' ')),
    );
    keep(
      'mapToPair',
      lines.mapToPair((line) => [line, line.length]),
    );
    keep(
      'keyBy',
      lines.keyBy((line) => line.length % 2),
    );
    keep('glom', lines.glom());
    keep(
      'mapPartitions',
      lines.mapPartitions((part) => [[...part].join('|')]),
    );
    keep(
      'generator',
      lines.flatMap(function* (line) {
        yield* line;
      }),
    );
    keep(
      'chain',
      lines
        .flatMap((line) => line.split(' '))
        .filter((w) => w !== '')
        .map((w) => w + w),
    );
  },

  'per stream': (ssc, keep) => {
    const left = ssc.queueStream([[5, 3, 3, 8, 1], [], [7, 7]], { id: 'left' });
    const right = ssc.queueStream([[10, 20, 30]], { id: 'right' });
    keep('count', left.count());
    keep(
      'reduce',
      left.reduce((a, b) => a + b),
    );
    keep('countByValue', left.countByValue());
    keep('union', left.union(right));
    keep('union-of-itself', left.union(left).union(right));
    keep('union-of-three', ssc.union([right, left.map((n) => -n), right]));
    keep('counted-union', left.union(right).count());
    keep('repartition', left.repartition(3).glom());
    keep('persist', left.union(right).persist().glom());
    keep(
      'transform',
      left.transform((numbers) => numbers.map((n) => n * 2).union(numbers)),
    );
    keep(
      'transformWith',
      left.transformWith(right, (l, r) => l.union(r).count()),
    );
    keep(
      'transform-of-several',
      ssc.transform([left, right], ([l, r]) => l.union(r).filter((n) => n > 3)),
    );
    keep('one-partition', left.union(right).repartition(1).glom());
    keep(
      'count-of-filter',
      left
        .filter((n) => n > 3)
        .count()
        .map((n) => n * 100),
    );
  },

  pairs: (ssc, keep) => {
    const ages = ssc.queueStream<string, number>([
      [
        ['ann', 1],
        ['bob', 2],
        ['ann', 3],
        ['cid', 4],
        ['bob', 5],
        ['ann', 6],
      ],
      [],
      [['ann', 7]],
    ]);
    const towns = ssc.queueStream<string, string>([
      [
        ['bob', 'x'],
        ['ann', 'y'],
        ['bob', 'z'],
        ['dan', 'w'],
      ],
    ]);
    keep(
      'mapValues',
      ages.mapValues((n) => n * 2),
    );
    keep(
      'flatMapValues',
      ages.flatMapValues((n) => [n, -n]),
    );
    keep(
      'reduceByKey',
      ages.reduceByKey((a, b) => a + b),
    );
    keep('reduceByKey-5', ages.reduceByKey((a, b) => a * 10 + b, { partitions: 5 }).glom());
    keep('groupByKey', ages.groupByKey());
    keep(
      'combineByKey',
      ages.combineByKey(
        (n) => `${n}`,
        (text, n) => `${text},${n}`,
        (left, right) => `${left};${right}`,
      ),
    );
    keep(
      'aggregateByKey',
      ages.aggregateByKey(
        { sum: 0, count: 0 },
        (all, n) => Object.assign(all, { sum: all.sum + n, count: all.count + 1 }),
        (a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }),
      ),
    );
    keep('cogroup', ages.cogroup(towns));
    keep('join', ages.join(towns));
    keep('leftOuterJoin', ages.leftOuterJoin(towns));
    keep('rightOuterJoin', ages.rightOuterJoin(towns));
    keep('fullOuterJoin', ages.fullOuterJoin(towns));
    keep('join-with-itself', ages.join(ages));
  },

  'shared shuffles': (ssc, keep) => {
    const words = ssc.queueStream([['a', 'b', 'a', 'c'], ['b', 'b'], []]);
    const counts = words.countByValue();
    keep('counts', counts);
    keep(
      'large',
      counts.filter(([, n]) => n > 1),
    );
    keep('how-many', counts.count());
    keep('both', counts.join(counts.mapValues((n) => -n)));
    keep(
      'twice',
      counts.union(counts).reduceByKey((a, b) => a + b),
    );
    const sums = counts.mapToPair(([word, n]) => [n, word]).groupByKey();
    keep('by-count', sums);
    keep(
      'deep',
      sums
        .mapValues((list) => list.length)
        .reduceByKey((a, b) => a + b)
        .count(),
    );
  },

  'all kinds of values': (ssc, keep) => {
    const values = ssc.queueStream<unknown>([
      [
        1,
        -0,
        1.5,
        NaN,
        12n,
        2n ** 80n,
        'ü→😀',
        '',
        true,
        null,
        undefined,
        [1, [2, ['x']]],
        { a: 1, b: { c: [null] } },
        new Map([['k', { v: 1 }]]),
        new Set([1, 'a']),
        new Date(1_700_000_000_000),
        new Uint8Array([1, 2, 255]),
        'line\nbreak',
        '\u0000',
        [],
        {},
      ],
    ]);
    keep('values', values);
    keep('through-a-shuffle', values.repartition(2));
    keep('grouped', values.mapToPair((value) => [typeof value, value]).groupByKey());
    keep(
      'as-keys',
      values.mapToPair((value) => [value, 1]).reduceByKey((a, b) => a + b),
    );
    keep('counted', values.union(values).countByValue());
  },
};
