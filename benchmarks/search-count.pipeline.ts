/** Looks for a word in each line and counts: beside filter-count, what the user's own code costs.
 * @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, hasWord } from './generator-work.ts';

export default definePipeline({ name: 'search-count' }, (ssc) => {
  ssc.generatorStream({ recordBytes: RECORD_BYTES }).filter(hasWord).count().print();
});
