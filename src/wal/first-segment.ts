/** The first segment of an open: always a new one, after all that exist, never an append to an old.
 *
 * What an earlier open left at its end may be torn, and an old process or thread may still hold the
 * file open. The new base LSN voids whatever old segments hold from there on.
 * @module */
import { reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { planCarryOver, writeCarryOver } from './carry-over.ts';
import type { CarryOverPlan } from './carry-over.ts';
import type { DiskFile } from './disk.ts';
import type { WalPosition } from './pending-record.ts';
import { beginSegment, nameSegment } from './segment-file.ts';
import type { ActiveSegment } from './segment-file.ts';
import { SEGMENT_HEADER_BYTES, segmentSalt } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { FoundSegment } from './segment-list.ts';
import type { Slab } from './slab.ts';
import type { SparePool } from './spare-pool.ts';
import type { ResolvedWalOptions } from './wal-options.ts';

/** At most this long, so that opening is fast; a roll to a spare of full size comes later.
 * Zero-filling 16 MiB directly took 7 ms, 64 MiB 26 ms (ext4, 2 cores). */
const FIRST_SEGMENT_BYTES = 16 * 1024 * 1024;

export interface FirstSegment {
  readonly active: ActiveSegment;
  /** Where each carried record is now, in order. */
  readonly carriedOver: readonly WalPosition[];
}

/** What it is made with. */
export interface FirstSegmentTools {
  readonly spares: SparePool;
  readonly slab: Slab;
  /** The last segment of earlier opens. */
  readonly newest: FoundSegment | undefined;
}

/** On a full disk it may be as short as this, so that what was received can still be run: that is
 * what makes room again. */
const FIRST_SEGMENT_BYTES_MIN = 256 * 1024;

/** What a first segment takes of a full disk. @param contentBytes what it has to hold at least. */
export function firstSegmentBytesMin(segmentBytes: number, contentBytes: number = 0): number {
  return SEGMENT_HEADER_BYTES + contentBytes + Math.min(segmentBytes, FIRST_SEGMENT_BYTES_MIN);
}

/** When it resolves, the segment, the records carried into it and its name are durable. */
export async function openFirstSegment(
  options: ResolvedWalOptions,
  tools: FirstSegmentTools,
): Promise<FirstSegment> {
  const carried = planCarryOver(options);
  const wantedBytes = Math.min(options.segmentBytes, FIRST_SEGMENT_BYTES);
  const contentBytes = carried.bytes + options.firstRoomBytes;
  const segmentBytesMax = Math.max(wantedBytes, SEGMENT_HEADER_BYTES + contentBytes);
  const segmentBytesMin = firstSegmentBytesMin(options.segmentBytes, contentBytes);
  const { file, segmentBytes } = await makeFile(tools.spares, segmentBytesMax, segmentBytesMin);
  try {
    const header = firstHeader(options, segmentBytes, tools.newest);
    return await fillAndName(options, { ...tools, file, header, carried });
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

async function makeFile(
  spares: SparePool,
  bytesMax: number,
  bytesMin: number,
): Promise<{ readonly file: DiskFile; readonly segmentBytes: number }> {
  try {
    return { file: (await spares.makeZeroed(bytesMax)).file, segmentBytes: bytesMax };
  } catch (thrown) {
    const isFull = thrown instanceof MillraceError && thrown.code === 'DISK_FULL';
    if (!isFull || bytesMax <= bytesMin) throw thrown;
    return { file: (await spares.makeZeroed(bytesMin)).file, segmentBytes: bytesMin };
  }
}

async function fillAndName(
  options: ResolvedWalOptions,
  parts: {
    readonly file: DiskFile;
    readonly header: SegmentHeader;
    readonly carried: CarryOverPlan;
    readonly slab: Slab;
  },
): Promise<FirstSegment> {
  const { disk, directory } = options;
  const { file, header, carried, slab } = parts;
  const active = await beginSegment(header, { file, directory }, slab);
  const carriedOver = await writeCarryOver(carried, active, slab);
  await nameSegment(disk, active, () => {
    if (carriedOver.length > 0) reached('recovery.rewrite');
  });
  return { active, carriedOver };
}

function firstHeader(
  options: ResolvedWalOptions,
  segmentBytes: number,
  newest: FoundSegment | undefined,
): SegmentHeader {
  const { logId, epoch, baseLsn, carryOver } = options;
  const seq = (newest?.header.seq ?? 0) + 1;
  return {
    logId,
    epoch,
    seq,
    baseLsn,
    segmentBytes,
    isGrowing: options.isGrowing,
    previousLastLsn: (baseLsn - 1) as Lsn,
    durableLsn: (baseLsn + carryOver.length - 1) as Lsn,
    previousHeaderCrc: newest?.headerCrc ?? 0,
    salt: segmentSalt({ logId, epoch, seq }),
  };
}
