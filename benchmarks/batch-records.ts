/** Which records went through an engine, by batch and by input: what its output is held against.
 * @module */
import type { EngineProcess } from './engine-process.ts';

/** One completed batch. */
export interface BatchRecords {
  readonly batchTimeMs: number;
  /** Records of each input, in the order of the pipeline. */
  readonly inputs: readonly number[];
}

/** All completed batches, in their order. */
export function batchesOf({ lines }: EngineProcess): BatchRecords[] {
  const inputs = new Map<unknown, number[]>();
  for (const line of lines) {
    if (line.event !== 'batch-submitted') continue;
    const received = line['inputs'] as readonly { readonly recordCount: number }[];
    const counts = received.map(({ recordCount }) => recordCount);
    inputs.set(line['batchTimeMs'], counts);
  }
  return lines
    .filter(({ event }) => event === 'batch-completed')
    .map(({ batchTimeMs }) => ({
      batchTimeMs: Number(batchTimeMs),
      inputs: inputs.get(batchTimeMs) ?? [],
    }));
}

/** Records of each input in all completed batches. */
export function inputCounts(engine: EngineProcess): number[] {
  const counts: number[] = [];
  for (const { inputs } of batchesOf(engine)) {
    for (const [index, count] of inputs.entries()) counts[index] = (counts[index] ?? 0) + count;
  }
  return counts;
}
