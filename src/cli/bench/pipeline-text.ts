/** The pipeline that is measured, as a module of its own: it lies in the run's directory, so that
 * what is made of it (its bundle) is gone with it. Pure. @module */

export interface PipelineTextInput {
  /** `file:` address of load-receiver.js. */
  readonly receiverUrl: string;
  readonly receivers: number;
  readonly recordBytes: number;
}

/** A made-up input, filter and count, and an output that keeps nothing. Blocks stay in memory: an
 * input that is faster than its tasks is held back instead of filling the disk. It imports by a
 * variable, so that no module of millrace becomes part of its bundle. */
export function pipelineText({ receiverUrl, receivers, recordBytes }: PipelineTextInput): string {
  return `import { definePipeline } from 'millrace';

const receiverUrl = ${JSON.stringify(receiverUrl)};
const { isSelected, loadReceiver, tellCount } = await import(receiverUrl);
const options = { receivers: ${receivers}, storageLevel: 'memory' };

export default definePipeline({ name: 'bench' }, (ssc) => {
  ssc
    .receiverStream(() => loadReceiver(${recordBytes}), options)
    .filter(isSelected)
    .count()
    .foreachBatch(async (batch) => tellCount(await batch.collect()));
});
`;
}
