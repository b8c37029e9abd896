/** Reads the blocks of one task, wherever they are: in the arena, in a log, in the spill file.
 *
 * One per task, closed with it. Blocks of one task lie next to each other in few segments, so a
 * segment stays open while the task goes on; none stays open longer, because an open file that was
 * removed keeps its space. While the task runs its blocks are not cleaned, so their segments have
 * their names. Every read from disk checks the CRC: a mismatch is damage, told and never skipped.
 * The records of a block are good until the next `read`. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { binOfPayload } from '../blocks/block-layout.ts';
import { recordsOfBin } from '../blocks/block-records.ts';
import type { BlockRecords } from '../blocks/block-records.ts';
import type { BlockRef, LogBytes, SpilledBin } from '../blocks/block-ref.ts';
import { readSpilled } from '../blocks/spill-file.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { Codec } from '../serde/codec.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk, DiskFile } from '../wal/disk.ts';
import { lostBytesErrno } from '../wal/read-fault.ts';
import type { ReadMemory } from '../wal/read-memory.ts';
import { PAGE_BYTES, roundUp } from '../wal/record-header.ts';
import { errnoOf } from '../wal/system-calls.ts';

/** Segments that a task holds open at a time. */
export const OPEN_FILES_MAX: number = 4;

const WRONG_BYTES = { what: 'does not have its checksum any more' };

export interface BlockReaderOptions {
  readonly arena: BlockArena;
  readonly disk: Pick<Disk, 'openForReading'>;
  /** Of the thread. */
  readonly memory: ReadMemory;
  readonly codec: Codec;
}

/** Bytes of a file, in memory that was taken for them. */
interface Fetched {
  readonly memory: Buffer;
  /** `undefined` when the file ends before they do. */
  readonly bytes: Uint8Array | undefined;
}

/** A block that is being fetched while the one before it is worked on. */
interface BlockAhead {
  readonly key: string;
  readonly outcome: Promise<Fetched | Error>;
}

export class BlockReader {
  readonly #options: BlockReaderOptions;
  /** By path, the one used last at the end. */
  readonly #files = new Map<string, DiskFile>();
  /** Of the block that was read last: records are decoded into values of their own. */
  #memory: Buffer | undefined;
  #ahead: BlockAhead | undefined;

  constructor(options: BlockReaderOptions) {
    this.#options = options;
  }

  /** @param next is read after it: where that is in a log, its bytes are fetched meanwhile.
   * @throws {MillraceError} WAL_CORRUPT when the bytes are not those that were written;
   *   DISK_FAILED when they cannot be read. */
  async read(ref: BlockRef, next?: BlockRef): Promise<BlockRecords> {
    this.#keep(undefined);
    const bin = await this.#binOf(ref);
    if (next?.bytes.kind === 'log') {
      const { key, bytes } = next;
      this.#ahead = { key, outcome: this.#fetch(key, bytes).catch(toError) };
    }
    return recordsOfBin(bin, ref, this.#options.codec);
  }

  /** Waits for what is being fetched, closes the files and gives back the memory. Call it on every
   * path. */
  async close(): Promise<void> {
    await this.#dropAhead();
    this.#keep(undefined);
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await file.close();
  }

  #binOf({ key, bytes }: BlockRef): Promise<Uint8Array> | Uint8Array {
    switch (bytes.kind) {
      case 'arena': {
        const { offsetBytes, lengthBytes } = bytes;
        return this.#options.arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
      }
      case 'log':
        return this.#readLog(key, bytes);
      case 'spill':
        return this.#readSpill(key, bytes);
    }
  }

  async #readLog(key: string, bytes: LogBytes): Promise<Uint8Array> {
    const { path, offsetBytes, crc } = bytes;
    const { memory, bytes: payload } =
      (await this.#takeAhead(key)) ?? (await this.#fetch(key, bytes));
    this.#keep(memory);
    if (payload === undefined || crc32(payload) !== crc) throw damagedRecord(key, bytes);
    reached('read-back');
    try {
      return binOfPayload(payload);
    } catch (cause) {
      const message = `the block ${key} at byte ${offsetBytes} of ${path} is no block`;
      throw new MillraceError('WAL_CORRUPT', message, { cause });
    }
  }

  /** @returns `undefined` when it is not what was fetched. @throws why that failed. */
  async #takeAhead(key: string): Promise<Fetched | undefined> {
    if (this.#ahead?.key !== key) return this.#dropAhead();
    const outcome = await this.#ahead.outcome;
    this.#ahead = undefined;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  async #dropAhead(): Promise<undefined> {
    const outcome = await this.#ahead?.outcome;
    this.#ahead = undefined;
    if (outcome !== undefined && !(outcome instanceof Error)) {
      this.#options.memory.give(outcome.memory);
    }
  }

  /** The pages that the payload lies in are read past the page cache, as they were written.
   * What a device cannot give back of a durable block is damage, as it is at a start. */
  async #fetch(key: string, bytes: LogBytes): Promise<Fetched> {
    const { path, offsetBytes, lengthBytes } = bytes;
    const skippedBytes = offsetBytes % PAGE_BYTES;
    const endBytes = skippedBytes + lengthBytes;
    const memory = this.#options.memory.take(endBytes);
    try {
      const file = await this.#fileOf(path);
      const into = memory.subarray(0, roundUp(endBytes, PAGE_BYTES));
      const got = await file.read(into, offsetBytes - skippedBytes);
      return { memory, bytes: got < endBytes ? undefined : into.subarray(skippedBytes, endBytes) };
    } catch (error) {
      this.#options.memory.give(memory);
      // Nobody but a stranger removes a segment that a batch still needs.
      const isGone = errnoOf(error) === 'ENOENT';
      const errno = lostBytesErrno(error);
      if (!isGone && errno === undefined) throw error;
      const what = isGone ? 'its segment is gone' : `cannot be read any more (${errno})`;
      throw damagedRecord(key, bytes, { what, cause: error });
    }
  }

  async #readSpill(key: string, bytes: SpilledBin): Promise<Uint8Array> {
    const { fd, offsetBytes, lengthBytes, crc } = bytes;
    const memory = this.#options.memory.take(lengthBytes);
    this.#keep(memory);
    const bin = memory.subarray(0, lengthBytes);
    const got = await readSpilled(fd, bin, offsetBytes);
    if (got === lengthBytes && crc32(bin) === crc) return bin;
    throw new MillraceError(
      'WAL_CORRUPT',
      `the block ${key}, ${lengthBytes} bytes at byte ${offsetBytes} of the spill file, is ` +
        'not what was written there: the device of the temporary directory fails',
      { details: { block: key, offsetBytes, lengthBytes } },
    );
  }

  /** Instead of that of the block before, which goes back. */
  #keep(memory: Buffer | undefined): void {
    if (this.#memory !== undefined) this.#options.memory.give(this.#memory);
    this.#memory = memory;
  }

  async #fileOf(path: string): Promise<DiskFile> {
    const open = this.#files.get(path);
    if (open !== undefined) {
      this.#files.delete(path);
      this.#files.set(path, open);
      return open;
    }
    const [oldest] = this.#files;
    if (oldest !== undefined && this.#files.size >= OPEN_FILES_MAX) {
      this.#files.delete(oldest[0]);
      await oldest[1].close();
    }
    const file = await this.#options.disk.openForReading(path, 'direct');
    this.#files.set(path, file);
    return file;
  }
}

function damagedRecord(
  key: string,
  { path, offsetBytes, lengthBytes, lsn }: LogBytes,
  { what, cause }: { readonly what: string; readonly cause?: unknown } = WRONG_BYTES,
): MillraceError {
  const end = offsetBytes + lengthBytes;
  return new MillraceError(
    'WAL_CORRUPT',
    `the block ${key} (record ${lsn}, bytes ${offsetBytes} to ${end} of ${path}) was durable and ` +
      `${what}: restore the directory from a backup, or keep it for inspection and start with ` +
      'another one',
    { cause, details: { path, offsetBytes, lengthBytes, lsn, block: key } },
  );
}
