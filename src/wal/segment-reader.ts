/** Reads one segment file through a window of bounded memory, front to back.
 *
 * The window normally is WINDOW_BYTES; it grows only for a record whose header was found sound, and
 * never past the largest record or the file. What it hands out is good until it is moved. Where the
 * device fails, the window ends in front of the page that cannot be read.
 * @module */
import type { DiskFile } from './disk.ts';
import { lostBytesErrno } from './read-fault.ts';
import type { ReadFault } from './read-fault.ts';
import { PAGE_BYTES, roundUp } from './record-header.ts';

/** So large that a usual block is read once (2.3 GiB/s from the page cache, CRC included). */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** A part of a file that is in memory: file offset `at` is byte `at - startBytes` of `bytes`. */
export interface ByteWindow {
  readonly bytes: Buffer;
  readonly startBytes: number;
  /** As a file offset. */
  readonly endBytes: number;
}

/** Memory that several readers use one after the other. */
export class ReadWindow {
  bytes: Buffer = Buffer.alloc(0);

  /** Memory of at least `bytes`; the content is lost when it has to grow. */
  reserve(bytes: number): Buffer {
    if (this.bytes.byteLength < bytes) this.bytes = Buffer.from(new ArrayBuffer(bytes));
    return this.bytes;
  }
}

export class SegmentReader implements ByteWindow {
  readonly #file: DiskFile;
  readonly #window: ReadWindow;
  /** No byte at or past it is given out. */
  readonly limitBytes: number;
  startBytes = 0;
  endBytes = 0;
  /** The first bytes that the device did not give back. Who reads on must not take this for the end
   * of the file. */
  fault: ReadFault | undefined;

  constructor(file: DiskFile, limitBytes: number, window: ReadWindow) {
    this.#file = file;
    this.limitBytes = limitBytes;
    this.#window = window;
  }

  get bytes(): Buffer {
    return this.#window.bytes;
  }

  /** Moves the window so that it holds `length` bytes from `at`, and more behind them.
   * @param length of one record at most.
   * @returns false when the file ends before that, or at a `fault`. */
  async moveTo(at: number, length: number): Promise<boolean> {
    if (at + length > this.limitBytes) return false;
    const start = at - (at % PAGE_BYTES);
    const wantedBytes = roundUp(at - start + length, PAGE_BYTES);
    const memory = this.#window.reserve(
      Math.max(wantedBytes, Math.min(WINDOW_BYTES, this.limitBytes - start)),
    );
    const into = memory.subarray(0, Math.min(memory.byteLength, this.limitBytes - start));
    this.startBytes = start;
    this.endBytes = start;
    try {
      this.endBytes += await this.#file.read(into, start);
    } catch (thrown) {
      const errno = lostBytesErrno(thrown);
      if (errno === undefined) throw thrown;
      await this.#readPages(into);
      this.fault ??= this.#faultIn(into, errno);
    }
    return this.endBytes >= at + length;
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
