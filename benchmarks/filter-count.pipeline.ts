/** Filter + count at full speed. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, isSelected } from './generator-work.ts';

export default definePipeline({ name: 'filter-count' }, (ssc) => {
  ssc.generatorStream({ recordBytes: RECORD_BYTES }).filter(isSelected).count().print();
});
