/** Files that are ready to become the next segment: full length, every block allocated and written.
 *
 * Writing over blocks that exist already needs no journal commit of the file system, and a full
 * disk shows here, before anything was acknowledged, not in the middle of a group. Zeros are
 * written in 1 MiB pieces in the background (64 MiB: 25 ms directly to the device, several times
 * that through the page cache), one file at a time: one at first, `sparesMin` after the first use.
 * Freed segments come back as they are; their next salt makes the old bytes void.
 *
 * A preparation that fails is not fatal: `take` tries once more, and only its failure counts.
 * Spares never outlive the log that made them: the next one removes what it finds.
 * @module */
import { join } from 'node:path';
import { MillraceError, toError } from '../core/errors.ts';
import type { Disk, DiskFile, WriteMode } from './disk.ts';
import { PAGE_BYTES } from './record-header.ts';
import { shortWrite } from './short-write.ts';
import { spareName } from './segment-name.ts';

const ZEROS_BYTES = 1024 * 1024;

export interface SparePoolOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly mode: WriteMode;
  /** Length of each spare, a multiple of 4096. */
  readonly segmentBytes: number;
  readonly sparesMin: number;
  /** Numbers below it are taken by files of earlier logs. */
  readonly firstNumber: number;
  /** Files of earlier logs, removed before the first spare is made. */
  readonly leftovers: readonly string[];
}

export class SparePool {
  readonly #options: SparePoolOptions;
  readonly #zeros: Uint8Array;
  readonly #ready: string[] = [];
  #leftovers: readonly string[];
  #number: number;
  #wanted: number;
  #isClosed = false;
  #preparing: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(options: SparePoolOptions) {
    this.#options = options;
    this.#number = options.firstNumber;
    this.#leftovers = options.leftovers;
    this.#wanted = Math.min(1, options.sparesMin);
    this.#zeros = options.disk.allocateAligned(Math.min(ZEROS_BYTES, options.segmentBytes));
  }

  /** Spares that are ready. */
  get count(): number {
    return this.#ready.length;
  }

  /** Why the last preparation failed; `undefined` when it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** True when a freed segment should be kept as a spare instead of removed. */
  get hasRoom(): boolean {
    return this.#ready.length < this.#options.sparesMin + 1;
  }

  /** A name that no file of this directory has. */
  nextPath(): string {
    const path = join(this.#options.directory, spareName(this.#number));
    this.#number += 1;
    return path;
  }

  /** Adds a freed segment, renamed to a path of `nextPath`, the rename durable. */
  offer(path: string): void {
    this.#ready.push(path);
  }

  /** Makes spares in the background until there are enough. Does nothing while it is at it. */
  prepare(): void {
    if (this.#isClosed || this.#preparing !== undefined) return;
    this.#preparing = this.#prepareAll().finally(() => {
      this.#preparing = undefined;
    });
  }

  /** A spare for the next segment; it is the caller's from now on.
   * @throws {MillraceError} DISK_FULL or DISK_FAILED when none could be made, on a second try. */
  async take(): Promise<string> {
    this.#wanted = this.#options.sparesMin;
    // A preparation may be under way: it is either the one we need, or must end before our try.
    if (this.#ready.length === 0) await this.#preparing;
    const path = this.#ready.shift() ?? (await this.#recorded(this.#makeSpare()));
    this.prepare();
    return path;
  }

  /** Stops preparing. @param isTidy also removes the spares, so that a closed log keeps none. */
  async close(isTidy: boolean): Promise<void> {
    this.#isClosed = true;
    await this.#preparing;
    if (!isTidy) return;
    for (const path of this.#ready.splice(0)) await this.#options.disk.unlink(path);
  }

  /** Writes `bytes` of zeros into a new file and makes them durable (not its name). */
  async makeZeroed(bytes: number): Promise<{ path: string; file: DiskFile }> {
    const { disk, mode } = this.#options;
    const path = this.nextPath();
    const file = await disk.create(path, mode);
    try {
      await this.#fill(file, bytes);
      await file.syncAll();
      return { path, file };
    } catch (thrown) {
      await this.#discard(file, thrown);
      throw thrown;
    }
  }

  async #prepareAll(): Promise<void> {
    try {
      for (const path of this.#leftovers) await this.#options.disk.unlink(path);
      this.#leftovers = [];
      while (!this.#isClosed && this.#ready.length < this.#wanted) {
        this.#ready.push(await this.#makeSpare());
      }
      this.#failure = undefined;
    } catch (thrown) {
      this.#failure = toError(thrown); // told by stats(); the roll that needs a spare tries again
    }
  }

  async #makeSpare(): Promise<string> {
    const { path, file } = await this.makeZeroed(this.#options.segmentBytes);
    await file.close();
    return path;
  }

  async #recorded(spare: Promise<string>): Promise<string> {
    try {
      return await spare;
    } catch (thrown) {
      this.#failure = toError(thrown);
      throw thrown;
    }
  }

  /** Goes on after a short count, which no log record may do: a full disk says so only then. */
  async #fill(file: DiskFile, bytes: number): Promise<void> {
    for (let at = 0; at < bytes;) {
      if (this.#isClosed)
        throw new MillraceError('WAL_CLOSED', `${file.path} is not needed any more`);
      const length = Math.min(this.#zeros.byteLength, bytes - at);
      const taken = await file.write([this.#zeros.subarray(0, length)], at);
      if (taken < length && (taken === 0 || taken % PAGE_BYTES !== 0)) {
        throw shortWrite(file.path, length, taken);
      }
      at += taken;
    }
  }

  /** Gives the room of a half-made file back.
   * @throws {MillraceError} of the code of `cause`, when that fails too. */
  async #discard(file: DiskFile, cause: unknown): Promise<void> {
    try {
      await file.close();
      await this.#options.disk.unlink(file.path);
    } catch (thrown) {
      const code = cause instanceof MillraceError ? cause.code : 'DISK_FAILED';
      throw new MillraceError(
        code,
        `${toError(cause).message}; nor could ${file.path} be removed: ${toError(thrown).message}`,
        { cause: new AggregateError([cause, thrown]), details: { path: file.path } },
      );
    }
  }
}
