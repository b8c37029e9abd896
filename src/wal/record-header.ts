/** The 32-byte header of ONE log record. Knows nothing of files, clocks or batches.
 *
 *      0    1     2     4        8            12            16    24
 *      type flags magic length   header crc   payload crc   lsn   durable lsn     little-endian
 *
 * The header has a CRC of its own so that a damaged length never steers the scan. It is seeded with
 * the segment's salt and the offset, so that neither a stale record of a recycled file nor one that
 * was written at a wrong place can pass: for equal bytes, another seed ALWAYS gives another CRC.
 * Whether a bad record is a torn tail or damage is decided in log-verdict.ts, never here.
 * Spec: docs/wal-format.md. @module */
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import { SmallCrc32 } from '../serde/small-crc32.ts';

export const RECORD_HEADER_BYTES: number = 32;
/** Bounds what a damaged length can make a reader allocate. */
export const PAYLOAD_BYTES_MAX: number = 64 * 1024 * 1024;
/** Groups and slots start on multiples of this: a page that was synced is never written again. */
export const PAGE_BYTES: number = 4096;
/** Records start on multiples of this. */
export const RECORD_ALIGN_BYTES: number = 8;
/** At byte 2 of every header. */
const RECORD_MAGIC = 0x524d;
const MAGIC_LOW = 0x4d;
const MAGIC_HIGH = 0x52;

/** 0 is no type, so zeros are never a record. */
export const RECORD_TYPES = {
  /** Bytes of the log's user. */
  payload: 1,
  /** 8 bytes: the highest LSN of the PEER log known durable when it was written. */
  watermark: 2,
  /** Empty. Its log was closed in order; nothing follows in this segment. */
  closed: 3,
} as const;

export type RecordType = (typeof RECORD_TYPES)[keyof typeof RECORD_TYPES];

const FLAG_ROUND_UP = 1;

export interface RecordHeader {
  readonly type: RecordType;
  /** The next record starts on the next multiple of PAGE_BYTES instead of RECORD_ALIGN_BYTES. */
  readonly isRoundedUp: boolean;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
  readonly lsn: Lsn;
  /** Highest LSN of this log whose sync had returned when this record was built. */
  readonly durableLsn: Lsn;
}

/** What a reader found: `unknown` has a sound CRC, so a newer version wrote it. */
export type DecodedHeader = RecordHeader | 'unknown' | undefined;

const HIGH = 0x1_0000_0000;
const scratch = Buffer.alloc(RECORD_HEADER_BYTES);

/** Seed of the header CRC of the record at `offsetBytes` of a segment. */
export function headerSeed(salt: number, offsetBytes: number): number {
  return (salt ^ (offsetBytes / RECORD_ALIGN_BYTES)) >>> 0;
}

/** Writes headers into one memory: that of a group, or of a slot. */
export class HeaderWriter {
  readonly crc: SmallCrc32;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.crc = new SmallCrc32(bytes);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @param at in the memory. @param seed of `headerSeed`, for the header's place in the file. */
  write(header: RecordHeader, at: number, seed: number): void {
    const view = this.#view;
    const flags = header.isRoundedUp ? FLAG_ROUND_UP : 0;
    view.setUint32(at, header.type | (flags << 8) | (RECORD_MAGIC << 16), true);
    view.setUint32(at + 4, header.payloadBytes, true);
    view.setUint32(at + 8, 0, true);
    view.setUint32(at + 12, header.payloadCrc, true);
    setUint64(view, header.lsn, at + 16);
    setUint64(view, header.durableLsn, at + 24);
    view.setUint32(at + 8, this.crc.of(at, RECORD_HEADER_BYTES, seed), true);
  }
}

/** The header's bytes, in memory of their own. */
export function encodeRecordHeader(header: RecordHeader, seed: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_BYTES);
  new HeaderWriter(bytes).write(header, 0, seed);
  return bytes;
}

/** Reads the header at `at` of `bytes`. @returns `undefined` when none of this seed is there. */
export function decodeRecordHeader(bytes: Buffer, at: number, seed: number): DecodedHeader {
  const type = bytes[at];
  if (type === 0 || !hasRecordMagic(bytes, at)) return undefined;
  bytes.copy(scratch, 0, at, at + RECORD_HEADER_BYTES);
  scratch.writeUInt32LE(0, 8);
  if (crc32(scratch, seed) !== bytes.readUInt32LE(at + 8)) return undefined;
  const flags = scratch.readUInt8(1);
  if (!isRecordType(type) || (flags & ~FLAG_ROUND_UP) !== 0) return 'unknown';
  return {
    type,
    isRoundedUp: (flags & FLAG_ROUND_UP) !== 0,
    payloadBytes: scratch.readUInt32LE(4),
    payloadCrc: scratch.readUInt32LE(12),
    lsn: readUint64(scratch, 16) as Lsn,
    durableLsn: readUint64(scratch, 24) as Lsn,
  };
}

/** True when the two bytes that every header has are where they have to be. */
export function hasRecordMagic(bytes: Buffer, at: number): boolean {
  return bytes[at + 2] === MAGIC_LOW && bytes[at + 3] === MAGIC_HIGH;
}

/** True when the bytes at `at` claim to be record `lsn`, whatever their CRC says: half of a torn
 * write, which stale bytes of a recycled file cannot be (their LSNs are lower). */
export function looksLikeRecord(bytes: Buffer, at: number, lsn: Lsn): boolean {
  return hasRecordMagic(bytes, at) && readUint64(bytes, at + 16) === lsn;
}

/** Offset of the record that follows one which starts at `offsetBytes`. */
export function nextOffset(header: RecordHeader, offsetBytes: number): number {
  const end = offsetBytes + RECORD_HEADER_BYTES + header.payloadBytes;
  return roundUp(end, header.isRoundedUp ? PAGE_BYTES : RECORD_ALIGN_BYTES);
}

export function roundUp(bytes: number, multiple: number): number {
  return Math.ceil(bytes / multiple) * multiple;
}

/** Little-endian; `value` is a safe integer of 0 or more. */
export function writeUint64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE(value % HIGH, at);
  into.writeUInt32LE(Math.floor(value / HIGH), at + 4);
}

/** Little-endian. Exact up to 2^53 - 1, which bounds all our counters. */
export function readUint64(from: Buffer, at: number): number {
  return from.readUInt32LE(at + 4) * HIGH + from.readUInt32LE(at);
}

function setUint64(view: DataView, value: number, at: number): void {
  view.setUint32(at, value % HIGH, true);
  view.setUint32(at + 4, value / HIGH, true); // the fraction is cut off
}

function isRecordType(type: number | undefined): type is RecordType {
  return type === 1 || type === 2 || type === 3;
}
