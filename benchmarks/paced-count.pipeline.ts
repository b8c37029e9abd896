/** Filter + count at a rate that is far from any limit. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, isSelected } from './generator-work.ts';

export default definePipeline({ name: 'paced-count' }, (ssc) => {
  const recordsPerSecond = Number(process.env['BENCH_RATE']);
  ssc
    .generatorStream({ recordBytes: RECORD_BYTES, recordsPerSecond })
    .filter(isSelected)
    .count()
    .print();
});
