/** Room on the disk for a run, looked at before anything is written. @module */
import { formatBytes } from '../../core/bytes.ts';
import { MillraceError } from '../../core/errors.ts';
import { resolveOptions } from '../../core/options.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import { mirrorSegmentBytes } from '../../driver/driver-log.ts';
import type { Cell } from './cell.ts';
import { probeBytes } from './disk-limit.ts';

const MIB = 2 ** 20;
/** The active segment of a log, and its spares. */
const SEGMENTS = 3;
/** The records of batches that run, and of those that are done and not cleaned yet. */
const MEMORIES = 2;
const SMALL_FILES_BYTES = 16 * MIB;
const SMOKE_MEMORY_BYTES = 64 * MIB;

/** Memory for blocks of a measured engine: what a run has unless told otherwise. */
export function memoryOf({ isSmoke }: { readonly isSmoke: boolean }): number {
  return isSmoke ? SMOKE_MEMORY_BYTES : resolveOptions({ module: { name: 'bench' } }).memoryBytes;
}

/** The most that one sample has on the disk; each one's files are removed before the next. */
export function neededBytes(cells: readonly Cell[], isSmoke: boolean): number {
  const options = resolveOptions({ module: { name: 'bench' } });
  const ofCells = cells.map(({ wal, receivers }) =>
    wal === 'off'
      ? logFileBytes(options, 0)
      : logFileBytes(options, receivers) + MEMORIES * memoryOf({ isSmoke }),
  );
  const ofSample = SMALL_FILES_BYTES + Math.max(...ofCells);
  return Math.max(ofSample, probeBytes({ isSmoke }));
}

/** The driver log with its mirror, and receiver logs: files that are there whatever is in them. */
export function logFileBytes(
  {
    receiverSegmentBytes,
    driverSegmentBytes,
  }: Pick<ResolvedOptions, 'receiverSegmentBytes' | 'driverSegmentBytes'>,
  receiverLogs: number,
): number {
  const ofDriver = driverSegmentBytes + mirrorSegmentBytes(driverSegmentBytes);
  return SEGMENTS * (ofDriver + receiverLogs * receiverSegmentBytes);
}

/** @param freeBytes `undefined` where the system does not tell.
 * @throws {MillraceError} DISK_FULL, saying how much is missing. */
export function checkRoom(
  directory: string,
  freeBytes: number | undefined,
  wantedBytes: number,
): void {
  if (freeBytes === undefined || freeBytes >= wantedBytes) return;
  const missingBytes = Math.ceil((wantedBytes - freeBytes) / MIB) * MIB;
  throw new MillraceError(
    'DISK_FULL',
    `the disk of ${directory} has too little room: this run needs up to ` +
      `${formatBytes(wantedBytes)}, and ${formatBytes(missingBytes)} are missing; ` +
      'nothing was written',
    { details: { directory, wantedBytes, missingBytes } },
  );
}
