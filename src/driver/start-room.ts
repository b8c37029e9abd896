/** Room for a start, looked at before anything is changed: on a full disk it is possible with
 * little, or refused as a whole.
 *
 * What a start makes at least: the first segment of each log, short ones if need be, MANIFEST and a
 * checkpoint. The spares that an earlier run left give their room first: they are removed, never
 * used again, because an old process may still hold them open. Running what was received then frees
 * whole segments. Where the file system does not tell its room, files fail one by one instead.
 * @module */
import { join } from 'node:path';
import { formatBytes } from '../core/bytes.ts';
import { MillraceError } from '../core/errors.ts';
import type { Disk } from '../wal/disk.ts';
import { firstSegmentBytesMin } from '../wal/first-segment.ts';
import { slotBytes } from '../wal/group-layout.ts';
import type { LogVerdict } from '../wal/log-verdict.ts';
import { parseSpareName } from '../wal/segment-name.ts';
import { mirrorSegmentBytes } from './driver-log.ts';
import type { Examination, Orphan } from './examination.ts';
import { adoptedOrphans } from './orphans.ts';

/** MANIFEST, a first checkpoint, directory entries. */
const SMALL_FILES_BYTES = 128 * 1024;
/** Of an event beside what it repeats of its block's record. */
const EVENT_BYTES = 1024;

export interface StartRoomInput {
  readonly disk: Disk;
  /** The checkpoint directory. */
  readonly directory: string;
  readonly driverSegmentBytes: number;
  readonly receiverSegmentBytes: number;
}

/** @throws {MillraceError} DISK_FULL, saying how much is missing; nothing was changed then. */
export async function makeStartRoom(
  input: StartRoomInput,
  examination: Examination,
): Promise<void> {
  const { disk, directory } = input;
  const freeBytes = (await disk.freeBytes?.(directory)) ?? Number.POSITIVE_INFINITY;
  const neededBytes = startBytes(input, examination);
  if (freeBytes >= neededBytes) return;
  const leftovers = await leftoverSpares(input, examination);
  const leftoverBytes = leftovers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const missingBytes = neededBytes - freeBytes - leftoverBytes;
  if (missingBytes > 0) {
    throw new MillraceError(
      'DISK_FULL',
      `the disk of ${directory} is full: a start needs ${formatBytes(neededBytes)}, and ` +
        `${formatBytes(missingBytes)} are missing; nothing was changed`,
      { details: { directory, wantedBytes: neededBytes, missingBytes } },
    );
  }
  for (const { path } of leftovers) await disk.unlink(path);
}

/** What adopted blocks need in the driver log. */
export function adoptionBytes(adopted: readonly Orphan[]): number {
  return adopted.reduce((sum, { record, meta }) => {
    return sum + slotBytes(record.payloadBytes - meta.binBytes + EVENT_BYTES);
  }, 0);
}

function startBytes(
  { driverSegmentBytes, receiverSegmentBytes }: StartRoomInput,
  examination: Examination,
): number {
  const { driverLog, receiverLogs } = examination;
  const forMirror = firstSegmentBytesMin(mirrorSegmentBytes(driverSegmentBytes));
  const adopted = adoptedOrphans(examination);
  const forDriver =
    firstSegmentBytesMin(driverSegmentBytes, carriedBytes(driverLog.verdict)) +
    adoptionBytes(adopted);
  const forReceivers =
    Math.max(receiverLogs.length, 1) * firstSegmentBytesMin(receiverSegmentBytes);
  const rewritten = receiverLogs.filter(({ name }) => adopted.some(({ log }) => log === name));
  const forRewriting = rewritten.reduce((sum, { verdict }) => {
    return sum + firstSegmentBytesMin(receiverSegmentBytes, carriedBytes(verdict));
  }, 0);
  return SMALL_FILES_BYTES + forDriver + forMirror + forReceivers + forRewriting;
}

function carriedBytes({ suspects }: LogVerdict): number {
  return suspects.reduce((sum, { payloadBytes }) => sum + slotBytes(payloadBytes), 0);
}

async function leftoverSpares(
  { disk }: StartRoomInput,
  { driverLog, driverLogMirror, receiverLogs }: Examination,
): Promise<readonly { readonly path: string; readonly sizeBytes: number }[]> {
  const found: { path: string; sizeBytes: number }[] = [];
  for (const { directory } of [driverLog, driverLogMirror, ...receiverLogs]) {
    for (const name of (await disk.list(directory)) ?? []) {
      if (parseSpareName(name) === undefined) continue;
      const path = join(directory, name);
      found.push({ path, sizeBytes: await sizeOf(disk, path) });
    }
  }
  return found;
}

async function sizeOf(disk: Disk, path: string): Promise<number> {
  const file = await disk.openForReading(path);
  try {
    return await file.sizeBytes();
  } finally {
    await file.close();
  }
}
