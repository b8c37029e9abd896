/** Takes a range of LSNs out of one segment, in place: fills the bytes with watermark records that
 * witness nothing, so that the log stays gap-free and every other record keeps its place.
 *
 *     before   │ 17 │ 18 ✗✗✗✗✗✗✗✗✗✗✗✗ │ 21 │     bytes of 18 … 20 damaged
 *     after    │ 17 │ 18 │ 19 │ 20  0 0 0 │ 21 │     three watermarks of 0, the last one long
 *
 * Only for a copy that nothing has open, on an operator's explicit order. Every record needs at
 * least as many bytes as the smallest watermark, so there is always room. @module */
import { assert } from '../../core/assert.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Lsn } from '../../core/ids.ts';
import { crc32 } from '../../serde/crc32.ts';
import type { Disk, DiskFile } from '../../wal/disk.ts';
import type { LiveSegment } from '../../wal/live-segments.ts';
import { findHeader } from './log-hole.ts';
import { RecordCursor } from './record-cursor.ts';
import {
  PAYLOAD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RECORD_TYPES,
  encodeRecordHeader,
  headerSeed,
} from '../../wal/record-header.ts';
import { ReadMemory } from '../../wal/read-memory.ts';
import { SegmentReader } from '../../wal/segment-reader.ts';
import { shortWrite } from '../../wal/short-write.ts';

const FILLER_PAYLOAD_BYTES = 8;
const FILLER_BYTES = RECORD_HEADER_BYTES + FILLER_PAYLOAD_BYTES;

export interface LsnSpan {
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** @param span within the segment's LSNs. What it leaves is on the device.
 * @throws {MillraceError} OPTIONS_INVALID when another record is bad too, naming the range that
 *   would do; DISK_FAILED. */
export async function fillRecords(disk: Disk, segment: LiveSegment, span: LsnSpan): Promise<void> {
  const file = await disk.open(segment.path, 'buffered');
  const reader = new SegmentReader(file, segment.header.segmentBytes, new ReadMemory(disk));
  try {
    await completeLength(file, segment);
    const fromBytes = await offsetOf(segment, reader, span);
    const toBytes = await endOf(segment, reader, { span, fromBytes });
    await write(file, fillers(segment, span, { fromBytes, toBytes }), fromBytes);
    await file.syncAll();
  } finally {
    await reader.close();
    await file.close();
  }
}

/** A file that was cut off gets its length back, in zeros. */
async function completeLength(file: DiskFile, { header }: LiveSegment): Promise<void> {
  const sizeBytes = await file.sizeBytes();
  if (sizeBytes >= header.segmentBytes) return;
  await write(file, Buffer.alloc(header.segmentBytes - sizeBytes), sizeBytes);
}

async function offsetOf(
  segment: LiveSegment,
  reader: SegmentReader,
  { firstLsn }: LsnSpan,
): Promise<number> {
  const cursor = new RecordCursor(segment, reader);
  while (cursor.expectedLsn < firstLsn) {
    if ((await cursor.next()) !== undefined) continue;
    throw notEnough(segment, `record ${cursor.expectedLsn} is not whole either: begin with it`);
  }
  return cursor.offsetBytes;
}

/** Where the first record behind the span begins, or the end of the segment. */
async function endOf(
  segment: LiveSegment,
  reader: SegmentReader,
  { span, fromBytes }: { readonly span: LsnSpan; readonly fromBytes: number },
): Promise<number> {
  const { lastLsnMax, header } = segment;
  if (span.lastLsn >= lastLsnMax) return header.segmentBytes;
  // Those in the span may be sound or not.
  const found = await findHeader(segment, reader, { fromBytes, afterLsn: span.lastLsn });
  if (found?.lsn === span.lastLsn + 1) return found.offsetBytes;
  if (found !== undefined) {
    throw notEnough(segment, `the next whole record is ${found.lsn}: end with ${found.lsn - 1}`);
  }
  if (!Number.isFinite(lastLsnMax)) return header.segmentBytes;
  throw notEnough(segment, `nothing behind it is whole: end with ${lastLsnMax}`);
}

/** The bytes of a whole span; what is left of its place behind the last filler are zeros. */
function fillers(
  segment: LiveSegment,
  { firstLsn, lastLsn }: LsnSpan,
  { fromBytes, toBytes }: { readonly fromBytes: number; readonly toBytes: number },
): Buffer {
  const bytes = Buffer.alloc(toBytes - fromBytes);
  const isRest = toBytes === segment.header.segmentBytes;
  for (let lsn = firstLsn; lsn <= lastLsn; lsn += 1) {
    const at = (lsn - firstLsn) * FILLER_BYTES;
    const restBytes = bytes.byteLength - at - RECORD_HEADER_BYTES;
    // The last one reaches to the next record; at the end of the log zeros may follow.
    const isLong = lsn === lastLsn && !isRest;
    const payloadBytes = isLong ? restBytes : FILLER_PAYLOAD_BYTES;
    if (restBytes < payloadBytes || payloadBytes > PAYLOAD_BYTES_MAX) {
      throw notEnough(segment, 'its bytes have no room for so many records: give a smaller range');
    }
    const from = at + RECORD_HEADER_BYTES;
    const header = encodeRecordHeader(
      {
        type: RECORD_TYPES.watermark,
        isRoundedUp: false,
        payloadBytes,
        payloadCrc: crc32(bytes.subarray(from, from + payloadBytes)),
        lsn: lsn as Lsn,
        durableLsn: 0 as Lsn,
      },
      headerSeed(segment.header.salt, fromBytes + at),
    );
    bytes.set(header, at);
  }
  assert(lastLsn >= firstLsn, 'an empty span of records');
  return bytes;
}

async function write(file: DiskFile, bytes: Buffer, atBytes: number): Promise<void> {
  const taken = await file.write([bytes], atBytes);
  if (taken !== bytes.byteLength) throw shortWrite(file.path, bytes.byteLength, taken);
}

function notEnough({ path }: LiveSegment, what: string): MillraceError {
  return new MillraceError('OPTIONS_INVALID', `this range cannot be dropped from ${path}: ${what}`);
}
