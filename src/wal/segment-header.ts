/** The first 4 KiB page of a segment file: whose log it is, what it continues, how to read it.
 *
 *      0     4        6     8           12            16      32     40   48        56
 *      MRWL  version  zero  compatible  incompatible  log id  epoch  seq  base LSN  segment bytes
 *      64                 72           80                   84    88 … 4091   4092
 *      previous last LSN  durable LSN  previous header CRC  salt  zeros       header CRC
 *
 * Written and synced before the file gets its segment name, so a named segment with a bad header is
 * damage, never a torn write. The base LSN b ends every older segment of the log at b - 1: bytes
 * from b on in older ones are void. The header is a witness too: everything below its base, and
 * everything up to its durable LSN (records that were carried over into it), had been synced.
 * Spec: docs/wal-format.md. @module */
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import { PAGE_BYTES, readUint64, writeUint64 } from './record-header.ts';

export const SEGMENT_HEADER_BYTES: number = PAGE_BYTES;

const MAGIC = 0x4c57_524d; // 'MRWL', little-endian
const VERSION = 1;
/** Feature bits that this version knows; others are refused. COMPATIBLE bits are all ignored. */
const INCOMPATIBLE_KNOWN = 1;
/** Incompatible bit 0: the file ends with its last group, see `isGrowing`. */
const GROWING = 1;
const CRC_AT = SEGMENT_HEADER_BYTES - 4;
const LOG_ID = /^[0-9a-f]{32}$/;

export interface SegmentHeader {
  /** 32 hex digits. */
  readonly logId: string;
  /** Of the process that made the segment. */
  readonly epoch: number;
  readonly seq: number;
  /** LSN of the segment's first record. */
  readonly baseLsn: Lsn;
  /** Length of the file; no record reaches past it. */
  readonly segmentBytes: number;
  /** The file is written by appending: it may be shorter than `segmentBytes`, and where it ends
   * says nothing. */
  readonly isGrowing: boolean;
  /** Last LSN before this segment: `baseLsn - 1`. */
  readonly previousLastLsn: Lsn;
  /** Records up to this one, in this segment or before it, were synced before it got its name. */
  readonly durableLsn: Lsn;
  /** Header CRC of the segment `seq - 1`, 0 for the first of a log. */
  readonly previousHeaderCrc: number;
  /** Seeds the header CRC of every record. */
  readonly salt: number;
}

/** Salt of a segment. A log never uses a seq twice for the same file, and two seqs of one epoch
 * never give the same salt (they differ in at most 32 neighbouring bits, which CRC-32 tells apart),
 * so a recycled file cannot show old records. The log id makes it unguessable for payload bytes. */
export function segmentSalt(place: Pick<SegmentHeader, 'logId' | 'epoch' | 'seq'>): number {
  const bytes = Buffer.alloc(32);
  bytes.write(place.logId, 0, 'hex');
  writeUint64(bytes, place.epoch, 16);
  writeUint64(bytes, place.seq, 24);
  return crc32(bytes);
}

/** Fills the first page of `into`. @returns the header's CRC, which the next segment repeats. */
export function encodeSegmentHeader(header: SegmentHeader, into: Uint8Array): number {
  assert(LOG_ID.test(header.logId), `log id "${header.logId}" is not 32 hex digits`);
  const page = Buffer.from(into.buffer, into.byteOffset, SEGMENT_HEADER_BYTES).fill(0);
  page.writeUInt32LE(MAGIC, 0);
  page.writeUInt16LE(VERSION, 4);
  page.writeUInt32LE(header.isGrowing ? GROWING : 0, 12);
  page.write(header.logId, 16, 'hex');
  writeUint64(page, header.epoch, 32);
  writeUint64(page, header.seq, 40);
  writeUint64(page, header.baseLsn, 48);
  writeUint64(page, header.segmentBytes, 56);
  writeUint64(page, header.previousLastLsn, 64);
  writeUint64(page, header.durableLsn, 72);
  page.writeUInt32LE(header.previousHeaderCrc, 80);
  page.writeUInt32LE(header.salt, 84);
  const crc = crc32(page.subarray(0, CRC_AT));
  page.writeUInt32LE(crc, CRC_AT);
  return crc;
}

/** Reads a segment's first page.
 * @returns `undefined` when it is damaged or too short.
 * @throws {MillraceError} FORMAT_UNKNOWN when it is sound but written by a newer version. */
export function decodeSegmentHeader(
  page: Buffer,
  path: string,
): { header: SegmentHeader; crc: number } | undefined {
  if (page.byteLength < SEGMENT_HEADER_BYTES || page.readUInt32LE(0) !== MAGIC) return undefined;
  const crc = page.readUInt32LE(CRC_AT);
  if (crc32(page.subarray(0, CRC_AT)) !== crc) return undefined;
  refuseUnknown(page, path);
  const header: SegmentHeader = {
    logId: page.toString('hex', 16, 32),
    epoch: readUint64(page, 32),
    seq: readUint64(page, 40),
    baseLsn: readUint64(page, 48) as Lsn,
    segmentBytes: readUint64(page, 56),
    isGrowing: (page.readUInt32LE(12) & GROWING) !== 0,
    previousLastLsn: readUint64(page, 64) as Lsn,
    durableLsn: readUint64(page, 72) as Lsn,
    previousHeaderCrc: page.readUInt32LE(80),
    salt: page.readUInt32LE(84),
  };
  return { header, crc };
}

function refuseUnknown(page: Buffer, path: string): void {
  const version = page.readUInt16LE(4);
  const unknownBits = (page.readUInt32LE(12) & ~INCOMPATIBLE_KNOWN) >>> 0;
  if (version === VERSION && unknownBits === 0) return;
  throw new MillraceError(
    'FORMAT_UNKNOWN',
    `${path} was written by a newer version of millrace (format ${version}, features ` +
      `0x${unknownBits.toString(16)}; this one reads format ${VERSION}): upgrade millrace`,
    { details: { path, version, unknownBits } },
  );
}
