/** Reads one segment file through a window of bounded memory, front to back, some parts ahead.
 *
 *     file     …│▒▒▒▒▒▒▒▒▒▒▒▒│░░░░░░░░░░░░│░░░░░░░░░░░░│…     ▒ looked at    ░ being read
 *     moveTo       tail ▒▒▒▒│░░░░░░░░░░░░│       the rest of ▒ is copied in front of the first ░
 *
 * So the disk reads while CRCs are computed, and its thread always has the next part to read. A
 * record that does not fit is read by itself, and memory grows only for one whose header was found
 * sound: never past the largest record or the file. What is handed out is good until the window is
 * moved. Where the device fails, the window ends in front of the page that cannot be read.
 * @module */
import { toError } from '../core/errors.ts';
import type { DiskFile } from './disk.ts';
import { lostBytesErrno } from './read-fault.ts';
import type { ReadFault } from './read-fault.ts';
import type { ReadMemory } from './read-memory.ts';
import { PAGE_BYTES, roundUp } from './record-header.ts';

/** What is read at once: two usual blocks. */
const PART_BYTES = 2 * 1024 * 1024;
/** So much of a record that goes on behind the window is kept; a longer one is read again. */
const TAIL_BYTES = 2 * 1024 * 1024;
const PARTS_AHEAD = 2;

/** A part of a file that is in memory: file offset `at` is byte `at - startBytes` of `bytes`. */
export interface ByteWindow {
  readonly bytes: Buffer;
  readonly startBytes: number;
  /** As a file offset. */
  readonly endBytes: number;
}

/** A part that is being read. */
interface PartAhead {
  readonly fromBytes: number;
  readonly memory: Buffer;
  /** How many bytes were read, or why none were. */
  readonly outcome: Promise<number | Error>;
}

const NOTHING: Buffer = Buffer.alloc(0);

export class SegmentReader implements ByteWindow {
  readonly #file: DiskFile;
  readonly #pool: ReadMemory;
  /** No byte at or past it is given out. */
  readonly limitBytes: number;
  bytes: Buffer = NOTHING;
  startBytes = 0;
  endBytes = 0;
  /** What `bytes` is part of. */
  #memory: Buffer | undefined;
  /** In the order of the file; the first one begins where the window ends. */
  readonly #ahead: PartAhead[] = [];
  /** The first bytes that the device did not give back. Who reads on must not take this for the end
   * of the file. */
  fault: ReadFault | undefined;

  /** @param file opened in any way. */
  constructor(file: DiskFile, limitBytes: number, pool: ReadMemory) {
    this.#file = file;
    this.limitBytes = limitBytes;
    this.#pool = pool;
  }

  /** Moves the window, where that is needed, so that it holds `length` bytes from `at`, and more
   * behind them.
   * @param length of one record at most.
   * @returns false when the file ends before that, or at a `fault`. */
  async moveTo(at: number, length: number): Promise<boolean> {
    if (at + length > this.limitBytes) return false;
    if (at >= this.startBytes && at + length <= this.endBytes) return true;
    const failure = await this.#takeAhead(at, length);
    if (failure !== undefined || at < this.startBytes || at + length > this.endBytes) {
      await this.#dropAhead((part, error) => this.#noteFailure(part, error));
      await this.#read(at, length, failure);
    }
    if (this.fault === undefined) this.#readAhead();
    return this.endBytes >= at + length;
  }

  /** Waits for what is being read: the file must not be closed before. Gives back all memory. */
  async close(): Promise<void> {
    await this.#dropAhead();
    this.#keep(undefined, NOTHING);
  }

  async #dropAhead(onFailed: (part: PartAhead, error: Error) => void = () => {}): Promise<void> {
    for (const part of this.#ahead.splice(0)) {
      const outcome = await part.outcome;
      if (outcome instanceof Error) onFailed(part, outcome);
      this.#pool.give(part.memory);
    }
  }

  /** Its bytes are read again now, by themselves: a device that gives them back the second time is
   * not trusted either. Errors that say nothing about bytes are that read's to tell. */
  #noteFailure({ fromBytes }: PartAhead, error: Error): void {
    const errno = lostBytesErrno(error);
    if (errno === undefined) return;
    const toBytes = Math.min(fromBytes + PART_BYTES, this.limitBytes);
    this.fault ??= { fromBytes, toBytes, errno };
  }

  /** Goes on with the next part, when what is wanted begins in the window and ends in that part.
   * @returns why it could not be read. */
  async #takeAhead(at: number, length: number): Promise<Error | undefined> {
    const [next] = this.#ahead;
    const tailBytes = this.endBytes - at;
    const isInside = at >= this.startBytes && tailBytes >= 0 && tailBytes <= TAIL_BYTES;
    if (next?.fromBytes !== this.endBytes || !isInside) return undefined;
    if (length > tailBytes + PART_BYTES) return undefined;
    const outcome = await next.outcome;
    this.#ahead.shift();
    if (outcome instanceof Error) {
      this.#pool.give(next.memory);
      return outcome;
    }
    const readBytes = Math.min(outcome, this.limitBytes - this.endBytes);
    const tail = this.bytes.subarray(at - this.startBytes, this.endBytes - this.startBytes);
    const bytes = next.memory.subarray(TAIL_BYTES - tailBytes, TAIL_BYTES + readBytes);
    bytes.set(tail);
    this.#keep(next.memory, bytes);
    this.startBytes = at;
    this.endBytes += readBytes;
    return undefined;
  }

  /** Asks for the parts behind the window that were not asked for yet. A read that ended within a
   * page has met the end of the file. */
  #readAhead(): void {
    if (this.endBytes % PAGE_BYTES !== 0) return;
    const last = this.#ahead.at(-1);
    let from = last === undefined ? this.endBytes : last.fromBytes + PART_BYTES;
    while (this.#ahead.length < PARTS_AHEAD && from < this.limitBytes) {
      const partBytes = Math.min(PART_BYTES, roundUp(this.limitBytes - from, PAGE_BYTES));
      const memory = this.#pool.take(TAIL_BYTES + partBytes);
      const into = memory.subarray(TAIL_BYTES, TAIL_BYTES + partBytes);
      const outcome = this.#file.read(into, from).catch(toError);
      this.#ahead.push({ fromBytes: from, memory, outcome });
      from += partBytes;
    }
  }

  /** @param failure of reading these bytes ahead. */
  async #read(at: number, length: number, failure?: Error): Promise<void> {
    const start = at - (at % PAGE_BYTES);
    const wantedBytes = roundUp(at - start + length, PAGE_BYTES);
    const restBytes = roundUp(this.limitBytes - start, PAGE_BYTES);
    const memory = this.#pool.take(Math.max(wantedBytes, Math.min(PART_BYTES, restBytes)));
    const into = memory.subarray(0, Math.min(memory.byteLength, restBytes));
    this.#keep(memory, into);
    this.startBytes = start;
    this.endBytes = start;
    try {
      if (failure !== undefined) throw failure;
      this.#holds(await this.#file.read(into, start));
    } catch (thrown) {
      const errno = lostBytesErrno(thrown);
      if (errno === undefined) throw thrown;
      await this.#readPages(into);
      this.fault ??= this.#faultIn(into, errno);
    }
  }

  /** So many bytes more, none of them at or past the limit. */
  #holds(readBytes: number): void {
    this.endBytes = Math.min(this.endBytes + readBytes, this.limitBytes);
  }

  #keep(memory: Buffer | undefined, bytes: Buffer): void {
    if (this.#memory !== undefined) this.#pool.give(this.#memory);
    this.#memory = memory;
    this.bytes = bytes;
  }

  /** One by one up to the bad one, so that it is known, and what is in front of it is read. */
  async #readPages(into: Buffer): Promise<void> {
    for (let at = 0; at < into.byteLength; at += PAGE_BYTES) {
      try {
        const page = into.subarray(at, at + PAGE_BYTES);
        this.#holds(await this.#file.read(page, this.startBytes + at));
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
