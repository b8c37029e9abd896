/** Walks the records of one segment, and searches what lies behind the first bad one.
 *
 * A record counts when its header CRC (seeded by salt and offset), its LSN and its payload CRC are
 * right. A length is used only after its header CRC held, and only within the segment and the cap.
 * Nothing here decides whether a bad record is a torn write or damage.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import {
  PAYLOAD_BYTES_MAX,
  RECORD_ALIGN_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  decodeRecordHeader,
  headerSeed,
  looksLikeRecord,
  nextOffset,
} from './record-header.ts';
import type { RecordHeader } from './record-header.ts';
import type { ScannedRecord } from './scanned-record.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { FoundSegment } from './segment-list.ts';
import type { SegmentReader } from './segment-reader.ts';

/** Called for each valid record. `payload` lies in the window: good until the call returns. */
export type RecordHandler = (record: ScannedRecord, payload: Buffer) => void;

/** Where a walk ended, and what is there. */
export interface WalkEnd {
  /** LSN of the record that should be at `offsetBytes`. */
  readonly expectedLsn: Lsn;
  readonly offsetBytes: number;
  /** Something is there that only a write of that record can have left. */
  readonly isTouched: boolean;
}

/** Valid headers behind the end of a walk. */
export interface FoundBehind {
  /** Of the first one. */
  readonly offsetBytes: number;
  readonly lsn: Lsn;
  /** Highest of all. */
  readonly durableLsn: Lsn;
}

/** Reads records from the segment's base up to `lastLsn`, or to the first that is not valid.
 * @throws {MillraceError} FORMAT_UNKNOWN for a sound record of an unknown kind. */
export async function walkSegment(
  { segment, reader }: { readonly segment: FoundSegment; readonly reader: SegmentReader },
  lastLsn: number,
  handle: RecordHandler,
): Promise<WalkEnd> {
  let offsetBytes = SEGMENT_HEADER_BYTES;
  let expectedLsn = segment.header.baseLsn;
  while (expectedLsn <= lastLsn) {
    if (!(await reader.moveTo(offsetBytes, RECORD_HEADER_BYTES))) break;
    const header = decodeAt(segment, reader, offsetBytes);
    if (header === undefined || header.lsn !== expectedLsn) break;
    const payload = await payloadOf(header, reader, offsetBytes);
    if (payload === undefined) return { expectedLsn, offsetBytes, isTouched: true };
    handle(recordAt(segment, header, offsetBytes), payload);
    offsetBytes = nextOffset(header, offsetBytes);
    expectedLsn = (expectedLsn + 1) as Lsn;
  }
  const isTouched =
    reader.holds(offsetBytes, RECORD_HEADER_BYTES) &&
    looksLikeRecord(reader.bytes, offsetBytes - reader.startBytes, expectedLsn);
  return { expectedLsn, offsetBytes, isTouched };
}

/** Searches all valid headers from `fromBytes` to the end of the segment. */
export async function searchHeaders(
  { segment, reader }: { readonly segment: FoundSegment; readonly reader: SegmentReader },
  fromBytes: number,
): Promise<FoundBehind | undefined> {
  let found: FoundBehind | undefined;
  let at = fromBytes;
  while (await reader.moveTo(at, RECORD_HEADER_BYTES)) {
    const end = reader.endBytes - RECORD_HEADER_BYTES;
    for (; at <= end; at += RECORD_ALIGN_BYTES) {
      if (reader.bytes.readUInt16LE(at - reader.startBytes + 2) !== RECORD_MAGIC) continue;
      const header = decodeAt(segment, reader, at);
      if (header === undefined) continue;
      found = {
        offsetBytes: found?.offsetBytes ?? at,
        lsn: found?.lsn ?? header.lsn,
        durableLsn: Math.max(found?.durableLsn ?? 0, header.durableLsn) as Lsn,
      };
    }
  }
  return found;
}

function decodeAt(
  segment: FoundSegment,
  reader: SegmentReader,
  offsetBytes: number,
): RecordHeader | undefined {
  const seed = headerSeed(segment.header.salt, offsetBytes);
  const header = decodeRecordHeader(reader.bytes, offsetBytes - reader.startBytes, seed);
  if (header !== 'unknown') return header;
  throw new MillraceError(
    'FORMAT_UNKNOWN',
    `byte ${offsetBytes} of ${segment.path} has a sound record of a kind that this version does ` +
      'not know: it was written by a newer version of millrace; upgrade',
    { details: { path: segment.path, offsetBytes } },
  );
}

async function payloadOf(
  header: RecordHeader,
  reader: SegmentReader,
  offsetBytes: number,
): Promise<Buffer | undefined> {
  const { payloadBytes } = header;
  if (payloadBytes > PAYLOAD_BYTES_MAX) return undefined;
  const isThere = await reader.moveTo(offsetBytes, RECORD_HEADER_BYTES + payloadBytes);
  if (!isThere) return undefined;
  const start = offsetBytes - reader.startBytes + RECORD_HEADER_BYTES;
  const payload = reader.bytes.subarray(start, start + payloadBytes);
  return crc32(payload) === header.payloadCrc ? payload : undefined;
}

function recordAt(segment: FoundSegment, header: RecordHeader, offsetBytes: number): ScannedRecord {
  return {
    lsn: header.lsn,
    type: header.type,
    durableLsn: header.durableLsn,
    segmentSeq: segment.header.seq,
    path: segment.path,
    offsetBytes,
    payloadBytes: header.payloadBytes,
    payloadCrc: header.payloadCrc,
  };
}
