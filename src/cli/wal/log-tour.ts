/** Reads the records of a log one after the other, also of a log that an engine is writing.
 *
 * For tools: unlike scanLog it hands out control records too, waits for its reader, and can begin
 * at any LSN. Segments may be recycled under it: a file that is gone, or that ends in the middle of
 * the log, is looked for again, and the tour goes on where it was. Behind a place that cannot be
 * read it goes on where records can be read again. Decides nothing about damage.
 * @module */
import { MillraceError } from '../../core/errors.ts';
import type { Lsn } from '../../core/ids.ts';
import type { Disk } from '../../wal/disk.ts';
import { findLiveSegments, provenByHeader } from '../../wal/live-segments.ts';
import type { LiveSegment, LiveSegments } from '../../wal/live-segments.ts';
import { RECORD_ALIGN_BYTES } from '../../wal/record-header.ts';
import { ReadMemory } from '../../wal/read-memory.ts';
import { SegmentReader } from '../../wal/segment-reader.ts';
import { addHole, findHeader } from './log-hole.ts';
import type { LogHole } from './log-hole.ts';
import { RecordCursor } from './record-cursor.ts';
import type { ScannedRecord } from '../../wal/scanned-record.ts';
import { SEGMENT_HEADER_BYTES } from '../../wal/segment-header.ts';

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
  /** What of the range cannot be read, in order. The last one may be the end of a torn write. */
  readonly holes: readonly LogHole[];
  /** Highest LSN that a header or a record says was synced: a hole at or below it is damage. */
  readonly durableLsn: number;
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

export interface TourOptions extends TourRange {
  readonly visit?: RecordVisitor | undefined;
  /** An engine writes here: what is not whole in the last segment is being written. */
  readonly isRunning?: boolean;
}

/** Hands each record in the range to `visit`, once, by rising LSN.
 * @throws {MillraceError} FORMAT_UNKNOWN, DISK_FAILED; what `visit` throws. */
export async function tourLog(
  disk: Disk,
  directory: string,
  { visit, fromLsn = 1, toLsn = Infinity, isRunning = false }: TourOptions,
): Promise<LogTour> {
  const state = new TourState({ disk, directory, visit, fromLsn, toLsn, isRunning });
  let missedCount = 0;
  for (let attempt = 0; ; attempt += 1) {
    const live = await findWithin(disk, directory, attempt);
    if (live === undefined) continue;
    const first = live.segments[0]?.header.baseLsn ?? state.nextLsn;
    if (attempt > 0 && first > state.nextLsn) {
      missedCount += first - state.nextLsn;
      state.nextLsn = first;
    }
    const isLast = attempt + 1 === ATTEMPTS_MAX;
    const segments = await readSegments(live, state);
    if (segments === undefined && !isLast) continue;
    const { holes, durableLsn } = state;
    const nextLsn = (segments?.at(-1)?.end.expectedLsn ?? state.nextLsn) as Lsn;
    const counts = { recycledCount: attempt, missedCount };
    return { live, segments: segments ?? [], nextLsn, holes, durableLsn, ...counts };
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

/** What one tour has seen, whatever files were recycled meanwhile. */
class TourState {
  readonly disk: Disk;
  readonly directory: string;
  readonly toLsn: number;
  readonly isRunning: boolean;
  readonly memory: ReadMemory;
  readonly holes: LogHole[] = [];
  readonly #visit: RecordVisitor | undefined;
  /** Everything below has been handed out, or told as a hole. */
  nextLsn: number;
  durableLsn = 0;

  constructor(input: Required<TourOptions> & { readonly disk: Disk; readonly directory: string }) {
    this.disk = input.disk;
    this.memory = new ReadMemory(input.disk);
    this.directory = input.directory;
    this.toLsn = input.toLsn;
    this.isRunning = input.isRunning;
    this.#visit = input.visit;
    this.nextLsn = input.fromLsn;
  }

  take(record: ScannedRecord, payload: Buffer): Promise<void> | void {
    this.durableLsn = Math.max(this.durableLsn, record.durableLsn);
    if (record.lsn < this.nextLsn || record.lsn > this.toLsn) return undefined;
    this.nextLsn = record.lsn + 1;
    return this.#visit?.(record, payload);
  }

  skip(hole: LogHole): void {
    const { firstLsn, lastLsn = Infinity } = hole;
    if (lastLsn < this.nextLsn || firstLsn > this.toLsn) return;
    addHole(this.holes, hole);
    if (Number.isFinite(lastLsn)) this.nextLsn = lastLsn + 1;
  }
}

/** @returns `undefined` when a file was gone, or was recycled while it was read. */
async function readSegments(
  live: LiveSegments,
  state: TourState,
): Promise<readonly TouredSegment[] | undefined> {
  const toured: TouredSegment[] = [];
  const { segments, behind, logId } = live;
  // Behind a break each header speaks for its own segment, if it is one of this log.
  const all = [...segments, ...behind.filter(({ header }) => header.logId === logId)];
  for (const segment of all) state.durableLsn = Math.max(state.durableLsn, provenByHeader(segment));
  try {
    if (live.break !== undefined && (await hasMoved(state.disk, state.directory, live))) {
      return undefined;
    }
    const firstBehind = all.find((segment) => behind.includes(segment));
    for (const segment of all) {
      if (segment === firstBehind) tellBreak(live, firstBehind, state);
      if (segment.lastLsnMax < state.nextLsn) continue;
      if (segment.header.baseLsn > state.toLsn) break;
      const read = await readSegment(live, segment, state);
      if (read === undefined) return undefined;
      toured.push(read);
    }
    if (firstBehind === undefined) tellBreak(live, undefined, state);
    return toured;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** A file that is missing, or bad as a whole. */
function tellBreak(
  { segments, break: broken }: LiveSegments,
  behind: LiveSegment | undefined,
  state: TourState,
): void {
  if (broken === undefined) return;
  const before = segments.at(-1);
  const next = behind?.header.baseLsn;
  // In front of it the last segment may hold anything up to the next one: it has told its holes.
  const firstLsn = before === undefined ? 1 : state.nextLsn;
  const lastLsn = next === undefined ? undefined : next - 1;
  const toBytes = broken.kind === 'segment-missing' ? 0 : SEGMENT_HEADER_BYTES;
  const isFile = true;
  const place = { path: broken.path, fromBytes: 0, toBytes, isFile };
  if (lastLsn === undefined) state.skip({ ...place, firstLsn });
  else if (lastLsn >= firstLsn) state.skip({ ...place, firstLsn, lastLsn });
}

/** @returns `undefined` when it was recycled meanwhile. */
async function readSegment(
  live: LiveSegments,
  segment: LiveSegment,
  state: TourState,
): Promise<TouredSegment | undefined> {
  const file = await state.disk.openForReading(segment.path);
  const limitBytes = Math.min(segment.header.segmentBytes, segment.sizeBytes);
  const reader = new SegmentReader(file, limitBytes, state.memory);
  try {
    const cursor = new RecordCursor(segment, reader);
    const lastLsn = Math.min(segment.lastLsnMax, state.toLsn);
    let recordCount = 0;
    while (cursor.expectedLsn <= lastLsn) {
      const found = await cursor.next();
      if (found === undefined) {
        const isInner = Number.isFinite(segment.lastLsnMax);
        if (isInner && (await hasMoved(state.disk, state.directory, live))) return undefined;
        if (await passHole(live, { segment, reader, cursor }, state)) continue;
        break;
      }
      recordCount += 1;
      const held = state.take(found.record, found.payload);
      if (held !== undefined) await held;
    }
    return { segment, end: cursor, recordCount };
  } finally {
    await reader.close();
    await file.close();
  }
}

interface OpenSegment {
  readonly segment: LiveSegment;
  readonly reader: SegmentReader;
  readonly cursor: RecordCursor;
}

/** @returns true when the cursor stands behind the hole; false when the segment ends in it, or
 *   when there is none. */
async function passHole(
  live: LiveSegments,
  { segment, reader, cursor }: OpenSegment,
  state: TourState,
): Promise<boolean> {
  const { lastLsnMax, path, header, sizeBytes } = segment;
  const isInner = Number.isFinite(lastLsnMax);
  const firstLsn = cursor.expectedLsn;
  const { limitBytes } = reader;
  const fromBytes = Math.min(cursor.offsetBytes, limitBytes);
  const searchBytes = Math.max(fromBytes + RECORD_ALIGN_BYTES, lostEnd(reader));
  const isWriting = state.isRunning && !isInner;
  const found = isWriting
    ? undefined
    : await findHeader(segment, reader, { fromBytes: searchBytes, afterLsn: firstLsn });
  if (found !== undefined && found.lsn <= lastLsnMax) {
    const span = { firstLsn, lastLsn: found.lsn - 1 };
    state.skip({ path, fromBytes, toBytes: found.offsetBytes, ...span, isFile: false });
    state.durableLsn = Math.max(state.durableLsn, found.durableLsn);
    cursor.resume(found.lsn, found.offsetBytes);
    return true;
  }
  // The file that is missing behind this one has the rest.
  if (live.break !== undefined && segment === live.segments.at(-1)) return false;
  const place = { path, fromBytes, toBytes: limitBytes, firstLsn, isFile: false };
  const isShort = !header.isGrowing && sizeBytes < header.segmentBytes;
  if (isInner) state.skip({ ...place, lastLsn: lastLsnMax });
  else if (cursor.isTouched || isShort || reader.fault !== undefined) state.skip(place);
  return false;
}

/** Where bytes begin again that the device gives back. */
function lostEnd({ fault }: SegmentReader): number {
  return fault?.toBytes ?? 0;
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
