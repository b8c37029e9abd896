/** Counts of keys over a window, with an inverse function or without one: pairs that are made in
 * the tasks, as many in each batch and of the same keys. Prints how many the window holds.
 * @module */
import { definePipeline } from 'millrace';

interface Range {
  readonly from: number;
  readonly to: number;
}

const plus = (a: number, b: number): number => a + b;
const minus = (a: number, b: number): number => a - b;

export default definePipeline({ name: 'inverse-window', batchInterval: '100ms' }, (ssc) => {
  const setting = (name: string): number => Number(process.env[`BENCH_${name}`]);
  const [keys, records, batches] = [setting('KEYS'), setting('RECORDS'), setting('BATCHES')];
  const middle = Math.floor(records / 2);
  const each: Range[] = [
    { from: 0, to: middle },
    { from: middle, to: records },
  ];
  const pairs = ssc
    .queueStream(Array.from({ length: batches }, () => each))
    .flatMap(function* ({ from, to }): Generator<readonly [string, number]> {
      for (let n = from; n < to; n += 1) yield [`user-${n % keys}`, 1];
    })
    .mapToPair((pair) => pair);
  const window = setting('WINDOW_MS');
  const counts =
    process.env['BENCH_FORM'] === 'inverse'
      ? pairs.reduceByKeyAndWindow(plus, minus, window)
      : pairs.reduceByKeyAndWindow(plus, window);
  counts
    .map(([, n]) => n)
    .reduce(plus)
    .print();
});
