/** Counts by the first word over the last second, without an inverse function. Prints how many
 * records each window holds, and a sum that depends on which. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, firstWord } from './generator-work.ts';
import { printSums } from './word-sums.ts';

export default definePipeline({ name: 'window' }, (ssc) => {
  const plus = (a: number, b: number): number => a + b;
  ssc
    .generatorStream({ recordBytes: RECORD_BYTES })
    .mapToPair((line) => [firstWord(line), 1])
    .reduceByKeyAndWindow(plus, '1s')
    .foreachBatch((counts) => printSums('sums', counts));
});
