/** The bytes of one block: how records lie in a slot of the arena, in a log payload, and on disk.
 *
 *   slot, 4096-byte aligned                                                     4096-byte aligned
 *   │ record header │ 98 cc S c6 LLLLLLLL │ bin: L bytes      │ trailer          │ zeros          │
 *   0               32                    40                  40 + L             32 + payload
 *
 *   bin:  record bytes, back to back │ 0–3 zeros │ end offset of each record, u32 little-endian
 *
 * The payload is ONE msgpack array of 8 elements,
 * `[schema, bin, [streamId, receiverIndex, epoch, n, seq], count, codec, positions, sourceIds,
 * isBuffered]`. What is known first stands first and has a fixed width; what is known only when the
 * block is cut follows the bin, so that a block is packed once, in place, and its slot IS its log
 * record. The record header belongs to wal/. End offsets count from the start of the bin.
 * Spec: docs/wal-format.md. @module */
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { BlockId, StreamId } from '../core/ids.ts';
import type { Codec, RecordCodec } from '../serde/codec.ts';
import type { PositionRange, SourceId } from './block-ref.ts';

export const BLOCK_SCHEMA: number = 1;
/** Room for the log's record header at the start of a slot. */
export const SLOT_HEADER_BYTES: number = 32;
/** Start of the bin, from the start of the slot. */
export const BIN_OFFSET_BYTES: number = 40;
/** Slots start and end on multiples of this, the unit of direct writes. */
export const SLOT_ALIGN_BYTES: number = 4096;

const FIXARRAY_8 = 0x98;
const UINT8 = 0xcc;
const BIN32 = 0xc6;
const BIN_OFFSET_IN_PAYLOAD = BIN_OFFSET_BYTES - SLOT_HEADER_BYTES;

/** Everything about a block but its record bytes. */
export interface BlockMeta {
  readonly blockId: BlockId;
  readonly recordCount: number;
  readonly codec: RecordCodec;
  readonly positions: readonly PositionRange[];
  readonly sourceIds: readonly SourceId[];
  readonly isBuffered: boolean;
}

/** Rounds up to the next multiple of `SLOT_ALIGN_BYTES`. */
export function alignSlot(bytes: number): number {
  return Math.ceil(bytes / SLOT_ALIGN_BYTES) * SLOT_ALIGN_BYTES;
}

/** Bytes of a bin with `dataBytes` of records and `count` end offsets. */
export function binLengthBytes(dataBytes: number, count: number): number {
  return Math.ceil(dataBytes / 4) * 4 + 4 * count;
}

/** The elements after the bin, each packed, in order. */
export function packTrailer(meta: BlockMeta, codec: Codec): Uint8Array {
  const { blockId } = meta;
  const { epoch, n } = blockId.incarnation;
  return Buffer.concat([
    codec.pack([blockId.streamId, blockId.receiverIndex, epoch, n, blockId.seq]),
    codec.pack(meta.recordCount),
    codec.pack(meta.codec),
    codec.pack(meta.positions.map((range) => [range.partition, range.follows, range.last])),
    codec.pack(meta.sourceIds.map((id) => [id.key, id.digest, id.recordCount])),
    codec.pack(meta.isBuffered),
  ]);
}

/** Completes a slot whose bin of `binBytes` is already in place: head, trailer, zeros to the end.
 * @param slot from its first byte to at least its aligned end.
 * @returns the length of the payload, which starts at `SLOT_HEADER_BYTES`. */
export function sealSlot(slot: Uint8Array, binBytes: number, trailer: Uint8Array): number {
  slot[SLOT_HEADER_BYTES] = FIXARRAY_8;
  slot[SLOT_HEADER_BYTES + 1] = UINT8;
  slot[SLOT_HEADER_BYTES + 2] = BLOCK_SCHEMA;
  slot[SLOT_HEADER_BYTES + 3] = BIN32;
  new DataView(slot.buffer, slot.byteOffset).setUint32(SLOT_HEADER_BYTES + 4, binBytes);
  const end = BIN_OFFSET_BYTES + binBytes + trailer.byteLength;
  assert(alignSlot(end) <= slot.byteLength, 'a block outgrew its slot');
  slot.set(trailer, BIN_OFFSET_BYTES + binBytes);
  slot.fill(0, end, alignSlot(end));
  return end - SLOT_HEADER_BYTES;
}

/** The bin of a payload whose CRC was checked. @throws {MillraceError} FORMAT_UNKNOWN,
 * WAL_CORRUPT. */
export function binOfPayload(payload: Uint8Array): Uint8Array {
  const isShort = payload.byteLength < BIN_OFFSET_IN_PAYLOAD;
  if (isShort || payload[0] !== FIXARRAY_8 || payload[1] !== UINT8 || payload[3] !== BIN32) {
    throw new MillraceError('WAL_CORRUPT', 'a log record with a valid CRC is not a block');
  }
  if (payload[2] !== BLOCK_SCHEMA) {
    throw new MillraceError(
      'FORMAT_UNKNOWN',
      `block schema ${payload[2]} is newer than this version knows (${BLOCK_SCHEMA})`,
    );
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const length = view.getUint32(4);
  if (BIN_OFFSET_IN_PAYLOAD + length > payload.byteLength) {
    throw new MillraceError('WAL_CORRUPT', `a block says ${length} bytes and has fewer`);
  }
  return payload.subarray(BIN_OFFSET_IN_PAYLOAD, BIN_OFFSET_IN_PAYLOAD + length);
}

/** What a payload says of its block. @throws {MillraceError} FORMAT_UNKNOWN, WAL_CORRUPT. */
export function readBlockMeta(payload: Uint8Array, codec: Codec): BlockMeta & { binBytes: number } {
  const binBytes = binOfPayload(payload).byteLength;
  const decoded = unpackBlock(payload, codec);
  const [, , [streamId, receiverIndex, epoch, n, seq], recordCount, recordCodec] = decoded;
  return {
    blockId: { streamId, receiverIndex, incarnation: { epoch, n }, seq },
    recordCount,
    codec: recordCodec,
    positions: decoded[5].map(([partition, follows, last]) => ({ partition, follows, last })),
    sourceIds: decoded[6].map(([key, digest, count]) => ({ key, digest, recordCount: count })),
    isBuffered: decoded[7],
    binBytes,
  };
}

function unpackBlock(payload: Uint8Array, codec: Codec): BlockTuple {
  let cause: unknown;
  try {
    const decoded = codec.unpack(payload);
    if (isBlockTuple(decoded)) return decoded;
  } catch (error) {
    cause = error;
  }
  const message = 'a block with a valid CRC does not have its 8 elements';
  throw new MillraceError('WAL_CORRUPT', message, { cause });
}

type BlockTuple = readonly [
  schema: number,
  bin: Uint8Array,
  id: readonly [StreamId, number, number, number, number],
  count: number,
  codec: RecordCodec,
  positions: readonly (readonly [string, PositionRange['follows'], PositionRange['last']])[],
  sourceIds: readonly (readonly [string, string, number])[],
  isBuffered: boolean,
];

const CODECS: ReadonlySet<unknown> = new Set<RecordCodec>(['ascii', 'utf8', 'msgpack']);

function isBlockTuple(value: unknown): value is BlockTuple {
  if (!Array.isArray(value) || value.length !== 8) return false;
  const [, , id, count, codec, positions, sourceIds, isBuffered] = value as unknown[];
  return (
    Array.isArray(id) &&
    id.length === 5 &&
    typeof id[0] === 'string' &&
    id.slice(1).every(isCount) &&
    isCount(count) &&
    CODECS.has(codec) &&
    Array.isArray(positions) &&
    positions.every(isPositionRange) &&
    Array.isArray(sourceIds) &&
    sourceIds.every(isSourceId) &&
    typeof isBuffered === 'boolean'
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPositionRange(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [partition, follows, last] = value as unknown[];
  const isPosition = (each: unknown) => typeof each === 'number' || typeof each === 'string';
  return (
    typeof partition === 'string' && (follows === null || isPosition(follows)) && isPosition(last)
  );
}

function isSourceId(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [key, digest, count] = value as unknown[];
  return typeof key === 'string' && typeof digest === 'string' && isCount(count);
}
