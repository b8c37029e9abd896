/** Which part of each segment file belongs to the log, and whether whole files are missing.
 *
 *     base LSNs by rising seq:   10    20    16          records that count:  10…15, 16…
 *                                │     └ void: a later one begins below it
 *                                └ ends at 15, where the last one begins
 *
 * Headers had been synced before a segment got its name, and segments leave oldest first: a bad
 * header, a hole in the sequence or a link that does not match is damage, never a torn write.
 * @module */
import type { Lsn } from '../core/ids.ts';
import type { Disk } from './disk.ts';
import { listLog } from './segment-list.ts';
import type { FoundSegment, UnreadableSegment } from './segment-list.ts';

export interface LiveSegment extends FoundSegment {
  /** Last LSN that it may hold; infinite for the last segment. */
  readonly lastLsnMax: number;
}

export interface StructureBreak {
  /** `unreadable`: the device does not give the header back. */
  readonly kind: 'segment-header' | 'segment-missing' | 'segment-foreign' | 'unreadable';
  /** The file that is bad, or the one behind the hole. */
  readonly path: string;
  /** Of `unreadable`: what the operating system said. */
  readonly errno?: string;
}

export interface LiveSegments {
  readonly logId: string | undefined;
  readonly epoch: number;
  readonly segmentCount: number;
  /** In front of the break, if there is one; the first holds the log's first record. */
  readonly segments: readonly LiveSegment[];
  /** Behind the break: only their headers can be believed. */
  readonly behind: readonly LiveSegment[];
  readonly break: StructureBreak | undefined;
}

export async function findLiveSegments(disk: Disk, directory: string): Promise<LiveSegments> {
  const { segments: listed } = await listLog(disk, directory);
  const readable = listed.filter((segment) => 'header' in segment);
  const firstBad = findBreak(listed);
  const live = withLimits(readable);
  const isBefore = ({ header }: FoundSegment): boolean =>
    firstBad === undefined || header.seq < firstBad.seq;
  return {
    logId: readable[0]?.header.logId,
    epoch: readable.reduce((epoch, { header }) => Math.max(epoch, header.epoch), 0),
    segmentCount: listed.length,
    segments: live.filter((segment) => isBefore(segment)),
    behind: live.filter((segment) => !isBefore(segment)),
    break: firstBad?.found,
  };
}

/** Each with its limit; without those that are void as a whole. */
function withLimits(segments: readonly FoundSegment[]): LiveSegment[] {
  const live: LiveSegment[] = [];
  let lastLsnMax = Number.POSITIVE_INFINITY;
  for (const segment of segments.toReversed()) {
    const { baseLsn } = segment.header;
    if (baseLsn > lastLsnMax) continue;
    live.push({ ...segment, lastLsnMax });
    lastLsnMax = baseLsn - 1;
  }
  return live.toReversed();
}

function findBreak(
  listed: readonly (FoundSegment | UnreadableSegment)[],
): { seq: number; found: StructureBreak } | undefined {
  let previous: FoundSegment | undefined;
  for (const segment of listed) {
    const { path } = segment;
    if (!('header' in segment)) return { seq: segment.seq, found: badHeader(segment) };
    const { seq, logId, previousHeaderCrc } = segment.header;
    if (previous !== undefined) {
      if (previous.header.seq + 1 !== seq) return { seq, found: { kind: 'segment-missing', path } };
      const isLinked = previous.headerCrc === previousHeaderCrc && previous.header.logId === logId;
      if (!isLinked) return { seq, found: { kind: 'segment-foreign', path } };
    }
    previous = segment;
  }
  return undefined;
}

function badHeader({ path, errno }: UnreadableSegment): StructureBreak {
  return errno === undefined
    ? { kind: 'segment-header', path }
    : { kind: 'unreadable', path, errno };
}

/** What a segment's header proves synced, as far as it is not void. */
export function provenByHeader({ header, lastLsnMax }: LiveSegment): Lsn {
  return Math.min(Math.max(header.previousLastLsn, header.durableLsn), lastLsnMax) as Lsn;
}
