/** What a log directory holds: its segments with their headers, and files that do not belong to it.
 * Reads only. @module */
import { join } from 'node:path';
import { present } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import { lostBytesErrno } from './read-fault.ts';
import { SEGMENT_HEADER_BYTES, decodeSegmentHeader } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import { parseSegmentName, parseSpareName } from './segment-name.ts';

export interface FoundSegment {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly headerCrc: number;
  /** Length of the file, which may differ from what the header says only when it is damaged. */
  readonly sizeBytes: number;
}

/** A file with a segment's name whose header is not that segment's header: damage. */
export interface UnreadableSegment {
  readonly path: string;
  readonly seq: number;
  /** Present when the device does not give the header back: what the operating system said. */
  readonly errno?: string;
}

export interface LogListing {
  /** By rising seq. */
  readonly segments: readonly (FoundSegment | UnreadableSegment)[];
  /** File names of spares and of segments that were never named. */
  readonly spares: readonly string[];
}

/** A missing directory is an empty log.
 * @throws {MillraceError} FORMAT_UNKNOWN when a segment was written by a newer version. */
export async function listLog(disk: Disk, directory: string): Promise<LogListing> {
  const names = (await disk.list(directory)) ?? [];
  const segments: (FoundSegment | UnreadableSegment)[] = [];
  for (const name of names) {
    const seq = parseSegmentName(name); // sorted names are sorted seqs
    if (seq !== undefined) segments.push(await readHeader(disk, join(directory, name), seq));
  }
  return { segments, spares: names.filter((name) => parseSpareName(name) !== undefined) };
}

/** The segments of a log that has been judged sound enough to be opened.
 * @throws {MillraceError} WAL_CORRUPT when a header is damaged, or the device does not give it
 *   back. */
export function requireReadable(listing: LogListing): FoundSegment[] {
  return listing.segments.map((segment) => {
    if ('header' in segment) return segment;
    const { path, seq, errno } = segment;
    const what = errno === undefined ? 'is damaged' : `cannot be read (${errno})`;
    throw new MillraceError(
      'WAL_CORRUPT',
      `the header of the log segment ${path} ${what}: the log cannot be continued`,
      { details: { path, segmentSeq: seq } },
    );
  });
}

/** The lowest number that no spare of the directory has. */
export function freeSpareNumber(listing: LogListing): number {
  const taken = listing.spares.map((name) =>
    present(parseSpareName(name), 'the number of a spare'),
  );
  return Math.max(0, ...taken) + 1;
}

async function readHeader(
  disk: Disk,
  path: string,
  seq: number,
): Promise<FoundSegment | UnreadableSegment> {
  try {
    return await readHeaderOf(await disk.openForReading(path), seq);
  } catch (thrown) {
    const errno = lostBytesErrno(thrown);
    if (errno === undefined) throw thrown;
    return { path, seq, errno };
  }
}

async function readHeaderOf(
  file: DiskFile,
  seq: number,
): Promise<FoundSegment | UnreadableSegment> {
  const { path } = file;
  try {
    const page = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const got = await file.read(page, 0);
    const decoded = decodeSegmentHeader(page.subarray(0, got), path);
    if (decoded === undefined || decoded.header.seq !== seq) return { path, seq };
    const sizeBytes = await file.sizeBytes();
    return { path, header: decoded.header, headerCrc: decoded.crc, sizeBytes };
  } finally {
    await file.close();
  }
}
