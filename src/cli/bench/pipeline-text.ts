/** The pipeline that is measured, as a module of its own: it lies in the run's directory, so that
 * what is made of it (its bundle) is gone with it. Pure. @module */

export interface PipelineTextInput {
  /** Path of load-receiver.js. */
  readonly receiverModule: string;
  readonly receivers: number;
  readonly recordBytes: number;
}

/** A made-up input, filter and count, and an output that keeps nothing. Blocks stay in memory: an
 * input that is faster than its tasks is held back instead of filling the disk. */
export function pipelineText({
  receiverModule,
  receivers,
  recordBytes,
}: PipelineTextInput): string {
  return `import { Receiver, definePipeline } from 'millrace';
import { isSelected, loadReceiver, tellCount } from ${JSON.stringify(receiverModule)};

const options = { receivers: ${receivers}, storageLevel: 'memory' };

export default definePipeline({ name: 'bench' }, (ssc) => {
  ssc
    .receiverStream(() => loadReceiver(Receiver, ${recordBytes}), options)
    .filter(isSelected)
    .count()
    .foreachBatch(async (batch) => tellCount(await batch.collect()));
});
`;
}
