/** What the commands of `millrace wal` share: a disk that cannot be written, a bar for long work,
 * amounts in words. @module */
import { systemClock } from '../../core/clock.ts';
import { MillraceError } from '../../core/errors.ts';
import type { Disk } from '../../wal/disk.ts';
import { nodeDisk } from '../../wal/node-disk.ts';
import { readOnlyDisk } from './read-only-disk.ts';
import type { CliIo } from '../io.ts';
import { ProgressBar } from './progress-bar.ts';
import { filesOf, openTarget } from './target.ts';
import type { WalTarget } from './target.ts';

export interface ReadingTool {
  readonly target: WalTarget;
  readonly disk: Disk;
  readonly bar: ProgressBar;
}

/** Opens a directory for a command that reads all of it. Close the bar. */
export async function openForTool(io: CliIo, name: string, given: string): Promise<ReadingTool> {
  const target = await openTarget(readOnlyDisk(nodeDisk), given);
  const total = (await filesOf(target)).reduce((sum, { size }) => sum + size, 0);
  const bar = new ProgressBar(io, systemClock, { name, total, format: bytesText });
  return { target, bar, disk: readOnlyDisk(nodeDisk, (bytes) => bar.advance(bytes)) };
}

/** About so many bytes, for a person: `1.4 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** step;
  return `${step === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${units[step]}`;
}

/** Exit code of a read-only command that could not read: 3, unless the call itself was wrong. */
export function unreadableCode(error: unknown): number | undefined {
  if (!(error instanceof MillraceError)) return undefined;
  return error.code === 'FORMAT_UNKNOWN' || error.code === 'DISK_FAILED' ? 3 : undefined;
}
