/** Filter + count of which the filter drops nothing. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, isText } from './generator-work.ts';

export default definePipeline({ name: 'count' }, (ssc) => {
  ssc.generatorStream({ recordBytes: RECORD_BYTES }).filter(isText).count().print();
});
