/** Blocks as the driver knows them, for tests that only care about some of their fields. @module */
import type { BlockInfo, LogPosition, SourceId } from '../../src/blocks/block-ref.ts';
import { blockKey } from '../../src/core/ids.ts';
import type { BatchTimeMs, Lsn, StreamId } from '../../src/core/ids.ts';
import type { BatchShare, InputShare, TrackerState } from '../../src/driver/tracker-state.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';

export const LINES: StreamId = 'lines' as StreamId;

interface Place {
  readonly streamId?: string;
  readonly receiverIndex?: number;
  readonly epoch?: number;
  /** Life of the receiver within the epoch. */
  readonly n?: number;
  /** Puts the block into `receiver-log-0` at this LSN. */
  readonly lsn?: number;
  readonly log?: string;
}

/** The `seq`-th block of a life: three records of 100 bytes. */
export function blockOf(seq: number, more: Partial<BlockInfo> & Place = {}): BlockInfo {
  const { streamId = LINES, receiverIndex = 0, epoch = 1, n = 1, lsn, log, ...fields } = more;
  return {
    blockId: { streamId: streamId as StreamId, receiverIndex, incarnation: { epoch, n }, seq },
    recordCount: 3,
    codec: 'ascii',
    lengthBytes: 300,
    durability: 'sync',
    ...(lsn === undefined ? {} : { position: positionAt(lsn, log) }),
    positions: [],
    sourceIds: [],
    isBuffered: false,
    ...fields,
  };
}

function positionAt(lsn: number, log = 'receiver-log-0'): LogPosition {
  const offsetBytes = 4096 * lsn;
  return { log, lsn: lsn as Lsn, segmentSeq: 1, offsetBytes, payloadBytes: 400, payloadCrc: lsn };
}

export function sourceId(key: string, digest = 'd'): SourceId {
  return { key, digest, recordCount: 1 };
}

/** The share of a batch whose only input is `blocks`, all in one task. */
export function shareOf(timeMs: number, blocks: readonly BlockInfo[], streamId = LINES) {
  const groups = blocks.length === 0 ? [] : [blocks.map((_, index) => index)];
  return batchOf(timeMs, [{ kind: 'blocks', streamId, blocks, groups }]);
}

export function batchOf(timeMs: number, inputs: readonly InputShare[]): BatchShare {
  return { batchTimeMs: timeMs as BatchTimeMs, inputs, partitions: 2, codeHash: 'c0de' };
}

/** Queued blocks of a stream, in words. */
export function queued(state: TrackerState, streamId: StreamId = LINES): string[] {
  return (state.queues.get(streamId) ?? []).map(({ blockId }) => blockKey(blockId));
}

/** All of a state as plain data: private parts would escape a comparison. */
export function viewOf(state: TrackerState): unknown {
  const { sourceIds, ...rest } = state;
  const ids = [...sourceIds].map(([stream, window]) => [
    stream,
    window.pack(msgpackCodec).map((chunk) => msgpackCodec.unpack(chunk)),
  ]);
  return { ...rest, ids };
}
