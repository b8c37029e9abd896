/** What one task is told, and what it answers: plain data that crosses to a task executor.
 *
 * A task computes one partition of one stage. Its input is one leaf; the operators of `via` are
 * applied to it in order, fused; then its action says where the records go. Functions never cross:
 * the executor finds them in its own copy of the graph, by operator id.
 * @module */
import type { BlockRef, SharedBytes } from '../blocks/block-ref.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { WireError } from '../serde/wire-error.ts';
import type { StateHandle } from '../state/state-reader.ts';
import type { SinkBatch } from './sink.ts';

/** A file that the allocation of a batch has fixed. */
export interface FileShare {
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly birthtimeMs: number;
  readonly inode: number;
}

/** Pieces of one shuffle for one reduce partition, in the order of the map partitions. */
export interface ShuffleInput {
  readonly shuffleId: string;
  readonly pieces: readonly SharedBytes[];
}

/** Where the records of a partition come from. */
export type Leaf =
  | { readonly kind: 'blocks'; readonly streamId: StreamId; readonly blocks: readonly BlockRef[] }
  | { readonly kind: 'files'; readonly streamId: StreamId; readonly files: readonly FileShare[] }
  // Batch `queueIndex` of a queueStream, the records whose index is ≡ slice modulo `slices`.
  | {
      readonly kind: 'queue';
      readonly streamId: StreamId;
      readonly queueIndex: number;
      readonly slice: number;
      readonly slices: number;
    }
  // Reads of the node `operatorId` (reduceByKey, join …): one input per parent shuffle.
  | {
      readonly kind: 'shuffle';
      readonly operatorId: string;
      readonly inputs: readonly ShuffleInput[];
    }
  // Partitions of what a window looks at, one after the other, as one partition of the window.
  | { readonly kind: 'parts'; readonly parts: readonly LeafPart[] }
  // What a task of a stateful operator has put out.
  | { readonly kind: 'state-output'; readonly operatorId: string; readonly piece: SharedBytes }
  // All pairs of one partition of keyed state.
  | { readonly kind: 'state'; readonly operatorId: string; readonly store: StateHandle };

/** A partition as it was before a window. */
export interface LeafPart {
  readonly leaf: Leaf;
  /** Ids of the narrow operators to apply, from the leaf to the window. */
  readonly via: readonly string[];
}

export type TaskAction =
  // Map side: one piece per reduce partition.
  | { readonly kind: 'shuffle-write'; readonly shuffleId: string; readonly partitions: number }
  // Result bytes: one msgpack array of at most `limit` records.
  | { readonly kind: 'collect'; readonly limit?: number }
  | { readonly kind: 'count' }
  | { readonly kind: 'sink'; readonly batch: SinkBatch }
  | { readonly kind: 'foreach-partition' }
  | StateUpdateAction;

/** Changes of one partition of keyed state. */
export interface StateUpdateAction {
  readonly kind: 'state-update';
  readonly operatorId: string;
  /** As it was after the batch before. */
  readonly store: StateHandle;
  /** Hashes of keys that may have to time out. */
  readonly due: Uint32Array;
}

export interface TaskSpec {
  readonly batchTimeMs: BatchTimeMs;
  /** Operator id of the output operation that the task works for. */
  readonly outputId: string;
  /** Index of this partition in its stage. */
  readonly partition: number;
  /** From 0. */
  readonly attempt: number;
  readonly leaf: Leaf;
  /** Ids of the narrow operators to apply, from the leaf to the stage's end. */
  readonly via: readonly string[];
  readonly action: TaskAction;
}

/** An empty shuffle piece is `null`. */
export type TaskValue =
  | { readonly kind: 'shuffle-write'; readonly pieces: readonly (SharedBytes | null)[] }
  | {
      readonly kind: 'collect';
      readonly bytes: SharedBytes | null;
      readonly recordCount: number;
      /** Instead of bytes, where no task was needed (empty-partition.ts). */
      readonly records?: readonly unknown[];
    }
  | { readonly kind: 'count'; readonly recordCount: number }
  | { readonly kind: 'sink'; readonly token: unknown; readonly recordCount: number }
  | { readonly kind: 'foreach-partition'; readonly recordCount: number }
  | {
      readonly kind: 'state-update';
      /** Entries to take over (state/delta-writer.ts). */
      readonly delta: SharedBytes | null;
      /** Records for whoever reads the stream. */
      readonly output: SharedBytes | null;
    };

export type TaskResult =
  | { readonly ok: true; readonly value: TaskValue; readonly inputRecordCount: number }
  | { readonly ok: false; readonly error: WireError };
