/** Word count at full speed. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES } from './generator-work.ts';
import { printWordSums } from './word-sums.ts';

export default definePipeline({ name: 'word-count' }, (ssc) => {
  printWordSums(ssc.generatorStream({ recordBytes: RECORD_BYTES }));
});
