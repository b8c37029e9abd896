/** How long the device takes to make bytes survive: three ways of syncing, three sizes, each over a
 * file whose blocks exist already, as the log's segments do.
 *
 * The calls block this thread, so that no pool and no event loop is measured with them. Between two
 * samples the loop turns, so that a signal gets through. Owns its file, and removes it whatever
 * happens short of SIGKILL. @module */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  openSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { MillraceError, toError } from '../../core/errors.ts';

export type SyncWay = 'fdatasync' | 'fsync' | 'O_DSYNC';

export interface SyncTiming {
  readonly way: SyncWay;
  readonly bytes: number;
  readonly samples: number;
  /** Milliseconds of one write and its sync. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const KIB = 1024;
const SIZES: readonly number[] = [4 * KIB, 64 * KIB, KIB * KIB];
const WAYS: readonly SyncWay[] = ['fdatasync', 'fsync', 'O_DSYNC'];
const FILE_BYTES = 8 * KIB * KIB;
/** p50 and maximum of fewer say nothing; taken also when they need longer than was asked for. */
const SAMPLES_MIN = 5;
const SAMPLES_MAX = 2_000;

export interface ProbeOptions {
  readonly directory: string;
  readonly seconds: number;
  readonly clock: Clock;
  /** Called with the milliseconds that went by. */
  readonly onProgress: (ms: number) => void;
}

/** @throws {MillraceError} DISK_FAILED, DISK_FULL. */
export async function probeSyncs(options: ProbeOptions): Promise<readonly SyncTiming[]> {
  const path = join(options.directory, `.millrace-doctor-${process.pid}.tmp`);
  try {
    return await withFile(path, () => measureAll(path, options));
  } catch (thrown) {
    if (thrown instanceof MillraceError) throw thrown;
    const errno = (thrown as NodeJS.ErrnoException).code;
    const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'DISK_FULL' : 'DISK_FAILED';
    const message = `${options.directory} cannot be measured: ${toError(thrown).message}`;
    throw new MillraceError(code, message, { cause: thrown, details: { path, errno } });
  }
}

/** Makes the file, and removes it after `work`, also on a signal that ends the process. */
async function withFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  const remove = (): void => {
    try {
      unlinkSync(path);
    } catch {
      // It was not made yet, or is gone.
    }
  };
  const onInterrupt = (): void => {
    remove();
    process.exit(130);
  };
  const onTerminate = (): void => {
    remove();
    process.exit(143);
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  try {
    fill(path);
    return await work();
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
    remove();
  }
}

function fill(path: string): void {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const zeros = Buffer.alloc(KIB * KIB);
    for (let at = 0; at < FILE_BYTES; at += zeros.byteLength) writeWhole(fd, zeros, at);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function measureAll(path: string, options: ProbeOptions): Promise<readonly SyncTiming[]> {
  const timings: SyncTiming[] = [];
  const shareMs = (options.seconds * 1_000) / (SIZES.length * WAYS.length);
  for (const way of WAYS) {
    const flag = way === 'O_DSYNC' ? constants.O_DSYNC : 0;
    const fd = openSync(path, constants.O_RDWR | flag);
    try {
      for (const bytes of SIZES) {
        const samples = await measure({ fd, way, bytes, shareMs }, options);
        timings.push({ way, bytes, samples: samples.length, ...summary(samples) });
      }
    } finally {
      closeSync(fd);
    }
  }
  return timings;
}

interface Sampling {
  readonly fd: number;
  readonly way: SyncWay;
  readonly bytes: number;
  readonly shareMs: number;
}

async function measure(
  { fd, way, bytes, shareMs }: Sampling,
  { clock, onProgress }: ProbeOptions,
): Promise<readonly number[]> {
  const content = Buffer.alloc(bytes, 'millrace');
  const samples: number[] = [];
  const startedMs = clock.monotonicMs();
  for (let at = 0; samples.length < SAMPLES_MAX; at = (at + bytes) % FILE_BYTES) {
    const beforeMs = clock.monotonicMs();
    if (beforeMs - startedMs >= shareMs && samples.length >= SAMPLES_MIN) break;
    writeWhole(fd, content, at);
    if (way === 'fdatasync') fdatasyncSync(fd);
    if (way === 'fsync') fsyncSync(fd);
    const tookMs = clock.monotonicMs() - beforeMs;
    samples.push(tookMs);
    onProgress(tookMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return samples;
}

function writeWhole(fd: number, bytes: Buffer, at: number): void {
  const taken = writeSync(fd, bytes, 0, bytes.byteLength, at);
  if (taken === bytes.byteLength) return;
  const message = `a write took ${taken} of ${bytes.byteLength} bytes: the device is full or fails`;
  throw new MillraceError('DISK_FULL', message);
}

/** @param samples at least one. */
export function summary(samples: readonly number[]): Pick<SyncTiming, 'p50Ms' | 'p99Ms' | 'maxMs'> {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length));
    return Math.round((sorted[index] ?? 0) * 1_000) / 1_000;
  };
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
