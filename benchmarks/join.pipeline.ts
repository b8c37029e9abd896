/** Two inputs, each counted by its lines' first word, and joined by that. Prints how many words
 * both have in a batch, and a sum that depends on how often each has them. @module */
import { definePipeline } from 'millrace';
import { JOIN_SEEDS, RECORD_BYTES, firstWord, wordWeight } from './generator-work.ts';

export default definePipeline({ name: 'join' }, (ssc) => {
  const [left, right] = JOIN_SEEDS.map((seed) =>
    ssc
      .generatorStream({ recordBytes: RECORD_BYTES, seed })
      .mapToPair((line) => [firstWord(line), 1] as const)
      .reduceByKey((a: number, b: number) => a + b),
  );
  if (left === undefined || right === undefined) throw new Error('a join has two inputs');
  left.join(right).foreachBatch(async (batch) => {
    let [words, weighted] = [0, 0];
    for (const [word, [inLeft, inRight]] of await batch.collect()) {
      words += 1;
      weighted += inLeft * wordWeight(word) + inRight;
    }
    console.log(`sums ${words} ${weighted}`);
  });
});
