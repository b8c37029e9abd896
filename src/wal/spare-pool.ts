/** Files that are ready to become the next segment: full length, every block allocated and written.
 *
 * Writing over blocks that exist already needs no journal commit of the file system, and a full
 * disk shows here, before anything was acknowledged, not in the middle of a group. Zeros are
 * written in 1 MiB pieces in the background (64 MiB: 25 ms directly to the device, several times
 * that through the page cache), one file at a time: one at first, `sparesMin` after the first use.
 * Freed segments come back as they are; their next salt makes the old bytes void. As many are kept
 * as were used up between two truncations of the last seconds: a log of long batches frees many at
 * once and needs as many until the next time, and each that is removed has to be written with zeros
 * again. To remove one may take the disk longer than twenty groups, and the log waits for that.
 *
 *     enough ── no room for one more ──► short (held when only the reserve is left)
 *        ▲                                 │ tries again: 1 s … 30 s later, and after a truncation
 *        └── a spare was made, or freed ───┘
 *
 * No room is not a failure: `take` waits for it. Any other failed preparation is tried once more by
 * `take`, and only that failure counts. Spares never outlive the log that made them: the next one
 * removes what it finds. Decision: docs/decisions/0008-full-and-failing-disks.md.
 * @module */
import { join } from 'node:path';
import type { Clock, Timer } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { Disk, DiskFile, WriteMode } from './disk.ts';
import { PAGE_BYTES } from './record-header.ts';
import { spareName } from './segment-name.ts';
import { noRoom, shortageOf } from './shortage.ts';
import type { Shortage } from './shortage.ts';

const ZEROS_BYTES = 1024 * 1024;
const RETRY_DELAY_MS = 1_000;
const RETRY_DELAY_MAX_MS = 30_000;
/** How long a need is remembered at least, and at most about twice as long. In time, not in
 * truncations: those of short batches come so fast that one without a need says nothing. */
const NEED_KEPT_MS = 10_000;

export interface SparePoolOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly directory: string;
  readonly mode: WriteMode;
  /** Length of each spare, a multiple of 4096. */
  readonly segmentBytes: number;
  readonly sparesMin: number;
  /** Of the ready ones, how many are not for those who can be held back. */
  readonly sparesReserved: number;
  /** Told when the log begins to be held, and with `undefined` when it is no more. */
  readonly onShortage: (shortage: Shortage | undefined) => void;
  /** Make empty files: nothing is to be gained by zeros. */
  readonly isGrowing: boolean;
  /** Numbers below it are taken by files of earlier logs. */
  readonly firstNumber: number;
  /** Files of earlier logs, removed before anything is made. */
  readonly leftovers: readonly string[];
}

export class SparePool {
  readonly #options: SparePoolOptions;
  readonly #zeros: Uint8Array;
  readonly #ready: string[] = [];
  #leftovers: readonly string[];
  #number: number;
  #wanted: number;
  /** Taken since the last truncation. */
  #taken = 0;
  /** The most that were, in this period and in the one before. */
  #recentNeed = 1;
  #formerNeed = 1;
  #periodStartMs: number;
  #isClosed = false;
  #isPatient = true;
  /** Until the turn in which it looks at what is ready for the last time. */
  #preparing: Promise<void> | undefined;
  /** Calls of `prepare`. */
  #wishes = 0;
  #failure: Error | undefined;
  #held: Shortage | undefined;
  #retryTimer: Timer | undefined;
  #retryDelayMs = RETRY_DELAY_MS;
  /** Woken by each new spare, the end of each preparation, and the end of the pool. */
  #waiting: (() => void)[] = [];

  constructor(options: SparePoolOptions) {
    this.#options = options;
    this.#number = options.firstNumber;
    this.#leftovers = options.leftovers;
    this.#wanted = Math.min(1 + options.sparesReserved, options.sparesMin);
    this.#zeros = options.disk.allocateAligned(Math.min(ZEROS_BYTES, options.segmentBytes));
    this.#periodStartMs = options.clock.monotonicMs();
  }

  /** Spares that are ready. */
  get count(): number {
    return this.#ready.length;
  }

  /** Why the last preparation failed; `undefined` when it did not. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Set while the disk is full and no spare is left but the reserve. */
  get shortage(): Shortage | undefined {
    return this.#held;
  }

  /** True when a freed segment should be kept as a spare instead of removed. */
  get hasRoom(): boolean {
    return this.#ready.length < this.#enough;
  }

  get #enough(): number {
    return this.#options.sparesMin + Math.max(this.#recentNeed, this.#formerNeed);
  }

  /** A truncation begins: looks back at how many spares were used up since the last one. A sudden
   * need is believed at once, and forgotten when it has not come again for a while. */
  lookBack(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#periodStartMs >= NEED_KEPT_MS) {
      this.#periodStartMs = nowMs;
      this.#formerNeed = this.#recentNeed;
      this.#recentNeed = 1;
    }
    this.#recentNeed = Math.max(this.#recentNeed, this.#taken);
    this.#taken = 0;
  }

  /** Removes the spares that are not likely to be needed. */
  async shrink(): Promise<void> {
    const excess = this.#ready.splice(this.#enough);
    for (const path of excess) await this.#options.disk.unlink(path);
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
    this.#news();
  }

  /** Makes spares in the background until there are enough. While it is at it, it looks once more
   * for room when it finds none. */
  prepare(): void {
    if (this.#isClosed) return;
    this.#wishes += 1;
    if (this.#preparing !== undefined) return;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
    this.#preparing = this.#prepareAll();
  }

  /** A spare for the next segment; it is the caller's from now on. Waits while the disk is full.
   * @returns `undefined` when the pool was given up meanwhile.
   * @throws {MillraceError} DISK_FAILED when none could be made, on a second try. */
  async take(): Promise<string | undefined> {
    this.#wanted = Math.max(this.#options.sparesMin, 1);
    let isTried = false;
    while (this.#ready.length === 0) {
      if (this.#isClosed) return undefined;
      if (this.#preparing === undefined) {
        // One that was under way may have failed before its cause was over: it is not our try.
        if (!isTried) this.prepare();
        else if (this.#mayNotWait()) return undefined;
        isTried = true;
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const path = this.#ready.shift();
    this.#taken += 1;
    this.#wanted = this.#options.sparesMin;
    this.prepare();
    this.#news();
    return path;
  }

  /** Asked after a failed preparation. @throws what is not a matter of room. */
  #mayNotWait(): boolean {
    if (this.#failure !== undefined && shortageOf(this.#failure) === undefined) throw this.#failure;
    return !this.#isPatient;
  }

  /** Removes one ready spare, for somebody who needs its room more. It is made again when there is
   * room. @returns false when there is none. */
  async release(): Promise<boolean> {
    const path = this.#ready.pop();
    if (path === undefined) return false;
    await this.#options.disk.unlink(path);
    this.#armRetry();
    return true;
  }

  /** Ends waiting for room: whoever takes gets what can be made at once, or nothing. */
  giveUp(): void {
    this.#isPatient = false;
    this.#news();
  }

  /** Stops preparing. @param isTidy also removes the spares, so that a closed log keeps none. */
  async close(isTidy: boolean): Promise<void> {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    this.#news();
    await this.#preparing;
    if (!isTidy) return;
    for (const path of this.#ready.splice(0)) await this.#options.disk.unlink(path);
  }

  /** What earlier logs left goes first: on a full disk it may be the room for the new file. */
  async removeLeftovers(): Promise<void> {
    for (const path of this.#leftovers) await this.#options.disk.unlink(path);
    this.#leftovers = [];
  }

  /** Writes `bytes` of zeros into a new file and makes them durable (not its name). A file that
   * grows gets none, and is made only while there is room for them.
   * @throws {MillraceError} DISK_FULL, saying how much is missing. Nothing of the file is left. */
  async makeZeroed(bytes: number): Promise<{ path: string; file: DiskFile }> {
    const { disk, mode, directory, isGrowing } = this.#options;
    const freeBytes = (await disk.freeBytes?.(directory)) ?? Number.POSITIVE_INFINITY;
    // Not begun at all: zeros that are removed again would take the last room from others.
    if (freeBytes < bytes) {
      throw noRoom({ directory, wantedBytes: bytes, missingBytes: bytes - freeBytes });
    }
    const path = this.nextPath();
    let writtenBytes = 0;
    try {
      const file = await disk.create(path, mode);
      const zerosBytes = isGrowing ? 0 : bytes;
      await this.#fill(file, zerosBytes, (at) => (writtenBytes = at));
      return { path, file };
    } catch (thrown) {
      const isFull = thrown instanceof MillraceError && thrown.code === 'DISK_FULL';
      const missingBytes = writtenBytes < bytes ? bytes - writtenBytes : bytes;
      throw isFull ? noRoom({ directory, wantedBytes: bytes, missingBytes }, thrown) : thrown;
    }
  }

  async #prepareAll(): Promise<void> {
    const wishesBefore = this.#wishes;
    try {
      await this.removeLeftovers();
      while (!this.#isClosed && this.#ready.length < this.#wanted) {
        this.#ready.push(await this.#makeSpare());
        this.#news();
      }
      this.#failure = undefined;
      this.#retryDelayMs = RETRY_DELAY_MS;
    } catch (thrown) {
      this.#failure = toError(thrown); // told by stats(); the roll that needs a spare tries again
      const isFull = shortageOf(this.#failure) !== undefined;
      const isAskedAgain = this.#wishes > wishesBefore && !this.#isClosed;
      // A truncation may have made room since it was looked for.
      if (isFull && isAskedAgain) return this.#prepareAll();
      if (isFull) this.#armRetry();
    }
    // Not a turn later: whoever takes the last spare that was made wishes for the next one.
    this.#preparing = undefined;
    this.#news();
  }

  async #makeSpare(): Promise<string> {
    const { path, file } = await this.makeZeroed(this.#options.segmentBytes);
    await file.close();
    return path;
  }

  #armRetry(): void {
    if (this.#isClosed) return;
    this.#retryTimer?.cancel();
    this.#retryTimer = this.#options.clock.after(this.#retryDelayMs, () => {
      this.#retryTimer = undefined;
      this.prepare();
    });
    this.#retryDelayMs = Math.min(2 * this.#retryDelayMs, RETRY_DELAY_MAX_MS);
  }

  /** Wakes who waits, and tells when the log begins or ends to be held. */
  #news(): void {
    for (const wake of this.#waiting.splice(0)) wake();
    if (this.#isClosed) return;
    const isLow = this.#ready.length <= this.#options.sparesReserved;
    const held = isLow ? shortageOf(this.#failure) : undefined;
    if ((held === undefined) === (this.#held === undefined)) return;
    this.#held = held;
    this.#options.onShortage(held);
  }

  /** Goes on after a short count, which no log record may do: a full disk says so only at the next
   * call. Direct writes go on from a page. */
  async #fill(file: DiskFile, bytes: number, onWritten: (at: number) => void): Promise<void> {
    try {
      await this.#writeZeros(file, bytes, onWritten);
      await file.syncAll();
    } catch (thrown) {
      await this.#discard(file, thrown);
      throw thrown;
    }
  }

  async #writeZeros(file: DiskFile, bytes: number, onWritten: (at: number) => void): Promise<void> {
    for (let at = 0; at < bytes;) {
      if (this.#isClosed)
        throw new MillraceError('WAL_CLOSED', `${file.path} is not needed any more`);
      const length = Math.min(this.#zeros.byteLength, bytes - at);
      const taken = await file.write([this.#zeros.subarray(0, length)], at);
      const whole = taken - (taken % PAGE_BYTES);
      if (whole === 0) throw growsNoMore(file);
      at += whole;
      onWritten(at);
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

function growsNoMore({ path }: DiskFile): MillraceError {
  return new MillraceError('DISK_FULL', `${path} grows no more`, { details: { path } });
}
