/** Reads one segment file through a window of bounded memory, front to back.
 *
 * The window normally is WINDOW_BYTES; it grows only for a record whose header was found sound, and
 * never past the largest record. What it hands out is good until it is moved.
 * @module */
import type { DiskFile } from './disk.ts';
import { PAGE_BYTES, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, roundUp } from './record-header.ts';

/** So large that a usual block is read once (2.3 GiB/s from the page cache, CRC included). */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** Memory that several readers use one after the other. */
export class ReadWindow {
  bytes: Buffer = Buffer.alloc(0);

  /** Memory of at least `bytes`; the content is lost when it has to grow. */
  reserve(bytes: number): Buffer {
    if (this.bytes.byteLength < bytes) this.bytes = Buffer.from(new ArrayBuffer(bytes));
    return this.bytes;
  }
}

export class SegmentReader {
  readonly #file: DiskFile;
  readonly #window: ReadWindow;
  /** No byte at or past it is given out. */
  readonly limitBytes: number;
  #startBytes = 0;
  #lengthBytes = 0;

  constructor(file: DiskFile, limitBytes: number, window: ReadWindow) {
    this.#file = file;
    this.limitBytes = limitBytes;
    this.#window = window;
  }

  /** The window's memory; file offset `at` is byte `at - startBytes` of it. */
  get bytes(): Buffer {
    return this.#window.bytes;
  }

  get startBytes(): number {
    return this.#startBytes;
  }

  /** End of the window, as a file offset. */
  get endBytes(): number {
    return this.#startBytes + this.#lengthBytes;
  }

  /** True when `length` bytes from file offset `at` are in the window without reading. */
  holds(at: number, length: number): boolean {
    return at >= this.#startBytes && at + length <= this.endBytes;
  }

  /** Moves the window so that it holds `length` bytes from `at`, and more behind them.
   * @returns false when the file ends before that. */
  async moveTo(at: number, length: number): Promise<boolean> {
    if (this.holds(at, length)) return true;
    if (at + length > this.limitBytes) return false;
    if (length > RECORD_HEADER_BYTES + PAYLOAD_BYTES_MAX) return false;
    const start = at - (at % PAGE_BYTES);
    const wantedBytes = roundUp(at - start + length, PAGE_BYTES);
    const roomBytes = Math.max(wantedBytes, Math.min(WINDOW_BYTES, this.limitBytes - start));
    const memory = this.#window.reserve(roomBytes);
    const into = memory.subarray(0, Math.min(memory.byteLength, this.limitBytes - start));
    this.#startBytes = start;
    this.#lengthBytes = await this.#file.read(into, start);
    return this.holds(at, length);
  }
}
