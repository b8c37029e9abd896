/** Room on the disk for a sample, looked at before anything is written: the files that its logs
 * make whatever comes. What records then take beside them nobody knows before. Pure. @module */
import { formatBytes } from '../../core/bytes.ts';
import { MillraceError } from '../../core/errors.ts';
import type { ResolvedOptions } from '../../core/options.ts';
import { logFileBytes } from '../bench/bench-room.ts';
import type { Setting } from './setting.ts';

/** Checkpoints, and the bundle of the pipeline. */
const SMALL_FILES_BYTES = 16 * 2 ** 20;

export interface NeededRoom {
  readonly bytes: number;
  /** Most of any setting. */
  readonly receiverLogs: number;
}

/** @param options of the pipeline, with the flags.
 * @param receivers of all inputs together: a thread without one has no log. */
export function neededRoom(
  settings: readonly Setting[],
  options: ResolvedOptions,
  receivers: number,
): NeededRoom {
  if (options.checkpointDir === false) return { bytes: SMALL_FILES_BYTES, receiverLogs: 0 };
  const most = Math.max(0, ...settings.map(({ receiverExecutors }) => receiverExecutors));
  const receiverLogs = options.durability === 'off' ? 0 : Math.min(most, receivers);
  return { bytes: SMALL_FILES_BYTES + logFileBytes(options, receiverLogs), receiverLogs };
}

/** @param at `freeBytes`: `undefined` where the system does not tell.
 * @throws {MillraceError} DISK_FULL, saying what is needed, what is there, and what helps. */
export function requireRoom(
  { bytes, receiverLogs }: NeededRoom,
  { directory, freeBytes }: { readonly directory: string; readonly freeBytes: number | undefined },
): void {
  if (freeBytes === undefined || freeBytes >= bytes) return;
  const logs = `${receiverLogs} receiver ${receiverLogs === 1 ? 'log' : 'logs'}`;
  throw new MillraceError(
    'DISK_FULL',
    `the disk of ${directory} has too little room: a sample needs ${formatBytes(bytes)} for the ` +
      `files of ${logs} and of the driver log, and ${formatBytes(freeBytes)} are free; nothing ` +
      'was written. Give --dir on a disk with more, or a shorter --receiver-segment',
    { details: { directory, wantedBytes: bytes, freeBytes } },
  );
}
