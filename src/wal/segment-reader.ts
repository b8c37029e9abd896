/** Reads one segment file through a window of bounded memory, front to back, one part ahead.
 *
 *     file     …│▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│░░░░░░░░░░░░░░░░│…    ▒ looked at   ░ read meanwhile
 *     moveTo           tail ▒▒▒▒│░░░░░░░░░░░░░░░░│      the rest of ▒ is copied in front of ░
 *
 * So the disk reads while the CRCs of the part before are computed. A part is WINDOW_BYTES; a record
 * that does not fit is read by itself, and memory grows only for one whose header was found sound:
 * never past the largest record or the file. What is handed out is good until the window is moved.
 * Where the device fails, the window ends in front of the page that cannot be read.
 * @module */
import { toError } from '../core/errors.ts';
import type { DiskFile } from './disk.ts';
import { lostBytesErrno } from './read-fault.ts';
import type { ReadFault } from './read-fault.ts';
import type { ReadWindow } from './read-window.ts';
import { PAGE_BYTES, roundUp } from './record-header.ts';

/** Several usual blocks: large enough for the device, small enough for the processor's cache. */
const WINDOW_BYTES = 4 * 1024 * 1024;
/** So much of a record that goes on behind the window is kept; a longer one is read again. */
const TAIL_BYTES = 4 * 1024 * 1024;

/** A part of a file that is in memory: file offset `at` is byte `at - startBytes` of `bytes`. */
export interface ByteWindow {
  readonly bytes: Buffer;
  readonly startBytes: number;
  /** As a file offset. */
  readonly endBytes: number;
}

export class SegmentReader implements ByteWindow {
  readonly #file: DiskFile;
  readonly #window: ReadWindow;
  /** No byte at or past it is given out. */
  readonly limitBytes: number;
  bytes: Buffer = Buffer.alloc(0);
  startBytes = 0;
  endBytes = 0;
  /** How many bytes were read behind `endBytes`, or why they cannot be. */
  #ahead: Promise<number | Error> | undefined;
  /** The first bytes that the device did not give back. Who reads on must not take this for the end
   * of the file. */
  fault: ReadFault | undefined;

  constructor(file: DiskFile, limitBytes: number, window: ReadWindow) {
    this.#file = file;
    this.limitBytes = limitBytes;
    this.#window = window;
  }

  /** Moves the window, where that is needed, so that it holds `length` bytes from `at`, and more behind them.
   * @param length of one record at most.
   * @returns false when the file ends before that, or at a `fault`. */
  async moveTo(at: number, length: number): Promise<boolean> {
    if (at + length > this.limitBytes) return false;
    if (at >= this.startBytes && at + length <= this.endBytes) return true;
    const ahead = (await this.#ahead) ?? 0;
    this.#ahead = undefined;
    if (ahead instanceof Error) await this.#read(at, length, ahead);
    else if (!this.#take(ahead, at, length)) await this.#read(at, length);
    if (this.endBytes < this.limitBytes && this.fault === undefined) this.#readAhead();
    return this.endBytes >= at + length;
  }

  /** Waits for a read that is under way: the file must not be closed before. */
  async settle(): Promise<void> {
    await this.#ahead;
  }

  /** Goes on with the `readBytes` that were read ahead.
   * @returns false when they are not all that is wanted. */
  #take(readBytes: number, at: number, length: number): boolean {
    const tailBytes = this.endBytes - at;
    if (readBytes === 0 || at < this.startBytes || tailBytes < 0) return false;
    if (tailBytes > TAIL_BYTES || tailBytes + readBytes < length) return false;
    const tail = this.bytes.subarray(at - this.startBytes, this.endBytes - this.startBytes);
    this.#window.swap();
    const memory = this.#window.current(TAIL_BYTES + readBytes);
    this.bytes = memory.subarray(TAIL_BYTES - tailBytes, TAIL_BYTES + readBytes);
    this.bytes.set(tail);
    this.startBytes = at;
    this.endBytes += readBytes;
    return true;
  }

  #readAhead(): void {
    const partBytes = Math.min(WINDOW_BYTES, this.limitBytes - this.endBytes);
    const memory = this.#window.next(TAIL_BYTES + partBytes);
    const into = memory.subarray(TAIL_BYTES, TAIL_BYTES + partBytes);
    this.#ahead = this.#file.read(into, this.endBytes).catch(toError);
  }

  /** @param failure of reading these bytes ahead: a device that gives them back the second time is
   * not trusted either. */
  async #read(at: number, length: number, failure?: Error): Promise<void> {
    const start = at - (at % PAGE_BYTES);
    const wantedBytes = roundUp(at - start + length, PAGE_BYTES);
    const restBytes = this.limitBytes - start;
    const memory = this.#window.current(Math.max(wantedBytes, Math.min(WINDOW_BYTES, restBytes)));
    const into = memory.subarray(0, Math.min(memory.byteLength, restBytes));
    this.bytes = into;
    this.startBytes = start;
    this.endBytes = start;
    try {
      if (failure !== undefined) throw failure;
      this.endBytes += await this.#file.read(into, start);
    } catch (thrown) {
      const errno = lostBytesErrno(thrown);
      if (errno === undefined) throw thrown;
      await this.#readPages(into);
      this.fault ??= this.#faultIn(into, errno);
    }
  }

  /** One by one up to the bad one, so that it is known, and what is in front of it is read. */
  async #readPages(into: Buffer): Promise<void> {
    for (let at = 0; at < into.byteLength; at += PAGE_BYTES) {
      try {
        const page = into.subarray(at, at + PAGE_BYTES);
        this.endBytes += await this.#file.read(page, this.startBytes + at);
      } catch {
        return; // what is reported is the first error
      }
    }
  }

  /** All pages may be read the second time: then nobody knows which of them was bad. */
  #faultIn(into: Buffer, errno: string): ReadFault {
    const isPage = this.endBytes < this.startBytes + into.byteLength;
    const fromBytes = isPage ? this.endBytes : this.startBytes;
    const toBytes = isPage ? Math.min(fromBytes + PAGE_BYTES, this.limitBytes) : this.endBytes;
    return { fromBytes, toBytes, errno };
  }
}
