/** What `millrace/testing` lets compile, and what it does not. Checked by `npm run typecheck`, never
 * run.
 * @module */
import { definePipeline } from 'millrace';
import { crashTest, testStream, testStream2 } from 'millrace/testing';
import type { CrashReport } from 'millrace/testing';

export async function streams(): Promise<void> {
  const counts: [string, number][][] = await testStream([['a'], []], (s) => s.countByValue());
  const sums: [string, number][][] = await testStream([[['a', 1]], []], (s) =>
    s.reduceByKey((a, b) => a + b),
  );
  const mixed: (string | number)[][] = await testStream([['a', 1]], (s) => s);
  void [counts, sums, mixed];

  // @ts-expect-error strings are no pairs
  void testStream([['a']], (s) => s.groupByKey());
  // @ts-expect-error a stream has to be returned
  void testStream([['a']], (s) => s.print());
  // @ts-expect-error one array for each batch
  void testStream(['a', 1], (s) => s);
  // @ts-expect-error there is no such option
  void testStream([['a']], (s) => s, { slices: 2 });
  // @ts-expect-error the result has another type
  const wrong: string[][] = await testStream([['a']], (s) => s.count());
  void wrong;
}

export async function twoStreams(): Promise<void> {
  const joined: [string, [number, boolean | undefined]][][] = await testStream2(
    [[['a', 1]]],
    [[['a', true]], []],
    (left, right) => left.leftOuterJoin(right),
    { partitions: 3, batchInterval: '500ms', batches: 4, inputPartitions: 1 },
  );
  const keyed: [string, [number, string]][][] = await testStream2(
    [[['a', 1]]],
    [['a']],
    (left, right) => left.join(right.keyBy((word) => word)),
  );
  const turned: [string, [string, number]][][] = await testStream2(
    [['a']],
    [[['a', 1]]],
    (left, right) => left.keyBy((word) => word).join(right),
  );
  const both: number[][] = await testStream2([[1]], [[2]], (left, right) => left.union(right));
  void [joined, keyed, turned, both];

  // @ts-expect-error numbers are no pairs
  void testStream2([[1]], [[2]], (left, right) => left.join(right));
  // @ts-expect-error the streams are of different types
  void testStream2([[1]], [['a']], (left, right) => left.union(right));
}

export async function crashes(): Promise<void> {
  const pipeline = definePipeline({ name: 'words' }, (ssc) => {
    ssc.queueStream([['a']]).print();
  });
  const report: CrashReport = await crashTest(pipeline, { seeds: 5, executors: [1, 2] });
  const kills: number | undefined = report.faults.kill;
  void kills;
  void crashTest((life) => (life > 1 ? pipeline : { default: pipeline }));
  void crashTest(pipeline, { input: { a: [['b'], []] }, seeds: [1, 2], faults: ['kill'] });

  // @ts-expect-error there is no such fault
  void crashTest(pipeline, { faults: ['flood'] });
  // @ts-expect-error one array for each batch
  void crashTest(pipeline, { input: { a: ['b'] } });
  // @ts-expect-error a seed is a number
  void crashTest(pipeline, { seeds: '1' });
}
