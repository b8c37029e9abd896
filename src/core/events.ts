/** What happens in the engine, as typed events: logs, the status line and tests read these.
 *
 * Events tell, they never decide: a listener that throws is the listener's problem and is reported,
 * the engine goes on. Emitted on the driver, in order. @module */
import type { BatchTimeMs, StreamId } from './ids.ts';

/** One input's part of a batch. */
export interface ReceivedInput {
  readonly streamId: StreamId;
  /** Records that receivers took; those of files and queues are counted by nobody. */
  readonly recordCount: number;
  readonly blockCount: number;
  /** Of `textFileStream`. */
  readonly fileCount: number;
}

/** One output operation of one batch. */
interface OutputOperation {
  readonly batchTimeMs: BatchTimeMs;
  readonly outputId: string;
  /** From 0, in the order of the pipeline. */
  readonly outputIndex: number;
}

export type EngineEvent =
  | {
      readonly type: 'engine-started';
      readonly pipeline: string;
      readonly durability: string;
      readonly directory: string | null;
      readonly epoch: number;
      readonly startMs: number;
    }
  | {
      readonly type: 'engine-recovered';
      readonly blocks: number;
      readonly batches: number;
      readonly adopted: number;
      readonly dropped: number;
      readonly tornTails: readonly string[];
    }
  | { readonly type: 'engine-stopping'; readonly reason: string }
  | {
      readonly type: 'receiver-started';
      readonly streamId: StreamId;
      readonly receiverIndex: number;
      /** The thread it runs in, as `executor-died` names it. */
      readonly executor: string;
      /** Where it can be reached, if it listens. */
      readonly address?: string;
    }
  | { readonly type: 'receiver-ended'; readonly streamId: StreamId; readonly receiverIndex: number }
  | {
      /** It had started, and will not start again in this thread. */
      readonly type: 'receiver-stopped';
      readonly streamId: StreamId;
      readonly receiverIndex: number;
    }
  | {
      readonly type: 'receiver-error';
      readonly streamId: StreamId;
      readonly receiverIndex: number;
      readonly message: string;
      readonly error?: string;
    }
  | {
      readonly type: 'receiver-restarting';
      readonly streamId: StreamId;
      readonly receiverIndex: number;
      readonly reason: string;
      readonly delayMs: number;
    }
  | {
      readonly type: 'executor-died';
      readonly executor: string;
      /** `<stream>/<index>`: those that ran in it. */
      readonly receivers: readonly string[];
      readonly error: string;
    }
  | {
      readonly type: 'batch-submitted';
      readonly batchTimeMs: BatchTimeMs;
      readonly recordCount: number;
      readonly blockCount: number;
      /** What was received of each input, in the order of the pipeline. */
      readonly inputs: readonly ReceivedInput[];
    }
  | {
      /** Its first output operation is about to start. */
      readonly type: 'batch-started';
      readonly batchTimeMs: BatchTimeMs;
      readonly schedulingDelayMs: number;
    }
  | (OutputOperation & { readonly type: 'output-operation-started' })
  | (OutputOperation & {
      readonly type: 'output-operation-completed';
      readonly durationMs: number;
      /** Absent when it has succeeded. Else its batch runs again at the next start. */
      readonly failureReason?: string;
    })
  | {
      readonly type: 'batch-completed';
      readonly batchTimeMs: BatchTimeMs;
      readonly recordCount: number;
      /** From its batch time to the start of its first job. */
      readonly schedulingDelayMs: number;
      readonly processingMs: number;
    }
  | {
      readonly type: 'task-failed';
      readonly batchTimeMs: BatchTimeMs;
      readonly outputId: string;
      readonly attempt: number;
      readonly error: string;
    }
  | {
      /** Backpressure has a new rate for an input. */
      readonly type: 'rate-changed';
      readonly streamId: StreamId;
      /** Of all its receivers together. */
      readonly recordsPerSecond: number;
    }
  | { readonly type: 'checkpoint-written'; readonly seq: number; readonly bytes: number }
  | {
      /** The disk is full. Resumes by itself. */
      readonly type: 'sources-held';
      /** `<stream>/<index>`. */
      readonly receivers: readonly string[];
      /** Of the log that has no room for its next segment. */
      readonly directory: string;
      readonly wantedBytes: number;
      readonly missingBytes: number;
    }
  | {
      readonly type: 'sources-released';
      readonly receivers: readonly string[];
      readonly directory: string;
    }
  | {
      /** The disk is full. The older checkpoints stand, and nothing is cleaned meanwhile. */
      readonly type: 'checkpoint-postponed';
      readonly error: string;
      readonly retryMs: number;
    }
  | {
      /** A receiver log failed; its receivers go on in another directory. */
      readonly type: 'log-quarantined';
      readonly receivers: readonly string[];
      readonly error: string;
      /** The failed log, read until its blocks are done. */
      readonly from: string;
      readonly to: string;
    }
  | {
      readonly type: 'state-snapshot-written';
      /** The batch after which the state was so. */
      readonly batchTimeMs: number;
      readonly keyCount: number;
      readonly bytes: number;
    }
  | {
      /** Keyed state was read back; batches since then run again, for their state only. */
      readonly type: 'state-restored';
      /** `null`: there was no snapshot yet. */
      readonly batchTimeMs: number | null;
      readonly keyCount: number;
      readonly replayedBatches: number;
    }
  | { readonly type: 'checkpoint-skipped'; readonly path: string; readonly reason: string }
  /** A second copy of the checkpoint directory is being made from the other one. */
  | {
      readonly type: 'copy-restoring';
      readonly directory: string;
      readonly reason: string;
      readonly copiedBytes: number;
    }
  | {
      readonly type: 'copy-restored';
      readonly directory: string;
      /** Written or removed. */
      readonly fileCount: number;
      readonly copiedBytes: number;
    }
  | {
      readonly type: 'blocks-lost';
      readonly batchTimeMs: BatchTimeMs;
      readonly recordCount: number;
      /** Of them, those that a repair has taken out of the log. */
      readonly droppedCount: number;
    }
  | { readonly type: 'warning'; readonly message: string };

export type EngineListener = (event: EngineEvent) => void;

export class EventBus {
  readonly #listeners = new Set<EngineListener>();
  readonly #queue: EngineEvent[] = [];
  #state: 'quiet' | 'emitting' | 'closed' = 'quiet';

  /** @returns a function that removes the listener. */
  subscribe(listener: EngineListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls every listener now. One that throws is removed, and the others hear of it. What a
   * listener causes comes after what it heard: all listeners hear the same order. */
  emit(event: EngineEvent): void {
    if (this.#state === 'closed') return;
    this.#queue.push(event);
    if (this.#state === 'emitting') return;
    this.#state = 'emitting';
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#tell(next);
    }
    if (this.#isEmitting()) this.#state = 'quiet';
  }

  /** The run is over: nobody hears anything any more. */
  close(): void {
    this.#state = 'closed';
    this.#listeners.clear();
  }

  #tell(event: EngineEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#listeners.delete(listener);
        this.emit({
          type: 'warning',
          message: `a listener threw and was removed: ${String(error)}`,
        });
      }
    }
  }

  /** A listener may close the bus; a method keeps the compiler from knowing better. */
  #isEmitting(): boolean {
    return this.#state === 'emitting';
  }
}
