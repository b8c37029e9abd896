/** Reads a whole log, front to back, without writing: its records, its witnesses, where it breaks.
 *
 * The segments are read in order; each ends where ANY later one begins (a later base LSN b voids
 * everything from b on in older ones: it was carried over, or never announced). The first record
 * that is missing or bad ends the log: what is behind it is not handed out, only searched for
 * witnesses. What that means, log-verdict.ts decides. Memory: one window, and the records above the
 * highest durable LSN.
 * @module */
import type { Lsn } from '../core/ids.ts';
import type { Disk } from './disk.ts';
import { findLiveSegments, provenByHeader } from './live-segments.ts';
import type { LiveSegment, StructureBreak } from './live-segments.ts';
import type { ReadFault } from './read-fault.ts';
import { RECORD_ALIGN_BYTES, RECORD_TYPES } from './record-header.ts';
import { ScanFindings } from './scan-findings.ts';
import type { PayloadVisitor } from './scan-findings.ts';
import type { ScannedRecord } from './scanned-record.ts';
import { SEGMENT_HEADER_BYTES } from './segment-header.ts';
import { ReadMemory } from './read-memory.ts';
import { SegmentReader } from './segment-reader.ts';
import { searchHeaders, walkSegment } from './segment-scan.ts';
import type { FoundBehind, WalkEnd } from './segment-scan.ts';

/** Where the log ends. Every log with a segment has such a place. */
export interface LogEnd {
  /** `record`: no valid record there. The others are damage whatever the LSNs say.
   * `unreadable`: the device does not give the bytes back, so nobody knows what they hold.
   * `segment-short`: the file is shorter than its header says, so records may have been cut off
   * together with what witnessed them. The rest concern whole files, whose headers and lengths had
   * been synced before they got their names. */
  readonly kind: 'record' | 'segment-short' | StructureBreak['kind'];
  readonly path: string;
  /** The bytes that hold no valid record: up to the next valid header, or the segment's end. */
  readonly fromBytes: number;
  readonly toBytes: number;
  /** A valid record was found behind them. */
  readonly resumesAtLsn?: Lsn;
  /** The last LSN that can lie in those bytes, where something behind them tells. */
  readonly lastLsn?: Lsn;
  /** Of `unreadable`: what the operating system said. */
  readonly errno?: string;
  /** Something was written there, or it is not the log's last segment. False: just the unused rest
   * of the last segment. */
  readonly isBroken: boolean;
}

export interface LogScan {
  readonly directory: string;
  /** From the segment headers; `undefined` when there is no segment. */
  readonly logId: string | undefined;
  /** Highest epoch of a segment header; 0 without segments. */
  readonly epoch: number;
  readonly segmentCount: number;
  /** First LSN that the log still has; `lastLsn + 1` when it has none. */
  readonly firstLsn: Lsn;
  /** Last valid record before the end; 0 in an empty log. */
  readonly lastLsn: Lsn;
  /** Highest LSN that the log itself proves synced. Above `lastLsn`: records are missing. */
  readonly durableLsn: Lsn;
  /** Highest LSN of the PEER log that a watermark in this one proves durable. */
  readonly peerWitness: Lsn;
  /** Valid records above `durableLsn`. */
  readonly unwitnessed: readonly ScannedRecord[];
  /** The last record says that the log was closed in order. */
  readonly isClosed: boolean;
  /** `undefined` when there is no segment. */
  readonly end: LogEnd | undefined;
  /** Memory that was asked for to hold bytes of segments: no more than 12 MiB beside the largest
   * sound record, and no more than three times the largest file, whatever the bytes say. */
  readonly windowBytes: number;
}

/** @param visit sees the payload records in LSN order; what it throws ends the scan.
 * @throws {MillraceError} FORMAT_UNKNOWN when a newer version wrote it; DISK_FAILED when a file
 *   cannot be opened or listed. Bytes that the device has lost are no error here but the log's
 *   `unreadable` end. */
export async function scanLog(
  disk: Disk,
  directory: string,
  visit?: PayloadVisitor,
): Promise<LogScan> {
  const live = await findLiveSegments(disk, directory);
  const findings = new ScanFindings(visit);
  for (const segment of [...live.segments, ...live.behind]) {
    findings.noteDurable(provenByHeader(segment));
  }
  const memory = new ReadMemory(disk);
  let end: LogEnd | undefined;
  for (const segment of live.segments) {
    end = await scanSegment(disk, segment, { findings, memory });
    if (end !== undefined) break;
  }
  // When the very first file is bad, nobody knows where the log began.
  const firstLsn = live.segments[0]?.header.baseLsn ?? (1 as Lsn);
  return {
    directory,
    logId: live.logId,
    epoch: live.epoch,
    segmentCount: live.segmentCount,
    firstLsn,
    lastLsn: Math.max(findings.lastLsn, firstLsn - 1) as Lsn,
    durableLsn: findings.durableLsn,
    peerWitness: findings.peerWitness,
    unwitnessed: findings.unwitnessed(),
    isClosed: findings.lastType === RECORD_TYPES.closed,
    // In front of a file that is bad as a whole a log seems to end in order.
    end: live.break === undefined ? end : structureEnd(live.break, live.behind[0]),
    windowBytes: memory.heldBytes,
  };
}

interface ScanTools {
  readonly findings: ScanFindings;
  readonly memory: ReadMemory;
}

/** @returns where the log ends, `undefined` when it goes on in the next segment. */
async function scanSegment(
  disk: Disk,
  segment: LiveSegment,
  { findings, memory }: ScanTools,
): Promise<LogEnd | undefined> {
  const file = await disk.openForReading(segment.path, 'direct');
  const limitBytes = Math.min(segment.header.segmentBytes, segment.sizeBytes);
  const reader = new SegmentReader(file, limitBytes, memory);
  try {
    const walk = await walkSegment({ segment, reader }, segment.lastLsnMax, (record, payload) =>
      findings.add(record, payload, segment.lastLsnMax),
    );
    const isWhole = walk.expectedLsn > segment.lastLsnMax && !isShort(segment);
    const end = isWhole ? undefined : await endOfLog(segment, reader, { walk, findings });
    return reader.fault === undefined ? end : unreadableEnd(segment, reader.fault);
  } finally {
    await reader.close();
    await file.close();
  }
}

async function endOfLog(
  segment: LiveSegment,
  reader: SegmentReader,
  { walk, findings }: { readonly walk: WalkEnd; readonly findings: ScanFindings },
): Promise<LogEnd> {
  const fromBytes = Math.min(walk.offsetBytes, reader.limitBytes);
  const behind = await searchHeaders({ segment, reader }, fromBytes + RECORD_ALIGN_BYTES);
  findings.noteDurable(Math.min(behind?.durableLsn ?? 0, segment.lastLsnMax) as Lsn);
  const isCut = isShort(segment);
  return {
    kind: isCut ? 'segment-short' : 'record',
    path: segment.path,
    fromBytes,
    toBytes: behind?.offsetBytes ?? reader.limitBytes,
    ...(behind === undefined ? {} : { resumesAtLsn: behind.lsn }),
    ...lastLsnOf(segment, behind),
    isBroken:
      isCut || walk.isTouched || behind !== undefined || Number.isFinite(segment.lastLsnMax),
  };
}

function isShort({ sizeBytes, header }: LiveSegment): boolean {
  return !header.isGrowing && sizeBytes < header.segmentBytes;
}

function unreadableEnd(segment: LiveSegment, fault: ReadFault): LogEnd {
  const { path } = segment;
  return { kind: 'unreadable', path, ...fault, ...lastLsnOf(segment), isBroken: true };
}

/** Records are lost up to the next one that was found, or up to the next segment. */
function lastLsnOf(segment: LiveSegment, behind?: FoundBehind): { readonly lastLsn?: Lsn } {
  const lastLsn = Math.min((behind?.lsn ?? Number.POSITIVE_INFINITY) - 1, segment.lastLsnMax);
  return Number.isFinite(lastLsn) ? { lastLsn: lastLsn as Lsn } : {};
}

function structureEnd(found: StructureBreak, next: LiveSegment | undefined): LogEnd {
  return {
    ...found,
    fromBytes: 0,
    // What is bad of a file with a bad header is its first page; a missing file has no bytes.
    toBytes: found.kind === 'segment-missing' ? 0 : SEGMENT_HEADER_BYTES,
    ...(next === undefined ? {} : { lastLsn: (next.header.baseLsn - 1) as Lsn }),
    isBroken: true,
  };
}
