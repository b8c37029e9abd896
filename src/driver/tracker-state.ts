/** What the driver knows of blocks, batches and positions, and the one function that changes it.
 *
 * Live running logs an event and then applies it; recovery reads the events back and applies them:
 * both through `applyEvent`, so live and replayed state cannot differ. Nothing here waits, logs or
 * reads a clock. Mirrors Spark's ReceivedBlockTracker; see docs/ARCHITECTURE.md for the crash
 * table.
 *
 *   block-added ─► queue of its stream ─ batch-allocated ─► share of a batch ─ batch-cleaned ─►
 * gone
 *
 * @module */
import type { BlockInfo, PositionValue } from '../blocks/block-ref.ts';
import { assert } from '../core/assert.ts';
import { blockKey, compareIncarnations, receiverKey } from '../core/ids.ts';
import type { BatchTimeMs, BlockId, Incarnation, Lsn, StreamId } from '../core/ids.ts';
import type { FileShare } from '../dstream/task-spec.ts';
import { fileIdentity } from '../sources/text-files.ts';
import { SourceIdWindow } from './source-id-window.ts';

/** One input's part of a batch, fixed by the allocation. */
export type InputShare =
  | {
      readonly kind: 'blocks';
      readonly streamId: StreamId;
      readonly blocks: readonly BlockInfo[];
      /** Indexes into `blocks`: which blocks one task reads, in order. */
      readonly groups: readonly (readonly number[])[];
    }
  | {
      readonly kind: 'files';
      readonly streamId: StreamId;
      readonly files: readonly FileShare[];
      /** Identities that were taken before and are no longer in the directory. */
      readonly forgotten: readonly string[];
    }
  | {
      readonly kind: 'queue';
      readonly streamId: StreamId;
      /** Which batch of the queue; `null` when the queue has ended. */
      readonly queueIndex: number | null;
      readonly slices: number;
    };

export interface BatchShare {
  readonly batchTimeMs: BatchTimeMs;
  readonly inputs: readonly InputShare[];
  /** Reduce partitions of shuffles that do not name a number themselves. */
  readonly partitions: number;
  /** Of the pipeline's bundle when the batch was allocated. */
  readonly codeHash: string;
}

export type TrackerEvent =
  | { readonly type: 'block-added'; readonly block: BlockInfo }
  | { readonly type: 'batch-allocated'; readonly share: BatchShare }
  | { readonly type: 'batch-cleaned'; readonly throughMs: BatchTimeMs };

/** An allocated batch that is not cleaned yet. */
export interface TrackedBatch {
  readonly share: BatchShare;
  /** Outputs that are durable in their sinks. Kept in checkpoints, not in the log. */
  readonly finishedOutputs: Set<string>;
  isDone: boolean;
}

/** The newest block that each receiver has registered. */
interface ReceiverMark {
  readonly incarnation: Incarnation;
  readonly seq: number;
}

export interface TrackerState {
  /** Registered blocks that no batch has yet, in log order. */
  readonly queues: Map<StreamId, BlockInfo[]>;
  readonly batches: Map<BatchTimeMs, TrackedBatch>;
  lastAllocatedMs: number;
  /** Batches up to this one are cleaned. */
  cleanedThroughMs: number;
  /** Merged positions of each input: partition → last registered position. */
  readonly positions: Map<StreamId, Map<string, PositionValue>>;
  readonly sourceIds: Map<StreamId, SourceIdWindow>;
  readonly receivers: Map<string, ReceiverMark>;
  /** Highest registered LSN of each receiver log, by the log's name. */
  readonly registeredLsn: Map<string, Lsn>;
  /** The same of blocks that were synced: a log that ends below it has lost acknowledged data. */
  readonly syncedLsn: Map<string, Lsn>;
  readonly seenFiles: Map<StreamId, Set<string>>;
  /** Batches of each queueStream that were allocated. */
  readonly queueIndexes: Map<StreamId, number>;
  /** How many idempotency keys each input remembers. */
  readonly sourceIdsMax: number;
}

export function emptyTrackerState(sourceIdsMax: number): TrackerState {
  return {
    queues: new Map(),
    batches: new Map(),
    lastAllocatedMs: 0,
    cleanedThroughMs: 0,
    positions: new Map(),
    sourceIds: new Map(),
    receivers: new Map(),
    registeredLsn: new Map(),
    syncedLsn: new Map(),
    seenFiles: new Map(),
    queueIndexes: new Map(),
    sourceIdsMax,
  };
}

/** The only place where tracker state changes: live events and recovered events take this path.
 * Idempotent for an equal block; an equal id with another content is a broken invariant (I5). */
export function applyEvent(state: TrackerState, event: TrackerEvent): void {
  switch (event.type) {
    case 'block-added':
      return enqueue(state, event.block);
    case 'batch-allocated':
      return allocate(state, event.share);
    case 'batch-cleaned':
      return forget(state, event.throughMs);
    default:
      event satisfies never; // an event that recovery forgot does not compile
  }
}

/** True when a block of this receiver with this or a later place has been registered. */
export function isRegistered(state: TrackerState, id: BlockId): boolean {
  const mark = state.receivers.get(receiverKey(id.streamId, id.receiverIndex));
  if (mark === undefined) return false;
  const order = compareIncarnations(id.incarnation, mark.incarnation);
  return order < 0 || (order === 0 && id.seq <= mark.seq);
}

function enqueue(state: TrackerState, block: BlockInfo): void {
  const { blockId, position } = block;
  if (isRegistered(state, blockId)) return;
  mapAt(state.queues, blockId.streamId, () => []).push(block);
  const { streamId, receiverIndex, incarnation, seq } = blockId;
  state.receivers.set(receiverKey(streamId, receiverIndex), { incarnation, seq });
  if (position !== undefined) {
    raise(state.registeredLsn, position.log, position.lsn);
    if (block.durability === 'sync') raise(state.syncedLsn, position.log, position.lsn);
  }
  const positions = mapAt(state.positions, streamId, () => new Map<string, PositionValue>());
  for (const { partition, last } of block.positions) positions.set(partition, last);
  if (block.sourceIds.length > 0) {
    const ids = mapAt(state.sourceIds, streamId, () => new SourceIdWindow(state.sourceIdsMax));
    for (const id of block.sourceIds) ids.add(id);
  }
}

function raise(highest: Map<string, Lsn>, log: string, lsn: Lsn): void {
  if (lsn > (highest.get(log) ?? 0)) highest.set(log, lsn);
}

function allocate(state: TrackerState, share: BatchShare): void {
  // At or before the last allocated: this is a replay of what the checkpoint already holds.
  if (share.batchTimeMs <= state.lastAllocatedMs) return;
  for (const input of share.inputs) takeShare(state, input);
  state.lastAllocatedMs = share.batchTimeMs;
  const batch: TrackedBatch = { share, finishedOutputs: new Set(), isDone: false };
  state.batches.set(share.batchTimeMs, batch);
}

function takeShare(state: TrackerState, input: InputShare): void {
  switch (input.kind) {
    case 'blocks':
      return takeBlocks(state, input.streamId, input.blocks);
    case 'files': {
      const seen = mapAt(state.seenFiles, input.streamId, () => new Set<string>());
      for (const identity of input.forgotten) seen.delete(identity);
      for (const file of input.files) seen.add(fileIdentity(file));
      return;
    }
    case 'queue':
      if (input.queueIndex !== null) state.queueIndexes.set(input.streamId, input.queueIndex + 1);
      return;
    default:
      input satisfies never;
  }
}

/** Removes exactly the listed blocks: others may have been registered since the share was made
 * (clearing the whole queue here lost blocks in Spark, SPARK-23438). */
function takeBlocks(state: TrackerState, streamId: StreamId, blocks: readonly BlockInfo[]): void {
  if (blocks.length === 0) return;
  const taken = new Set(blocks.map((block) => blockKey(block.blockId)));
  const queue = state.queues.get(streamId) ?? [];
  const rest = queue.filter((block) => !taken.has(blockKey(block.blockId)));
  assert(
    queue.length - rest.length === taken.size,
    `a batch was allocated blocks of ${streamId} that are not in its queue (I5)`,
  );
  state.queues.set(streamId, rest);
}

function forget(state: TrackerState, throughMs: BatchTimeMs): void {
  state.cleanedThroughMs = Math.max(state.cleanedThroughMs, throughMs);
  for (const time of state.batches.keys()) if (time <= throughMs) state.batches.delete(time);
}

/** All blocks of a share, in the order of its inputs. */
export function* blocksOf({ inputs }: Pick<BatchShare, 'inputs'>): Generator<BlockInfo> {
  for (const input of inputs) if (input.kind === 'blocks') yield* input.blocks;
}

/** The value at `key`, made first when there is none. */
export function mapAt<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
