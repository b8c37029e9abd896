/** What a task needs from the thread that runs it: memory, files and the graph, as an interface, so
 * that tasks run the same in a pool, inline in a test, and in a simulation.
 * @module */
import type { BlockRecords } from '../blocks/block-records.ts';
import type { BlockRef, SharedBytes } from '../blocks/block-ref.ts';
import type { Graph } from '../dstream/graph.ts';
import type { Sink } from '../dstream/sink.ts';
import type { FileShare, TaskValue } from '../dstream/task-spec.ts';
import type { Codec } from '../serde/codec.ts';

export interface TaskEnvironment {
  /** This thread's own copy. */
  readonly graph: Graph;
  readonly codec: Codec;
  /** @param next is read after it, and may be fetched meanwhile. */
  readBlock(ref: BlockRef, next?: BlockRef): Promise<BlockRecords>;
  /** The lines of a file, some at a time, exactly up to the size in the share. */
  readFile(share: FileShare): AsyncIterable<readonly string[]> | Iterable<readonly string[]>;
  /** The bytes of a shuffle piece; they stay as they are until the task ends. */
  readShared(bytes: SharedBytes): Uint8Array;
  /** Copies bytes to where other threads can read them. Whoever runs the task owns them. */
  writeShared(bytes: Uint8Array): SharedBytes;
  sinkFor(outputId: string): Sink<unknown>;
}

export interface TaskOutcome {
  readonly value: TaskValue;
  /** Records that the task read from its leaf: of a shuffle, the records in its pieces. A task that
   * needs only the first records stops reading there. */
  readonly inputRecordCount: number;
}

/** Takes one record. Records are pushed from the leaf through all operators to the stage's end. */
export type Push = (record: unknown) => void;

/** Where the records of a task go. */
export interface StageEnd {
  readonly push: Push;
  /** Takes `n` records unseen; present only where their number is all that matters. */
  pushCount?(n: number): void;
  /** Called once, after the last record. */
  finish(): TaskValue | Promise<TaskValue>;
  /** Called instead of `finish` when the task failed. */
  abort?(): Promise<void>;
}
