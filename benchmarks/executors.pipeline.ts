/** Word count of lines that are made in the tasks, so that nothing but tasks needs a core: there is
 * no receiver. Each half of a batch is a partition, or both are one where there is one executor.
 * @module */
import { definePipeline } from 'millrace';
import { LINE_COUNT, lineAt, makeLines } from '../src/sources/generator-lines.ts';
import { RECORD_BYTES, wordWeight } from './generator-work.ts';

export default definePipeline({ name: 'executors', batchInterval: '50ms' }, (ssc) => {
  const setting = (name: string): number => Number(process.env[`BENCH_${name}`]);
  const [lineCount, batches] = [setting('LINES'), setting('BATCHES')];
  const lines = makeLines(1, RECORD_BYTES);
  const halves = [lineCount / 2, lineCount / 2];
  ssc
    .queueStream(Array.from({ length: batches }, () => halves))
    .flatMap(function* (half): Generator<string> {
      for (let n = 0; n < half; n += 1) yield lineAt(lines, n % LINE_COUNT);
    })
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a: number, b: number) => a + b)
    .foreachBatch(async (batch) => {
      let words = 0;
      let weighted = 0;
      for (const [word, count] of await batch.collect()) {
        words += count;
        weighted += count * wordWeight(word);
      }
      console.log(`words ${words} ${weighted}`);
    });
});
