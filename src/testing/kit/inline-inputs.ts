/** The inputs of a run in memory: records by input and batch become blocks, dealt to partitions.
 *
 * The records of a batch are cut into `inputPartitions` contiguous slices of about equal length, as
 * Spark's `parallelize` does. Each slice is a partition, also when it is empty, and so are those of
 * batches for which there are no records.
 * @module */
import type { StreamId } from '../../core/ids.ts';
import type { Leaf } from '../../dstream/task-spec.ts';
import { BlockPacking } from './block-packing.ts';
import type { InlineMemory } from './inline-memory.ts';

/** Records of one input, one array for each batch. */
export type BatchRecords = readonly (readonly unknown[])[];

export interface PackedInput {
  /** The leaves of a batch. @param batchIndex from 0. */
  leavesOf(batchIndex: number): readonly Leaf[];
}

/** Packs all records of an input at once.
 * @param call how messages name the call.
 * @throws {MillraceError} RECORD_UNSUPPORTED, RECORD_TOO_LARGE: names batch and record. */
export function packInput(
  streamId: StreamId,
  batches: BatchRecords,
  into: { readonly memory: InlineMemory; readonly partitions: number; readonly call: string },
): PackedInput {
  const { memory, partitions, call } = into;
  const packing = new BlockPacking(streamId);
  try {
    const packed = batches.map((records, batchIndex) =>
      Array.from({ length: partitions }, (_, slice): Leaf => {
        const start = Math.floor((slice * records.length) / partitions);
        const end = Math.floor(((slice + 1) * records.length) / partitions);
        const placeOf = (index: number): string =>
          `${call}: record ${start + index} of batch ${batchIndex} of ${streamId}`;
        const blocks = packing.pack(records.slice(start, end), placeOf);
        const refs = blocks.map((block) => memory.addBlock(streamId, block));
        return { kind: 'blocks', streamId, blocks: refs };
      }),
    );
    const empty = Array.from({ length: partitions }, (): Leaf => {
      return { kind: 'blocks', streamId, blocks: [] };
    });
    return { leavesOf: (batchIndex) => packed[batchIndex] ?? empty };
  } finally {
    packing.close();
  }
}
