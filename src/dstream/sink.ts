/** The contract of a sink that commits a whole batch at once, so that a replayed batch leaves one
 * copy. How to write one, with an example: docs/sinks.md.
 *
 * Order: `open` on the driver, once a start → for each batch: `prepare` on the driver →
 * `openPartition` … `close` on executors, any number of attempts → `commit` on the driver with the
 * tokens of the winning attempts. A crash may fall between any two steps; the batch then runs again
 * with the same records in the same partitions. The key is (logId, outputId, batch time). Each
 * thread has an object of its own; only tokens cross. Nothing stays open between two calls, because
 * nobody would close it.
 * @module */
import type { BatchTimeMs } from '../core/ids.ts';

/** The `logId` of a pipeline without a checkpoint directory: nothing of an earlier run comes again,
 * and two runs may have a batch of the same time. */
export const NO_LOG_ID = 'no-checkpoint';

/** Whose output it is. */
export interface SinkOwner {
  /** Identity of the checkpoint directory; `no-checkpoint` without one. Output of another one is
   * never taken for ours. */
  readonly logId: string;
  /** Operator id of the output. */
  readonly outputId: string;
  /** Rises with every start on the checkpoint directory. What has seen a higher one refuses this
   * one: its process has been replaced, and does not know it yet. */
  readonly epoch: number;
}

export interface SinkBatch extends SinkOwner {
  readonly batchTimeMs: BatchTimeMs;
  /** No batch up to this time ever runs again: what was kept to recognise them may go. */
  readonly cleanedThroughMs: number;
}

/** Writes one attempt of one partition. */
export interface PartitionWriter<T> {
  /** @throws {MillraceError} RECORD_UNSUPPORTED for a record that the sink cannot keep. */
  readonly write: (record: T) => void;
  /** Nothing of it may be visible to readers of the sink yet.
   * @returns a structured-cloneable token that `commit` understands. */
  readonly close: () => Promise<unknown>;
  /** Gives up this attempt and removes what it left. */
  readonly abort: () => Promise<void>;
}

/** `exactly-once`: replays leave one copy of a batch, by the contract of `Sink`. `at-least-once`: a
 * replay may add to what is there. */
export type SinkGuarantee = 'exactly-once' | 'at-least-once';

export interface Sink<T> {
  /** What it writes to, for messages and plans: `SQLite out.db, table counts`. */
  readonly target: string;
  readonly guarantee: SinkGuarantee;
  /** Why, in words, for `millrace explain`. */
  readonly reason?: string;
  /** Driver, before anything is received: what makes it reject ends the start. */
  open?(owner: SinkOwner): Promise<void>;
  /** Driver. `already-committed`: this batch is whole and durable in the sink; no task is run.
   * @throws {MillraceError} SINK_CONFLICT when what is there belongs to another log, SINK_FENCED
   *   when it has seen a later epoch. */
  prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'>;
  /** Executor. Attempts of one partition may run one after the other, never mix up their
   * content. */
  openPartition(batch: SinkBatch, partition: number, attempt: number): Promise<PartitionWriter<T>>;
  /** Driver. Makes the batch visible in one step, with the note that it is there; durable when it
   * resolves. @param tokens of the winning attempts, in partition order. */
  commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void>;
}
