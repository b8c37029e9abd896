/** A place in a log where records cannot be read, and the search for where they can be read again.
 *
 *     │ 99 │ 100 │ ✗✗✗✗✗✗ │ 102 │ 103 │      one hole: 101, up to the header of 102
 *
 * A record behind a hole counts when its header and payload are sound, as everywhere. Whether the
 * hole is damage, or the end of a write that nobody was told about, log-verdict.ts decides.
 * @module */
import type { Lsn } from '../../core/ids.ts';
import type { FoundSegment } from '../../wal/segment-list.ts';
import {
  RECORD_ALIGN_BYTES,
  RECORD_HEADER_BYTES,
  decodeRecordHeader,
  headerSeed,
} from '../../wal/record-header.ts';
import type { SegmentReader } from '../../wal/segment-reader.ts';

export interface LogHole {
  readonly path: string;
  readonly fromBytes: number;
  readonly toBytes: number;
  readonly firstLsn: number;
  /** Absent when nothing behind it tells how far it reaches. */
  readonly lastLsn?: number;
  /** A whole file is missing, or has no header: no range of records can be taken out of it. */
  readonly isFile: boolean;
}

export interface SoundHeader {
  readonly lsn: Lsn;
  readonly offsetBytes: number;
  readonly durableLsn: Lsn;
}

/** The first sound header of a record above `afterLsn` from `fromBytes` on. */
export async function findHeader(
  { header: { salt } }: FoundSegment,
  reader: SegmentReader,
  { fromBytes, afterLsn }: { readonly fromBytes: number; readonly afterLsn: number },
): Promise<SoundHeader | undefined> {
  let at = fromBytes;
  while (await reader.moveTo(at, RECORD_HEADER_BYTES)) {
    const { bytes, startBytes, endBytes } = reader;
    for (; at + RECORD_HEADER_BYTES <= endBytes; at += RECORD_ALIGN_BYTES) {
      const found = decodeRecordHeader(bytes, at - startBytes, headerSeed(salt, at));
      if (found === undefined || found === 'unknown' || found.lsn <= afterLsn) continue;
      return { lsn: found.lsn, offsetBytes: at, durableLsn: found.durableLsn };
    }
  }
  return undefined;
}

/** `records 17 to 19`, `record 17`, `records from 17 on` */
export function spanText({ firstLsn, lastLsn }: Pick<LogHole, 'firstLsn' | 'lastLsn'>): string {
  if (lastLsn === undefined) return `records from ${firstLsn} on`;
  return lastLsn === firstLsn ? `record ${firstLsn}` : `records ${firstLsn} to ${lastLsn}`;
}

/** `bytes 8192 to 12288 of …/0000000000000001.wal` */
export function placeText({ path, fromBytes, toBytes, isFile }: LogHole): string {
  if (!isFile) return `bytes ${fromBytes} to ${toBytes} of ${path}`;
  return toBytes === 0 ? `a file before ${path} is missing` : `the header of ${path} is bad`;
}

/** Adds a hole, or makes the last one longer where it goes on. */
export function addHole(holes: LogHole[], hole: LogHole): void {
  const last = holes.at(-1);
  const isNext = last?.path === hole.path && last.lastLsn === hole.firstLsn - 1;
  if (last === undefined || !isNext || last.isFile !== hole.isFile) holes.push(hole);
  else holes[holes.length - 1] = { ...hole, fromBytes: last.fromBytes, firstLsn: last.firstLsn };
}
