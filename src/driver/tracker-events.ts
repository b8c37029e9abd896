/** Tracker events ↔ payloads of the driver log: msgpack `[schema, kind, …]`, decoded strictly.
 *
 * An unknown kind, a wrong arity or trailing bytes is damage, never skipped. The checkpoint uses
 * the same tuples for blocks and shares. Spec: docs/checkpoint-format.md. @module */
import type {
  BlockInfo,
  DurabilityLevel,
  LogPosition,
  PositionRange,
  PositionValue,
  SourceId,
} from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';
import type { BatchTimeMs, Lsn, StreamId } from '../core/ids.ts';
import type { FileShare } from '../dstream/task-spec.ts';
import type { Codec, RecordCodec } from '../serde/codec.ts';
import type { BatchShare, InputShare, TrackerEvent } from './tracker-state.ts';

const EVENT_SCHEMA = 1;
const KINDS = { added: 1, allocated: 2, cleaned: 3 } as const;
const CODECS: readonly RecordCodec[] = ['ascii', 'utf8', 'msgpack'];
const LEVELS: readonly DurabilityLevel[] = ['sync', 'flush', 'off'];

export type BlockTuple = readonly [
  streamId: string,
  receiverIndex: number,
  epoch: number,
  n: number,
  seq: number,
  recordCount: number,
  codec: RecordCodec,
  lengthBytes: number,
  durability: DurabilityLevel,
  position: readonly [string, number, number, number, number, number] | null,
  positions: readonly (readonly [string, string | number | null, string | number])[],
  sourceIds: readonly (readonly [string, string, number])[],
  isBuffered: boolean,
];
type FileTuple = readonly [
  path: string,
  sizeBytes: number,
  mtimeMs: number,
  birthtimeMs: number,
  inode: number,
];
type InputTuple =
  | readonly ['blocks', string, readonly BlockTuple[], readonly (readonly number[])[]]
  | readonly ['files', string, readonly FileTuple[], readonly string[]]
  | readonly ['queue', string, number | null, number];
export type ShareTuple = readonly [
  batchTimeMs: number,
  inputs: readonly InputTuple[],
  partitions: number,
  codeHash: string,
];

export function encodeEvent(event: TrackerEvent, codec: Codec): Uint8Array {
  switch (event.type) {
    case 'block-added':
      return codec.pack([EVENT_SCHEMA, KINDS.added, blockToTuple(event.block)]);
    case 'batch-allocated':
      return codec.pack([EVENT_SCHEMA, KINDS.allocated, shareToTuple(event.share)]);
    case 'batch-cleaned':
      return codec.pack([EVENT_SCHEMA, KINDS.cleaned, event.throughMs]);
  }
}

/** @throws {MillraceError} FORMAT_UNKNOWN for a newer schema, WAL_CORRUPT for anything
 * malformed. */
export function decodeEvent(payload: Uint8Array, codec: Codec): TrackerEvent {
  const event = array(unpackEvent(payload, codec), 'event');
  // The schema first: a newer one may have another arity.
  if (event[0] !== EVENT_SCHEMA && Number.isSafeInteger(event[0])) {
    throw new MillraceError('FORMAT_UNKNOWN', `driver log event of schema ${String(event[0])}`);
  }
  const [schema, kind, content] = tuple(event, 3, 'event');
  if (schema !== EVENT_SCHEMA) throw malformed('schema');
  switch (kind) {
    case KINDS.added:
      return { type: 'block-added', block: blockFromTuple(content) };
    case KINDS.allocated:
      return { type: 'batch-allocated', share: shareFromTuple(content) };
    case KINDS.cleaned:
      return { type: 'batch-cleaned', throughMs: integer(content) as BatchTimeMs };
    default:
      throw malformed('kind of event');
  }
}

function unpackEvent(payload: Uint8Array, codec: Codec): unknown {
  try {
    return codec.unpack(payload);
  } catch (cause) {
    throw malformed('message', cause);
  }
}

export function blockToTuple(block: BlockInfo): BlockTuple {
  const { blockId, position: at } = block;
  return [
    blockId.streamId,
    blockId.receiverIndex,
    blockId.incarnation.epoch,
    blockId.incarnation.n,
    blockId.seq,
    block.recordCount,
    block.codec,
    block.lengthBytes,
    block.durability,
    at === undefined
      ? null
      : [at.log, at.lsn, at.segmentSeq, at.offsetBytes, at.payloadBytes, at.payloadCrc],
    block.positions.map(({ partition, follows, last }) => [partition, follows, last]),
    block.sourceIds.map(({ key, digest, recordCount }) => [key, digest, recordCount]),
    block.isBuffered,
  ];
}

export function blockFromTuple(value: unknown): BlockInfo {
  const fields = tuple(value, 13, 'block');
  const [streamId, receiverIndex, epoch, n, seq, recordCount, codec, lengthBytes] = fields;
  const position = fields[9] === null ? {} : { position: positionFromTuple(fields[9]) };
  if (typeof fields[12] !== 'boolean') throw malformed('flag');
  return {
    blockId: {
      streamId: text(streamId) as StreamId,
      receiverIndex: integer(receiverIndex),
      incarnation: { epoch: integer(epoch), n: integer(n) },
      seq: integer(seq),
    },
    recordCount: integer(recordCount),
    codec: oneOf(codec, CODECS),
    lengthBytes: integer(lengthBytes),
    durability: oneOf(fields[8], LEVELS),
    ...position,
    positions: array(fields[10], 'positions').map(rangeFromTuple),
    sourceIds: array(fields[11], 'source ids').map(sourceIdFromTuple),
    isBuffered: fields[12],
  };
}

function rangeFromTuple(value: unknown): PositionRange {
  const [partition, follows, last] = tuple(value, 3, 'position range');
  return {
    partition: text(partition),
    follows: follows === null ? null : positionValue(follows),
    last: positionValue(last),
  };
}

function sourceIdFromTuple(value: unknown): SourceId {
  const [key, digest, recordCount] = tuple(value, 3, 'source id');
  return { key: text(key), digest: text(digest), recordCount: integer(recordCount) };
}

function positionFromTuple(value: unknown): LogPosition {
  const [log, lsn, segmentSeq, offsetBytes, payloadBytes, payloadCrc] = tuple(value, 6, 'position');
  return {
    log: text(log),
    lsn: integer(lsn) as Lsn,
    segmentSeq: integer(segmentSeq),
    offsetBytes: integer(offsetBytes),
    payloadBytes: integer(payloadBytes),
    payloadCrc: integer(payloadCrc),
  };
}

export function shareToTuple(share: BatchShare): ShareTuple {
  return [share.batchTimeMs, share.inputs.map(inputToTuple), share.partitions, share.codeHash];
}

export function shareFromTuple(value: unknown): BatchShare {
  const [batchTimeMs, inputs, partitions, codeHash] = tuple(value, 4, 'allocation');
  return {
    batchTimeMs: integer(batchTimeMs) as BatchTimeMs,
    inputs: array(inputs, 'inputs').map(inputFromTuple),
    partitions: integer(partitions),
    codeHash: text(codeHash),
  };
}

function inputToTuple(input: InputShare): InputTuple {
  switch (input.kind) {
    case 'blocks':
      return ['blocks', input.streamId, input.blocks.map(blockToTuple), input.groups];
    case 'files': {
      const files = input.files.map((file): FileTuple => [
        file.path,
        file.sizeBytes,
        file.mtimeMs,
        file.birthtimeMs,
        file.inode,
      ]);
      return ['files', input.streamId, files, input.forgotten];
    }
    case 'queue':
      return ['queue', input.streamId, input.queueIndex, input.slices];
  }
}

function inputFromTuple(value: unknown): InputShare {
  const [kind, stream, content, more] = tuple(value, 4, 'input');
  const streamId = text(stream) as StreamId;
  switch (kind) {
    case 'blocks': {
      const blocks = array(content, 'blocks').map(blockFromTuple);
      const groups = array(more, 'groups').map((group) => array(group, 'group').map(integer));
      return { kind, streamId, blocks, groups };
    }
    case 'files': {
      const files = array(content, 'files').map(fileFromTuple);
      return { kind, streamId, files, forgotten: array(more, 'forgotten files').map(text) };
    }
    case 'queue': {
      const queueIndex = content === null ? null : integer(content);
      return { kind, streamId, queueIndex, slices: integer(more) };
    }
    default:
      throw malformed('kind of input');
  }
}

function fileFromTuple(value: unknown): FileShare {
  const [path, sizeBytes, mtimeMs, birthtimeMs, inode] = tuple(value, 5, 'file');
  return {
    path: text(path),
    sizeBytes: integer(sizeBytes),
    mtimeMs: finite(mtimeMs),
    birthtimeMs: finite(birthtimeMs),
    inode: integer(inode),
  };
}

function array(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(what);
  return value as readonly unknown[];
}

function tuple(value: unknown, length: number, what: string): readonly unknown[] {
  const elements = array(value, what);
  if (elements.length !== length) throw malformed(what);
  return elements;
}

/** All numbers here count something, so none is negative. */
function integer(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw malformed('number');
  return value as number;
}

function finite(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw malformed('time');
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw malformed('text');
  return value;
}

function positionValue(value: unknown): PositionValue {
  if (typeof value !== 'string' && typeof value !== 'number') throw malformed('position');
  return value;
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw malformed('name');
  return found;
}

function malformed(what: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'WAL_CORRUPT',
    `a driver record with a valid CRC has a malformed ${what}: it was not written by millrace`,
    { cause },
  );
}
