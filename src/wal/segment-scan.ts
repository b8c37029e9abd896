/** Walks the records of one segment, and searches what lies behind the first bad one.
 *
 *     RecordWalk.advance(window) ──► bytes that it needs next ──► SegmentReader.moveTo ──► again
 *
 * Both work on bytes in memory and wait for nothing; only the loops around them read the file. A
 * record counts when its header CRC (seeded by salt and offset), its LSN and its payload CRC are
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
  decodeRecordHeader,
  hasRecordMagic,
  headerSeed,
  looksLikeRecord,
  nextOffset,
} from './record-header.ts';
import type { RecordHeader } from './record-header.ts';
import type { ScannedRecord } from './scanned-record.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import type { FoundSegment } from './segment-list.ts';
import type { ByteWindow, SegmentReader } from './segment-reader.ts';

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

/** A segment, and the memory through which it is read. */
export interface OpenSegment {
  readonly segment: FoundSegment;
  readonly reader: SegmentReader;
}

/** Reads records from the segment's base up to `lastLsn`, or to the first that is not valid.
 * @throws {MillraceError} FORMAT_UNKNOWN for a sound record of an unknown kind. */
export async function walkSegment(
  { segment, reader }: OpenSegment,
  lastLsn: number,
  handle: RecordHandler,
): Promise<WalkEnd> {
  const walk = new RecordWalk(segment, lastLsn, handle);
  for (let needed = walk.advance(reader); needed > 0; needed = walk.advance(reader)) {
    if (await reader.moveTo(walk.offsetBytes, needed)) continue;
    walk.isTouched = needed > RECORD_HEADER_BYTES; // a sound header, and no room for its payload
    break;
  }
  return walk;
}

/** Searches all valid headers from `fromBytes` to the end of the segment. */
export async function searchHeaders(
  { segment, reader }: OpenSegment,
  fromBytes: number,
): Promise<FoundBehind | undefined> {
  const search = new HeaderSearch(segment, fromBytes);
  do search.advance(reader);
  while (await reader.moveTo(search.offsetBytes, RECORD_HEADER_BYTES));
  return search.found;
}

/** One pass over the records of a segment. */
export class RecordWalk implements WalkEnd {
  readonly #segment: FoundSegment;
  /** It ends behind this record; may be raised then, to go on. */
  lastLsn: number;
  readonly #handle: RecordHandler;
  expectedLsn: Lsn;
  offsetBytes: number = SEGMENT_HEADER_BYTES;
  isTouched = false;

  constructor(segment: FoundSegment, lastLsn: number, handle: RecordHandler) {
    this.#segment = segment;
    this.lastLsn = lastLsn;
    this.#handle = handle;
    this.expectedLsn = segment.header.baseLsn;
  }

  /** Handles the records that are whole in the window.
   * @returns how many bytes from `offsetBytes` on it needs to go on; 0 when it has ended. */
  advance(window: ByteWindow): number {
    while (this.expectedLsn <= this.lastLsn) {
      const heldBytes = window.endBytes - this.offsetBytes;
      if (heldBytes < RECORD_HEADER_BYTES) return RECORD_HEADER_BYTES;
      const header = decodeAt(this.#segment, window, this.offsetBytes);
      if (header === undefined || header.lsn !== this.expectedLsn) {
        const at = this.offsetBytes - window.startBytes;
        this.isTouched = looksLikeRecord(window.bytes, at, this.expectedLsn);
        return 0;
      }
      const recordBytes = RECORD_HEADER_BYTES + header.payloadBytes;
      const isPossible = header.payloadBytes <= PAYLOAD_BYTES_MAX;
      if (isPossible && heldBytes < recordBytes) return recordBytes;
      if (!isPossible || !this.#take(header, window)) {
        this.isTouched = true;
        return 0;
      }
    }
    return 0;
  }

  /** @returns false when the payload is not what the header says. */
  #take(header: RecordHeader, window: ByteWindow): boolean {
    const from = this.offsetBytes - window.startBytes + RECORD_HEADER_BYTES;
    const payload = window.bytes.subarray(from, from + header.payloadBytes);
    if (crc32(payload) !== header.payloadCrc) return false;
    this.#handle(recordAt(this.#segment, header, this.offsetBytes), payload);
    this.offsetBytes = nextOffset(header, this.offsetBytes);
    this.expectedLsn = (this.expectedLsn + 1) as Lsn;
    return true;
  }
}

/** One search for headers, which may stand on every multiple of RECORD_ALIGN_BYTES. */
class HeaderSearch {
  readonly #segment: FoundSegment;
  /** Where it goes on: the first place that was not looked at. */
  offsetBytes: number;
  found: FoundBehind | undefined;

  constructor(segment: FoundSegment, fromBytes: number) {
    this.#segment = segment;
    this.offsetBytes = fromBytes;
  }

  /** Looks at all places of the window from `offsetBytes` on. */
  advance(window: ByteWindow): void {
    const { bytes, startBytes, endBytes } = window;
    const last = endBytes - RECORD_HEADER_BYTES;
    let at = this.offsetBytes;
    for (; at <= last; at += RECORD_ALIGN_BYTES) {
      if (hasRecordMagic(bytes, at - startBytes)) this.#look(window, at);
    }
    this.offsetBytes = at;
  }

  #look(window: ByteWindow, at: number): void {
    const header = decodeAt(this.#segment, window, at);
    if (header === undefined) return;
    const { offsetBytes, lsn, durableLsn } = this.found ?? { ...header, offsetBytes: at };
    const highest = Math.max(durableLsn, header.durableLsn) as Lsn;
    this.found = { offsetBytes, lsn, durableLsn: highest };
  }
}

function decodeAt(
  segment: FoundSegment,
  window: ByteWindow,
  offsetBytes: number,
): RecordHeader | undefined {
  const seed = headerSeed(segment.header.salt, offsetBytes);
  const header = decodeRecordHeader(window.bytes, offsetBytes - window.startBytes, seed);
  if (header !== 'unknown') return header;
  throw new MillraceError(
    'FORMAT_UNKNOWN',
    `byte ${offsetBytes} of ${segment.path} has a sound record of a kind that this version does ` +
      'not know: it was written by a newer version of millrace; upgrade',
    { details: { path: segment.path, offsetBytes } },
  );
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
