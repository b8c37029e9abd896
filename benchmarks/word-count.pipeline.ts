/** Word count at full speed. Prints two sums per batch that no wrong count leaves as they are.
 * @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, wordWeight } from './generator-work.ts';

export default definePipeline({ name: 'word-count' }, (ssc) => {
  ssc
    .generatorStream({ recordBytes: RECORD_BYTES })
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
