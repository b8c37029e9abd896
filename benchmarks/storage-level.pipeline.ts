/** Filter + count of a given number of records, as fast as they come. @module */
import { definePipeline } from 'millrace';
import { RECORD_BYTES, isSelected } from './generator-work.ts';

export default definePipeline({ name: 'storage-level' }, (ssc) => {
  const total = Number(process.env['BENCH_TOTAL']);
  const lines = ssc.generatorStream({ recordBytes: RECORD_BYTES, total });
  lines.filter(isSelected).count().print();
});
