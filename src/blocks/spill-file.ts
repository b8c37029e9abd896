/** One file of a run for blocks that are in no log and have to leave memory.
 *
 * Scratch: never synced, worth nothing to another process. Its name is removed as soon as it is
 * open, so that the kernel gives its space back however the process ends: nothing is left to tidy
 * up at a start, not even after `kill -9`. Threads read it through the driver's descriptor, which
 * is closed after the last of them. Places are given out again (spill-ranges.ts), and the file is
 * cut when its end is free. It never takes the last room of its file system. @module */
import fs from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../core/bytes.ts';
import { MillraceError, toError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import type { SpilledBin } from './block-ref.ts';
import { SpillRanges } from './spill-ranges.ts';

/** The file is cut when this much of its end is free, and when all of it is. */
const CUT_BYTES_MIN = 16 * 1024 * 1024;
/** What the file leaves of its file system to others: this share, and never more than so much. */
const FREE_SHARE_MIN = 0.05;
const FREE_BYTES_MIN = 1024 * 1024 * 1024;

export class SpillFile {
  readonly #path: string;
  readonly #ranges = new SpillRanges();
  #fd: number | undefined;
  #lengthBytes = 0;

  /** Nothing is opened before the first write. @param name of the file, unique in `directory`. */
  constructor(directory: string, name: string) {
    this.#path = join(directory, name);
  }

  /** Bytes on disk that hold blocks, in whole pages. */
  get usedBytes(): number {
    return this.#ranges.usedBytes;
  }

  /** Length of the file. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  /** Writes a bin. It must stay as it is until this has resolved, and is the file's from then on.
   * @throws {MillraceError} DISK_FULL, DISK_FAILED: nothing was kept. */
  async write(bin: Uint8Array): Promise<SpilledBin> {
    const { byteLength: lengthBytes } = bin;
    const crc = crc32(bin);
    const fd = this.#open();
    const offsetBytes = this.#ranges.take(lengthBytes);
    try {
      await this.#grow();
      let at = 0;
      while (at < lengthBytes) {
        const taken = await writeAt(fd, bin.subarray(at), offsetBytes + at);
        if (taken === 0) throw new Error('the system took nothing');
        at += taken;
      }
    } catch (error) {
      this.#ranges.release(offsetBytes, lengthBytes);
      throw this.#failure(error);
    }
    return { kind: 'spill', fd, offsetBytes, lengthBytes, crc };
  }

  /** Gives a place back. Nobody may be reading it. */
  free({ offsetBytes, lengthBytes }: SpilledBin): void {
    this.#ranges.release(offsetBytes, lengthBytes);
    const { endBytes } = this.#ranges;
    if (this.#fd === undefined) return;
    if (this.#lengthBytes === endBytes) return;
    if (endBytes > 0 && this.#lengthBytes - endBytes < CUT_BYTES_MIN) return;
    try {
      fs.ftruncateSync(this.#fd, endBytes);
      this.#lengthBytes = endBytes;
    } catch {
      // Longer than it has to be, until the next cut: no reason to end a batch that is done.
    }
  }

  /** Gives all of it back. No thread may read from it any more. */
  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #open(): number {
    if (this.#fd !== undefined) return this.#fd;
    let fd: number | undefined;
    try {
      fd = fs.openSync(this.#path, 'wx+', 0o600);
      fs.unlinkSync(this.#path);
      this.#fd = fd;
      return fd;
    } catch (error) {
      // Without its name removed it would outlive a kill.
      if (fd !== undefined) fs.closeSync(fd);
      throw this.#failure(error);
    }
  }

  /** Before the file grows: a temporary directory belongs to the whole machine. */
  async #grow(): Promise<void> {
    const growth = this.#ranges.endBytes - this.#lengthBytes;
    if (growth <= 0) return;
    const { bavail, blocks, bsize } = await statFileSystem(join(this.#path, '..'));
    const leftBytes = Math.min(FREE_SHARE_MIN * blocks * bsize, FREE_BYTES_MIN);
    if (bavail * bsize - growth < leftBytes) {
      throw new MillraceError(
        'DISK_FULL',
        `the file system of ${this.#path} has no room for more blocks: its last ` +
          `${formatBytes(leftBytes)} are left to others`,
      );
    }
    // Others may have grown it meanwhile.
    this.#lengthBytes = Math.max(this.#lengthBytes, this.#ranges.endBytes);
  }

  #failure(error: unknown): MillraceError {
    if (error instanceof MillraceError) return error;
    const { message } = toError(error);
    const isFull = /ENOSPC|EDQUOT/.test(message);
    return new MillraceError(
      isFull ? 'DISK_FULL' : 'DISK_FAILED',
      `a block cannot be written to the spill file ${this.#path}: ${message}`,
      { cause: error, details: { path: this.#path } },
    );
  }
}

/** Reads a place of the spill file, on any thread of the process that has it open.
 * @param into as long as the place. @returns how many bytes there were.
 * @throws {MillraceError} DISK_FAILED. */
export async function readSpilled(
  fd: number,
  into: Uint8Array,
  offsetBytes: number,
): Promise<number> {
  let at = 0;
  while (at < into.byteLength) {
    const got = await readAt(fd, into.subarray(at), offsetBytes + at);
    if (got === 0) break;
    at += got;
  }
  return at;
}

function writeAt(fd: number, bytes: Uint8Array, offsetBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(fd, bytes, 0, bytes.byteLength, offsetBytes, (error, written) => {
      if (error) reject(error);
      else resolve(written);
    });
  });
}

function readAt(fd: number, into: Uint8Array, offsetBytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, 0, into.byteLength, offsetBytes, (error, got) => {
      if (error) reject(readFailure(error, offsetBytes));
      else resolve(got);
    });
  });
}

function statFileSystem(path: string): Promise<fs.StatsFs> {
  return new Promise((resolve, reject) => {
    fs.statfs(path, (error, stats) => {
      if (error) reject(error);
      else resolve(stats);
    });
  });
}

function readFailure(cause: Error, offsetBytes: number): MillraceError {
  const message = `the spill file cannot be read at byte ${offsetBytes}: ${cause.message}`;
  return new MillraceError('DISK_FAILED', message, { cause });
}
