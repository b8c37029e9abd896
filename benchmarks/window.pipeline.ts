/** Counts by the first word over the last second, without an inverse function. Prints how many
 * records each window holds, and a sum that depends on which. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, firstWord, wordWeight } from './generator-work.ts';

export default definePipeline({ name: 'window' }, (ssc) => {
  const plus = (a: number, b: number): number => a + b;
  ssc
    .generatorStream({ recordBytes: RECORD_BYTES })
    .mapToPair((line) => [firstWord(line), 1])
    .reduceByKeyAndWindow(plus, '1s')
    .foreachBatch(async (batch) => {
      let [records, weighted] = [0, 0];
      for (const [word, count] of await batch.collect()) {
        records += count;
        weighted += count * wordWeight(word);
      }
      console.log(`sums ${records} ${weighted}`);
    });
});
