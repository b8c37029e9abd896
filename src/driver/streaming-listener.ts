/** What a `StreamingListener` is told: the life of a run as plain values. Mirrors Spark's interface
 * of the same name. Times are milliseconds since 1970 by the wall clock.
 * @module */
import type { ReceivedInput } from '../core/events.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';

/** One output operation of one batch. */
export interface OutputOperationInfo {
  readonly batchTimeMs: BatchTimeMs;
  /** From 0, in the order in which the pipeline declares its outputs. */
  readonly id: number;
  /** Its operator id. */
  readonly name: string;
  /** As the pipeline calls it: `saveAsTextFiles(out/counts)`. */
  readonly description: string;
  readonly startTimeMs: number;
  /** Absent while it runs. */
  readonly endTimeMs?: number;
  /** Absent when it has succeeded. Else the run ends; its batch runs again at the next start. */
  readonly failureReason?: string;
}

/** One batch, as far as it has come. */
export interface StreamingBatchInfo {
  readonly batchTimeMs: BatchTimeMs;
  /** What each input has contributed, in the order of the pipeline. */
  readonly inputs: readonly ReceivedInput[];
  /** Sum over `inputs`. */
  readonly recordCount: number;
  readonly submissionTimeMs: number;
  /** The following are absent until the batch has started. */
  readonly processingStartTimeMs?: number;
  /** From the batch time to the start of its processing. */
  readonly schedulingDelayMs?: number;
  /** The following are absent until it is completed. */
  readonly processingEndTimeMs?: number;
  readonly processingDelayMs?: number;
  /** From the batch time to the end of its processing. */
  readonly totalDelayMs?: number;
  /** Those that have started, in order. What an earlier life had finished does not run again. */
  readonly outputOperations: readonly OutputOperationInfo[];
}

export interface ReceiverInfo {
  readonly streamId: StreamId;
  /** Among the receivers of its input, from 0. */
  readonly receiverIndex: number;
  /** `<stream>/<index>`. */
  readonly name: string;
  readonly active: boolean;
  /** The thread that it runs in, or ran in last. */
  readonly executor?: string;
  /** Where it can be reached, if it listens. */
  readonly address?: string;
  /** The last error, or reason of a restart. */
  readonly lastErrorMessage?: string;
  /** With the error's own message, where there was an error. */
  readonly lastError?: string;
  readonly lastErrorTimeMs?: number;
}

/** An object that hears what happens in a run. Every method is optional. They are called on the
 * driver, one after the other, in the order of events, and none is left out; the engine goes on
 * when a method returns and does not wait for a promise. So do little in them, and gather what
 * takes long to send. One that throws, or whose promise rejects, is told in a warning once, and
 * goes on to be called. `stop()` may be called in them.
 *
 * Of a batch: submitted, started, its output operations in order, completed; each once. */
export interface StreamingListener {
  /** Receivers take records. */
  onStreamingStarted?(started: { readonly timeMs: number }): void;
  onReceiverStarted?(receiver: ReceiverInfo): void;
  onReceiverError?(receiver: ReceiverInfo): void;
  /** It runs no more: its source has ended, it starts again in a while, or the run stops. */
  onReceiverStopped?(receiver: ReceiverInfo): void;
  onBatchSubmitted?(batch: StreamingBatchInfo): void;
  onBatchStarted?(batch: StreamingBatchInfo): void;
  onBatchCompleted?(batch: StreamingBatchInfo): void;
  onOutputOperationStarted?(output: OutputOperationInfo): void;
  onOutputOperationCompleted?(output: OutputOperationInfo): void;
}
