/** Word count of lines that are made in the tasks, so that nothing but tasks needs a core: there is
 * no receiver. Each half of a batch is a partition, or both are one where there is one executor.
 * @module */
import { definePipeline } from 'millrace';
import { LINE_COUNT, lineAt, makeLines } from '../src/sources/generator-lines.ts';
import { RECORD_BYTES } from './generator-work.ts';
import { printWordSums } from './word-sums.ts';

export default definePipeline({ name: 'executors', batchInterval: '50ms' }, (ssc) => {
  const setting = (name: string): number => Number(process.env[`BENCH_${name}`]);
  const [lineCount, batches] = [setting('LINES'), setting('BATCHES')];
  const lines = makeLines(1, RECORD_BYTES);
  const halves = [lineCount / 2, lineCount / 2];
  const made = ssc
    .queueStream(Array.from({ length: batches }, () => halves))
    .flatMap(function* (half): Generator<string> {
      for (let n = 0; n < half; n += 1) yield lineAt(lines, n % LINE_COUNT);
    });
  printWordSums(made);
});
