/** Filter + count of a given number of records. Before the crash the first batch is held for ever,
 * so that everything stored after it is still to be done. An input that never has anything keeps
 * the engine running when all is done: there has to be a new batch. @module */
import { definePipeline } from 'millrace';
import { isSelected } from './generator-work.ts';
import { Silence } from './silence.ts';

export default definePipeline({ name: 'recovery' }, (ssc) => {
  const setting = (name: string): number => Number(process.env[`BENCH_${name}`]);
  const isHeld = process.env['BENCH_HOLD'] === 'yes';
  ssc
    .generatorStream({ recordBytes: setting('RECORD_BYTES'), total: setting('TOTAL') })
    .filter(isSelected)
    .count()
    .foreachBatch(async (batch) => {
      if (isHeld) await new Promise(() => {});
      const [count = 0] = await batch.collect();
      console.log(count);
    });
  ssc.receiverStream(() => new Silence()).foreachBatch(() => {});
});
