/** An input that never has anything: every batch is empty, and runs its job all the same.
 * @module */
import { definePipeline } from 'millrace';
import { Silence } from './silence.ts';

export default definePipeline({ name: 'silent' }, (ssc) => {
  ssc
    .receiverStream(() => new Silence())
    .count()
    .print();
});
