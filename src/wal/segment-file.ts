/** Making one segment of the log: header, sync, name, durable name. In that order, so that a file
 * with a segment's name always has a sound header and whatever was carried over into it.
 * @module */
import { dirname, join } from 'node:path';
import type { Disk, DiskFile } from './disk.ts';
import type { SegmentHeader } from './segment-header.ts';
import { SEGMENT_HEADER_BYTES, encodeSegmentHeader } from './segment-header.ts';
import { segmentName } from './segment-name.ts';
import { shortWrite } from './short-write.ts';
import type { Slab } from './slab.ts';

/** The segment that is being written. One owner. */
export interface ActiveSegment extends SegmentHeader {
  readonly path: string;
  readonly file: DiskFile;
  readonly headerCrc: number;
  /** Where the next group starts. */
  endBytes: number;
}

/** Writes the header into `file`, which still has another name. Not synced. */
export async function beginSegment(
  header: SegmentHeader,
  place: { readonly file: DiskFile; readonly directory: string },
  slab: Slab,
): Promise<ActiveSegment> {
  const { file, directory } = place;
  const page = slab.take(SEGMENT_HEADER_BYTES).subarray(0, SEGMENT_HEADER_BYTES);
  const headerCrc = encodeSegmentHeader(header, page);
  const taken = await file.write([page], 0);
  if (taken !== SEGMENT_HEADER_BYTES) throw shortWrite(file.path, SEGMENT_HEADER_BYTES, taken);
  const path = join(directory, segmentName(header.seq));
  return { ...header, path, file, headerCrc, endBytes: SEGMENT_HEADER_BYTES };
}

/** The cause of a failure, with the name that the segment has now: its file was opened under the
 * name of a spare. */
export function inOwnWords(cause: Error, segment: ActiveSegment): string {
  return cause.message.replaceAll(segment.file.path, segment.path);
}

/** Gives a begun segment its name. When it resolves, content and name are durable.
 * @param atRename called when only the name is missing. */
export async function nameSegment(
  disk: Disk,
  segment: ActiveSegment,
  atRename?: () => void,
): Promise<void> {
  await segment.file.sync();
  atRename?.();
  await disk.rename(segment.file.path, segment.path);
  await disk.syncDirectory(dirname(segment.path));
}
