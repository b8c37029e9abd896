/** An input that never has anything: every batch is empty, and runs its job all the same.
 * @module */
import { Receiver, definePipeline } from 'millrace';

class Silence extends Receiver<string> {
  onStart(): void {}
  onStop(): void {}
}

export default definePipeline({ name: 'silent' }, (ssc) => {
  ssc
    .receiverStream(() => new Silence())
    .count()
    .print();
});
