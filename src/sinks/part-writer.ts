/** Writes one attempt of one partition into a file of its own: one record a line.
 *
 * Text is gathered and written in large pieces by synchronous calls: the task thread has nothing
 * else to do, and its caller writes record by record. A short write is finished, never ignored.
 *
 * State: open → closed | aborted. The file is `part-00000.attempt-0` until the driver's commit
 * gives the winner its final name; so attempts never mix, and what a crash leaves is no result.
 * @module */
import { close, closeSync, fdatasync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { assert } from '../core/assert.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { PartitionWriter } from '../dstream/sink.ts';

const closeFile = promisify(close);
const syncFile = promisify(fdatasync);

/** Text is written out when this many characters have gathered. */
const BUFFER_CHARS = 256 * 1024;

/** What the driver needs to know of a finished attempt; structured-cloneable. */
export interface PartToken {
  readonly partition: number;
  /** Name of the attempt's file in the batch's temporary directory. */
  readonly fileName: string;
  readonly records: number;
  readonly bytes: number;
}

export interface PartOptions<T> {
  /** Absolute; exists. */
  readonly directory: string;
  readonly partition: number;
  readonly attempt: number;
  /** A record as text, without the final newline. */
  readonly format: (record: T) => string;
}

/** Final name of a partition's file. */
export function partName(partition: number): string {
  return `part-${String(partition).padStart(5, '0')}`;
}

export class PartWriter<T> implements PartitionWriter<T> {
  readonly #options: PartOptions<T>;
  readonly #fileName: string;
  readonly #path: string;
  readonly #fd: number;
  #state: 'open' | 'closed' | 'aborted' = 'open';
  #pending = '';
  #records = 0;
  #bytes = 0;

  /** Creates the attempt's file. @throws {MillraceError} OUTPUT_FAILED. */
  constructor(options: PartOptions<T>) {
    this.#options = options;
    this.#fileName = `${partName(options.partition)}.attempt-${options.attempt}`;
    this.#path = join(options.directory, this.#fileName);
    // An older file of this name is unlinked, not truncated: whoever still has it open, a thread
    // that was given up, then writes into nothing.
    this.#fd = this.#doing('created', () => {
      rmSync(this.#path, { force: true });
      return openSync(this.#path, 'wx');
    });
  }

  /** @throws {MillraceError} OUTPUT_FAILED; whatever `format` throws. */
  write(record: T): void {
    assert(this.#state === 'open', `${this.#path} is ${this.#state}`);
    this.#pending += `${this.#options.format(record)}\n`;
    this.#records += 1;
    if (this.#pending.length >= BUFFER_CHARS) this.#flush();
  }

  /** Content and size are on the device when it resolves; the name is not, until commit. */
  async close(): Promise<PartToken> {
    assert(this.#state === 'open', `${this.#path} is ${this.#state}`);
    this.#flush();
    try {
      await syncFile(this.#fd);
      this.#state = 'closed';
      await closeFile(this.#fd);
    } catch (error) {
      throw this.#failed('synced', error);
    }
    const { partition } = this.#options;
    return { partition, fileName: this.#fileName, records: this.#records, bytes: this.#bytes };
  }

  /** Removes the file; also after a failed `write` or `close`. Does nothing the second time. */
  abort(): Promise<void> {
    if (this.#state === 'aborted') return Promise.resolve();
    const isOpen = this.#state === 'open';
    this.#state = 'aborted';
    this.#pending = '';
    try {
      if (isOpen) closeSync(this.#fd);
      rmSync(this.#path, { force: true });
    } catch (error) {
      return Promise.reject(this.#failed('removed', error));
    }
    return Promise.resolve();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending, 'utf8');
    this.#pending = '';
    this.#doing('written', () => {
      let done = 0;
      while (done < bytes.byteLength) {
        const count = writeSync(this.#fd, bytes, done);
        if (count === 0) throw new Error('the operating system took no byte');
        done += count;
      }
    });
    this.#bytes += bytes.byteLength;
  }

  #doing<R>(what: string, call: () => R): R {
    try {
      return call();
    } catch (error) {
      throw this.#failed(what, error);
    }
  }

  #failed(what: string, error: unknown): MillraceError {
    const cause = toError(error);
    return new MillraceError(
      'OUTPUT_FAILED',
      `the output file ${this.#path} cannot be ${what} (${cause.message}): ` +
        'make room there, or make the directory writable',
      { cause, details: { path: this.#path } },
    );
  }
}
