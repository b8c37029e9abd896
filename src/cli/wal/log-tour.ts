/** Reads the records of a log one after the other, also of a log that an engine is writing.
 *
 * For tools: unlike scanLog it hands out control records too, waits for its reader, and can begin
 * at any LSN. Segments may be recycled under it: a file that is gone, or that ends in the middle of
 * the log, is looked for again, and the tour goes on where it was. Decides nothing about damage.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import type { Lsn } from '../../core/ids.ts';
import type { Disk } from '../../wal/disk.ts';
import { findLiveSegments } from '../../wal/live-segments.ts';
import type { LiveSegment, LiveSegments } from '../../wal/live-segments.ts';
import { ReadWindow, SegmentReader } from '../../wal/segment-reader.ts';
import { RecordCursor } from './record-cursor.ts';
import type { ScannedRecord } from '../../wal/scanned-record.ts';

/** A busy log recycles a segment in not less than the time that writing one takes. */
const ATTEMPTS_MAX = 10;

/** `payload` is good until what the call returned has settled. */
export type RecordVisitor = (record: ScannedRecord, payload: Buffer) => Promise<void> | void;

export interface TouredSegment {
  readonly segment: LiveSegment;
  readonly end: Pick<RecordCursor, 'expectedLsn' | 'offsetBytes' | 'isTouched'>;
  readonly recordCount: number;
}

export interface LogTour {
  readonly live: LiveSegments;
  /** Those that were read, in order. */
  readonly segments: readonly TouredSegment[];
  /** LSN after the last record that was found. */
  readonly nextLsn: Lsn;
  /** How often files had been recycled under the reader. */
  readonly recycledCount: number;
  /** Records that were recycled before they could be read; 0 without an engine beside it. */
  readonly missedCount: number;
}

export interface TourRange {
  /** @defaultValue the log's first */
  readonly fromLsn?: number;
  /** Inclusive. @defaultValue the log's last */
  readonly toLsn?: number;
}

/** Hands each record in the range to `visit`, once, by rising LSN.
 * @throws {MillraceError} FORMAT_UNKNOWN, DISK_FAILED; what `visit` throws. */
export async function tourLog(
  disk: Disk,
  directory: string,
  { visit, fromLsn = 1, toLsn = Infinity }: TourRange & { readonly visit?: RecordVisitor },
): Promise<LogTour> {
  const window = new ReadWindow();
  let next = fromLsn;
  let missedCount = 0;
  const handle: RecordVisitor = (record, payload) => {
    if (record.lsn < next || record.lsn > toLsn) return undefined;
    next = record.lsn + 1;
    return visit?.(record, payload);
  };
  for (let attempt = 0; ; attempt += 1) {
    const live = await findWithin(disk, directory, attempt);
    if (live === undefined) continue;
    const first = live.segments[0]?.header.baseLsn ?? next;
    if (attempt > 0 && first > next) {
      missedCount += first - next;
      next = first;
    }
    const segments = await readSegments(disk, live, { window, handle, fromLsn: next, toLsn });
    const isWhole = segments !== undefined && endsAtItsEnd(live, segments, toLsn);
    const isLast = attempt + 1 === ATTEMPTS_MAX;
    if (isWhole || isLast || !(await hasMoved(disk, directory, live))) {
      const nextLsn = (segments?.at(-1)?.end.expectedLsn ?? next) as Lsn;
      return { live, segments: segments ?? [], nextLsn, recycledCount: attempt, missedCount };
    }
  }
}

/** @returns `undefined` when a segment went away between listing and reading it. */
async function findWithin(disk: Disk, directory: string, attempt: number) {
  try {
    return await findLiveSegments(disk, directory);
  } catch (error) {
    if (!isGone(error) || attempt + 1 === ATTEMPTS_MAX) throw error;
    return undefined;
  }
}

interface TourState {
  readonly window: ReadWindow;
  readonly handle: RecordVisitor;
  readonly fromLsn: number;
  readonly toLsn: number;
}

/** @returns `undefined` when a file was gone. */
async function readSegments(
  disk: Disk,
  live: LiveSegments,
  { window, handle, fromLsn, toLsn }: TourState,
): Promise<readonly TouredSegment[] | undefined> {
  const toured: TouredSegment[] = [];
  try {
    for (const segment of live.segments) {
      if (segment.lastLsnMax < fromLsn) continue;
      if (segment.header.baseLsn > toLsn) break;
      toured.push(await readSegment(disk, segment, { window, handle, toLsn }));
      const reachedLsn = toured.at(-1)?.end.expectedLsn ?? 0;
      if (reachedLsn <= segment.lastLsnMax) break;
    }
    return toured;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

async function readSegment(
  disk: Disk,
  segment: LiveSegment,
  { window, handle, toLsn }: Omit<TourState, 'fromLsn'>,
): Promise<TouredSegment> {
  const file = await disk.openForReading(segment.path);
  try {
    const limitBytes = Math.min(segment.header.segmentBytes, segment.sizeBytes);
    const reader = new SegmentReader(file, limitBytes, window);
    const cursor = new RecordCursor(segment, reader);
    const lastLsn = Math.min(segment.lastLsnMax, toLsn);
    let recordCount = 0;
    while (cursor.expectedLsn <= lastLsn) {
      const found = await cursor.next();
      if (found === undefined) break;
      recordCount += 1;
      const held = handle(found.record, found.payload);
      if (held !== undefined) await held;
    }
    return { segment, end: cursor, recordCount };
  } finally {
    await file.close();
  }
}

/** False when a record is missing before the last segment, or the log is broken there. */
function endsAtItsEnd(
  { segments, break: broken }: LiveSegments,
  toured: readonly TouredSegment[],
  toLsn: number,
): boolean {
  const last = toured.at(-1);
  if (last !== undefined && last.end.expectedLsn > toLsn) return true;
  return broken === undefined && last?.segment === segments.at(-1);
}

/** True when the log's oldest segments are no longer those of `live`: an engine recycles them. */
async function hasMoved(disk: Disk, directory: string, live: LiveSegments): Promise<boolean> {
  try {
    const now = await findLiveSegments(disk, directory);
    return now.segments[0]?.header.seq !== live.segments[0]?.header.seq;
  } catch (error) {
    if (isGone(error)) return true;
    throw error;
  }
}

/** True when a file was not there any more. */
export function isGone(error: unknown): boolean {
  return error instanceof MillraceError && error.details['errno'] === 'ENOENT';
}
