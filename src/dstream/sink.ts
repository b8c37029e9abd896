/** The contract of a sink that commits a whole batch at once, so that a replayed batch leaves one
 * copy.
 *
 * Order: `prepare` on the driver → `openPartition` … `close` on executors, any number of attempts →
 * `commit` on the driver with the tokens of the winning attempts. A crash may fall between any two
 * steps; the batch then runs again with the same partitions. The key is (logId, outputId, batch
 * time).
 * @module */
import type { BatchTimeMs } from '../core/ids.ts';

export interface SinkBatch {
  /** Identity of the checkpoint directory that the batch belongs to. */
  readonly logId: string;
  /** Operator id of the output. */
  readonly outputId: string;
  readonly batchTimeMs: BatchTimeMs;
}

/** Writes one attempt of one partition. */
export interface PartitionWriter<T> {
  write(record: T): void;
  /** @returns a structured-cloneable token that `commit` understands; content is durable by
   * then. */
  close(): Promise<unknown>;
  /** Gives up this attempt and removes what it left. */
  abort(): Promise<void>;
}

/** `exactly-once`: replays leave one copy of a batch, by the contract of `Sink`. `at-least-once`: a
 * replay may add to what is there. */
export type SinkGuarantee = 'exactly-once' | 'at-least-once';

export interface Sink<T> {
  readonly guarantee: SinkGuarantee;
  /** Why, in words, for `millrace explain`. */
  readonly reason?: string;
  /** Driver. `already-committed`: this batch is whole in the sink, no task is run.
   * @throws {MillraceError} SINK_CONFLICT when what is there belongs to another log. */
  prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'>;
  /** Executor. Attempts of one partition may run one after the other, never mix up their
   * content. */
  openPartition(batch: SinkBatch, partition: number, attempt: number): Promise<PartitionWriter<T>>;
  /** Driver. @param tokens of the winning attempts, in partition order. Durable when it
   * resolves. */
  commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void>;
}
