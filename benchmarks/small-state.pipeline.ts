/** Counts by the first word over the whole run, in keyed state. Prints the sum of all counts that
 * records of a batch have brought it to: any record that is lost or counts twice shows. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, firstWord } from './generator-work.ts';

export default definePipeline({ name: 'small-state' }, (ssc) => {
  ssc
    .generatorStream({ recordBytes: RECORD_BYTES })
    .mapToPair((line) => [firstWord(line), 1])
    .mapWithState<string, number, number, number>((_word, one, state) => {
      const count = (state.exists() ? state.get() : 0) + (one ?? 0);
      state.update(count);
      return count;
    })
    .reduce((a, b) => a + b)
    .print();
});
