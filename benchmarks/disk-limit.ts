/** What the disk itself can do, measured in the same run as what the engine makes of it.
 *
 * Two numbers: bytes per second of synced 1 MiB overwrites of a file that is there already, which
 * is how a receiver log writes; and the time of a synced 4 KiB overwrite, which is what an
 * acknowledgement cannot be faster than. Synchronous calls, O_DIRECT where the file system takes
 * it. @module */
import fs from 'node:fs';
import { join } from 'node:path';
import { allocatePages } from '../src/core/shared-memory.ts';
import { quantile } from './statistics.ts';

export interface DiskLimit {
  readonly mode: 'direct' | 'buffered';
  /** Overwriting 1 MiB at a time, each with fdatasync. */
  readonly bytesPerSecond: number;
  /** Of a 4 KiB overwrite and its fdatasync. */
  readonly syncMsP50: number;
  readonly syncMsP99: number;
}

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
const {
  O_CREAT,
  O_DIRECT = 0,
  O_RDWR,
} = fs.constants as typeof fs.constants & {
  readonly O_DIRECT?: number; // only Linux has it
};

/** Takes one to two seconds, in a smoke run far less. Leaves no file. */
export function measureDiskLimit(
  directory: string,
  { isSmoke }: { readonly isSmoke: boolean },
): DiskLimit {
  const fileBytes = (isSmoke ? 8 : 256) * MIB;
  const path = join(directory, '.disk-limit');
  const buffer = new Uint8Array(allocatePages(MIB), 0, MIB).fill(0x2a);
  const { fd, mode } = openProbe(path, buffer);
  try {
    // The file is there before anything is timed.
    overwrite(fd, buffer, { fileBytes, isSynced: false });
    fs.fsyncSync(fd);
    const startedMs = performance.now();
    overwrite(fd, buffer, { fileBytes, isSynced: true });
    const bytesPerSecond = fileBytes / ((performance.now() - startedMs) / 1_000);
    const page = buffer.subarray(0, PAGE_BYTES);
    const times = Array.from({ length: isSmoke ? 20 : 500 }, (_, index) =>
      syncedWriteMs(fd, page, (index * PAGE_BYTES) % fileBytes),
    );
    const syncMsP50 = quantile(times, 0.5);
    return { mode, bytesPerSecond, syncMsP50, syncMsP99: quantile(times, 0.99) };
  } finally {
    fs.closeSync(fd);
    fs.rmSync(path);
  }
}

/** Some file systems refuse O_DIRECT when opening, others when writing. */
function openProbe(path: string, page: Uint8Array): { fd: number; mode: DiskLimit['mode'] } {
  if (O_DIRECT !== 0) {
    try {
      const fd = fs.openSync(path, O_RDWR | O_CREAT | O_DIRECT);
      try {
        fs.writeSync(fd, page, 0, PAGE_BYTES, 0);
        return { fd, mode: 'direct' };
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    }
  }
  return { fd: fs.openSync(path, O_RDWR | O_CREAT), mode: 'buffered' };
}

function overwrite(
  fd: number,
  buffer: Uint8Array,
  { fileBytes, isSynced }: { readonly fileBytes: number; readonly isSynced: boolean },
): void {
  for (let at = 0; at < fileBytes; at += buffer.byteLength) {
    writeWhole(fd, buffer, at);
    if (isSynced) fs.fdatasyncSync(fd);
  }
}

function syncedWriteMs(fd: number, page: Uint8Array, at: number): number {
  const startedMs = performance.now();
  writeWhole(fd, page, at);
  fs.fdatasyncSync(fd);
  return performance.now() - startedMs;
}

function writeWhole(fd: number, bytes: Uint8Array, at: number): void {
  const written = fs.writeSync(fd, bytes, 0, bytes.byteLength, at);
  if (written !== bytes.byteLength) throw new Error(`only ${written} bytes were written`);
}

/** One line. */
export function diskText({ mode, bytesPerSecond, syncMsP50, syncMsP99 }: DiskLimit): string {
  const megabytes = (bytesPerSecond / 1e6).toFixed(0);
  return (
    `disk alone (${mode}): ${megabytes} MB/s in synced 1 MiB overwrites, ` +
    `4 KiB synced p50 ${syncMsP50.toFixed(3)} ms, p99 ${syncMsP99.toFixed(3)} ms`
  );
}
