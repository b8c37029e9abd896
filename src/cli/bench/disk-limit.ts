/** What the disk itself can do, measured in the same run as what the engine makes of it.
 *
 * Two numbers: bytes per second of synced 1 MiB overwrites of a file that is there already, which
 * is how a receiver log writes; and the time of a synced 4 KiB overwrite, which is what an
 * acknowledgement cannot be faster than. Synchronous calls, O_DIRECT where the file system takes
 * it; between two of them the event loop turns, so that a signal gets through. @module */
import fs from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../core/clock.ts';
import { allocatePages } from '../../core/shared-memory.ts';
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

/** Of each of the two measurements; a slow disk has done enough of either by then. */
const LIMIT_MS = 5_000;

export interface DiskProbe {
  /** Tiny: only whether it works is of interest. */
  readonly isSmoke: boolean;
  /** Ends the probe between two writes. */
  readonly signal?: AbortSignal;
}

/** Length of the file that the probe overwrites. */
export function probeBytes({ isSmoke }: DiskProbe): number {
  return (isSmoke ? 8 : 256) * MIB;
}

/** Takes one to two seconds, on a slow disk some more, in a smoke run far less. Leaves no file. */
export async function measureDiskLimit(directory: string, probe: DiskProbe): Promise<DiskLimit> {
  const fileBytes = probeBytes(probe);
  const path = join(directory, '.disk-limit');
  const buffer = new Uint8Array(allocatePages(MIB), 0, MIB).fill(0x2a);
  const { fd, mode } = openProbe(path, buffer);
  const overwrites = { fd, bytes: buffer, fileBytes, probe };
  try {
    // The file is there before anything is timed.
    await repeat({ ...overwrites, count: fileBytes / MIB, isSynced: false, limitMs: Infinity });
    fs.fsyncSync(fd);
    const timed = { ...overwrites, isSynced: true, limitMs: LIMIT_MS };
    const large = await repeat({ ...timed, count: fileBytes / MIB });
    const page = buffer.subarray(0, PAGE_BYTES);
    const small = await repeat({ ...timed, bytes: page, count: probe.isSmoke ? 20 : 500 });
    const largeMs = large.reduce((sum, each) => sum + each, 0);
    return {
      mode,
      bytesPerSecond: (large.length * MIB) / (largeMs / 1_000),
      syncMsP50: quantile(small, 0.5),
      syncMsP99: quantile(small, 0.99),
    };
  } finally {
    fs.closeSync(fd);
    fs.rmSync(path);
  }
}

interface Writes {
  readonly fd: number;
  readonly bytes: Uint8Array;
  readonly fileBytes: number;
  readonly probe: DiskProbe;
  readonly count: number;
  readonly isSynced: boolean;
  readonly limitMs: number;
}

/** @returns how long each write took, with its sync. */
async function repeat(writes: Writes): Promise<number[]> {
  const { fd, bytes, fileBytes, count, isSynced, limitMs } = writes;
  const times: number[] = [];
  const startedMs = systemClock.monotonicMs();
  while (times.length < count) {
    const beforeMs = systemClock.monotonicMs();
    if (beforeMs - startedMs > limitMs) break;
    writeWhole(fd, bytes, (times.length * bytes.byteLength) % fileBytes);
    if (isSynced) fs.fdatasyncSync(fd);
    times.push(systemClock.monotonicMs() - beforeMs);
    await new Promise((resolve) => setImmediate(resolve));
    writes.probe.signal?.throwIfAborted();
  }
  return times;
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
