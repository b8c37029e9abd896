/** What output operations hand to the user's functions.
 * @module */
import type { BatchTimeMs } from '../core/ids.ts';

/** The records of one batch of a stream, on the driver. Nothing is computed before it is asked for;
 * each call runs the batch's tasks again. Good until the function given to `foreachBatch` ends. */
export interface Batch<T> {
  /** All records, in partition order. They must fit into the driver's memory. */
  collect(): Promise<T[]>;
  /** How many there are; no record leaves its executor. */
  count(): Promise<number>;
  /** The first `n` records in partition order, or all when there are fewer. */
  take(n: number): Promise<T[]>;
}

/** One batch of a stream that has run, as `slice` of a context gives it. */
export interface SlicedBatch<T = unknown> {
  /** End of the batch's interval. */
  readonly batchTime: BatchTimeMs;
  /** In partition order, the same as when the batch ran. */
  readonly records: readonly T[];
}

export interface BatchInfo {
  /** End of the batch's interval. A replayed batch has the same. */
  readonly batchTime: BatchTimeMs;
}

export interface PartitionInfo extends BatchInfo {
  /** From 0. A replayed batch has the same partitions with the same records. */
  readonly partition: number;
}
