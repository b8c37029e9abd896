/** What each input contributes to the next batch: the content of a `batch-allocated` event.
 *
 * Reads the tracker's queues (copies, never drains), lists directories, counts queue batches.
 * Groups blocks into tasks by bytes, contiguously and in order, so that a replay merges in the
 * same order and 10,000 small requests are not 10,000 tasks. @module */
import type { BlockInfo } from '../blocks/block-ref.ts';
import type { StreamId } from '../core/ids.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import { inputOptions } from '../dstream/input-options.ts';
import type { FileGrowth } from '../sources/file-growth.ts';
import { listCandidates, selectNewFiles } from '../sources/text-files.ts';
import { blocksOf } from './tracker-state.ts';
import type { InputShare, TrackerState } from './tracker-state.ts';

/** A task is worth its dispatch from about this much on. */
const GROUP_BYTES_MIN = 256 * 1024;

export interface ShareLimits {
  /** Task threads; a stage gets at most twice as many groups of blocks. */
  readonly executors: number;
  /** About how long one input's part of the allocation's record may be; what does not fit waits for
   * the next batch. */
  readonly shareBytesMax: number;
  /** The time of this batch has passed: what was received and what is in a directory came later. */
  readonly isMadeUp?: boolean;
  /** Notices files that change after they were taken. */
  readonly growth?: FileGrowth;
}

/** @throws {MillraceError} SOURCE_FAILED when a directory cannot be read. */
export async function collectShares(
  graph: Graph,
  state: TrackerState,
  limits: ShareLimits,
): Promise<readonly InputShare[]> {
  // Directories first: they need I/O, and queues are copied at one moment, after it.
  const files = new Map<string, InputShare>();
  for (const node of graph.inputs) {
    const share = await fileShare(node, state, limits);
    if (share !== undefined) files.set(node.id, share);
  }
  return graph.inputs.map((node) => files.get(node.id) ?? memoryShare(node, state, limits));
}

async function fileShare(
  node: GraphNode,
  state: TrackerState,
  { shareBytesMax, growth, isMadeUp = false }: ShareLimits,
): Promise<InputShare | undefined> {
  const options = inputOptions(node);
  if (options.source !== 'text-files') return undefined;
  const streamId = node.id as StreamId;
  if (isMadeUp) return { kind: 'files', streamId, files: [], forgotten: [] };
  const candidates = await listCandidates(options.directory);
  const seen = state.seenFiles.get(streamId) ?? new Set<string>();
  growth?.check(candidates, seen);
  const { fresh, stillSeen } = selectNewFiles(candidates, seen);
  const kept = new Set(stillSeen);
  const gone = [...seen].filter((identity) => !kept.has(identity));
  return {
    kind: 'files',
    streamId,
    files: takeWithin(fresh, shareBytesMax / 2, ({ path }) => textBytes(path) + 64),
    // Those that are forgotten later cost nothing but memory.
    forgotten: takeWithin(gone, shareBytesMax / 2, textBytes),
  };
}

function memoryShare(node: GraphNode, state: TrackerState, limits: ShareLimits): InputShare {
  const options = inputOptions(node);
  const streamId = node.id as StreamId;
  if (options.source === 'queue') {
    const next = state.queueIndexes.get(streamId) ?? 0;
    const queueIndex = next < options.batchCount ? next : null;
    return { kind: 'queue', streamId, queueIndex, slices: limits.executors };
  }
  const queue = limits.isMadeUp === true ? [] : (state.queues.get(streamId) ?? []);
  // Keys have done their work when a block is registered; a share does not repeat them.
  const blocks = takeWithin(queue, limits.shareBytesMax, blockBytes).map((block) => ({
    ...block,
    sourceIds: [],
  }));
  return { kind: 'blocks', streamId, blocks, groups: groupBlocks(blocks, 2 * limits.executors) };
}

/** The first items whose encoded lengths add up to at most `bytesMax`, and one at least. */
function takeWithin<T>(items: readonly T[], bytesMax: number, bytesOf: (item: T) => number): T[] {
  let count = 0;
  for (let bytes = 0; count < items.length; count += 1) {
    bytes += bytesOf(items[count] as T);
    if (count > 0 && bytes > bytesMax) break;
  }
  return items.slice(0, count);
}

/** At most: a UTF-16 unit takes three bytes of UTF-8. */
function textBytes(text: string): number {
  return 3 * text.length + 8;
}

function blockBytes({ blockId, positions }: BlockInfo): number {
  let bytes = textBytes(blockId.streamId) + 192;
  for (const { partition, follows, last } of positions) {
    bytes += textBytes(partition) + textBytes(String(follows)) + textBytes(String(last));
  }
  return bytes;
}

/** Splits blocks into at most `groupsMax` contiguous runs of about equal bytes. */
export function groupBlocks(blocks: readonly BlockInfo[], groupsMax: number): number[][] {
  const totalBytes = blocks.reduce((sum, block) => sum + block.lengthBytes, 0);
  const targetBytes = Math.max(GROUP_BYTES_MIN, Math.ceil(totalBytes / groupsMax));
  const groups: number[][] = [];
  let group: number[] = [];
  let bytes = 0;
  blocks.forEach((block, index) => {
    group.push(index);
    bytes += block.lengthBytes;
    if (bytes >= targetBytes && groups.length < groupsMax - 1) {
      groups.push(group);
      group = [];
      bytes = 0;
    }
  });
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Records in a share, as far as the driver knows (files count when they are read). */
export function shareRecordCount(inputs: readonly InputShare[]): number {
  let records = 0;
  for (const { recordCount } of blocksOf({ inputs })) records += recordCount;
  return records;
}

/** True when there is nothing in it, and nothing would be done twice if it ran again. */
export function isEmptyShare(inputs: readonly InputShare[]): boolean {
  return inputs.every((input) => {
    if (input.kind === 'blocks') return input.blocks.length === 0;
    return input.kind === 'files' && input.files.length === 0 && input.forgotten.length === 0;
  });
}
