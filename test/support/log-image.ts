/** The bytes of a whole small log, and a map of them: what each byte belongs to.
 *
 * The map is read from a sound log by the format's page alone (docs/wal-format.md), not by the
 * code under test: it takes no CRC into account, because nothing is wrong yet.
 * @module */
import { join } from 'node:path';

const PAGE_BYTES = 4096;
const HEADER_BYTES = 32;

/** One segment file; its bytes are a part of the image. */
export interface ImageFile {
  readonly path: string;
  /** In the image. */
  readonly from: number;
  readonly to: number;
  readonly baseLsn: number;
  /** What its header proves synced. */
  readonly provenLsn: number;
  /** Last LSN that counts in it. */
  readonly lastLsnMax: number;
}

export interface ImageRecord {
  readonly lsn: number;
  readonly fileIndex: number;
  readonly isPayload: boolean;
  readonly durableLsn: number;
  /** In the image: header, payload behind it, end of the payload. */
  readonly from: number;
  readonly to: number;
}

export interface LogImage {
  readonly name: string;
  readonly directory: string;
  readonly bytes: Buffer;
  readonly files: readonly ImageFile[];
  /** All that count, in the order of their LSNs. */
  readonly records: readonly ImageRecord[];
  /** As long as `bytes`: content that each place had in an earlier life of its file. */
  readonly older: Uint8Array;
}

export interface ImageSource {
  readonly name: string;
  readonly directory: string;
  /** Segment files, oldest first: name and content now, and in an earlier life. */
  readonly segments: readonly { name: string; bytes: Uint8Array; older: Uint8Array }[];
}

export function imageOf({ name, directory, segments }: ImageSource): LogImage {
  const bytes = Buffer.concat(segments.map((segment) => segment.bytes));
  const files: ImageFile[] = [];
  let from = 0;
  for (const segment of segments) {
    const to = from + segment.bytes.byteLength;
    const header = bytes.subarray(from, to);
    files.push({
      path: join(directory, segment.name),
      from,
      to,
      baseLsn: uint64(header, 48),
      provenLsn: Math.max(uint64(header, 64), uint64(header, 72)),
      lastLsnMax: Number.POSITIVE_INFINITY,
    });
    from = to;
  }
  const limited = files.map((file, index) => {
    const later = files.slice(index + 1).map(({ baseLsn }) => baseLsn - 1);
    return { ...file, lastLsnMax: Math.min(Number.POSITIVE_INFINITY, ...later) };
  });
  const records = limited.flatMap((file, index) => recordsOf(bytes, file, index));
  const older = Buffer.concat(segments.map((segment) => segment.older));
  return { name, directory, bytes, files: limited, records, older };
}

function recordsOf(bytes: Buffer, file: ImageFile, fileIndex: number): ImageRecord[] {
  const records: ImageRecord[] = [];
  let at = file.from + PAGE_BYTES;
  for (let lsn = file.baseLsn; lsn <= file.lastLsnMax && at < file.to; lsn += 1) {
    if (bytes.readUInt16LE(at + 2) !== 0x524d || uint64(bytes, at + 16) !== lsn) break;
    const to = at + HEADER_BYTES + bytes.readUInt32LE(at + 4);
    const isPayload = bytes[at] === 1;
    const durableLsn = uint64(bytes, at + 24);
    records.push({ lsn, fileIndex, isPayload, durableLsn, from: at, to });
    const align = bytes[at + 1] === 1 ? PAGE_BYTES : 8;
    at = file.from + Math.ceil((to - file.from) / align) * align;
  }
  return records;
}

function uint64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}
