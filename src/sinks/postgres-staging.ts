/** Rows of one batch on their way into Postgres: a directory of this machine, where executors write
 * and the commit reads, `<stagingDir>/millrace-postgres-<output>-<epoch>-<process>-<batch>`.
 *
 *      <partition>-<attempt>.rows     blocks, each some whole lines of the text format of COPY
 *
 * So a batch needs no memory, the server sees it once, at once, and a commit can be tried again.
 * Attempts never mix, since each has a file of its own, nor do those of two starts or processes.
 * @module */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { PartitionWriter, SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { copyLine } from './postgres-values.ts';
import { notStaged, stagingDigits } from './staged-files.ts';

/** A block is sent when it has so many characters: one statement, well within its time. */
const BLOCK_CHARS = 256 * 1024;

/** What the commit needs to know of a finished attempt. */
export interface StagedPart {
  /** Name in the batch's directory. */
  readonly file: string;
  readonly blockBytes: readonly number[];
  readonly rowCount: number;
}

export interface PostgresStagingTarget {
  /** Absolute; is there. */
  readonly stagingDir: string;
  /** Which table on which server. */
  readonly place: string;
  readonly columns: readonly string[];
  readonly hasBatchTime: boolean;
}

/** Absolute path that the names of an output's directories begin with. */
export function postgresStagingPrefix(to: PostgresStagingTarget, owner: SinkOwner): string {
  return join(to.stagingDir, `millrace-postgres-${stagingDigits(owner, to.place)}-`);
}

export class PostgresStaging {
  /** Absolute. */
  readonly path: string;
  readonly #to: PostgresStagingTarget;
  readonly #batchTimeMs: number;

  constructor(to: PostgresStagingTarget, batch: SinkBatch) {
    const { epoch, batchTimeMs } = batch;
    this.path = `${postgresStagingPrefix(to, batch)}${epoch}-${process.pid}-${batchTimeMs}`;
    this.#to = to;
    this.#batchTimeMs = batchTimeMs;
  }

  /** Makes an empty directory, which nobody else can read. */
  async begin(): Promise<void> {
    await this.remove();
    await mkdir(this.path, { mode: 0o700 });
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }

  openWriter(partition: number, attempt: number): PostgresWriter {
    const file = `${partition}-${attempt}.rows`;
    const { columns, hasBatchTime } = this.#to;
    const lineEnd = hasBatchTime ? `\t${this.#batchTimeMs}\n` : '\n';
    try {
      return new PostgresWriter(join(this.path, file), { file, columns, lineEnd });
    } catch (error) {
      throw notStaged(error);
    }
  }

  /** The blocks of a part, in order. @throws {MillraceError} OUTPUT_FAILED when one is missing. */
  async *blocks({ file, blockBytes }: StagedPart): AsyncGenerator<Uint8Array> {
    try {
      const staged = await open(join(this.path, file));
      try {
        for (const byteCount of blockBytes) {
          const block = Buffer.alloc(byteCount);
          const { bytesRead } = await staged.read(block, 0, byteCount);
          if (bytesRead < byteCount) throw new Error(`${file} ends too early`);
          yield block;
        }
      } finally {
        await staged.close();
      }
    } catch (thrown) {
      const cause = toError(thrown);
      const message = `staged rows cannot be read in ${this.path}: ${cause.message}`;
      throw new MillraceError('OUTPUT_FAILED', message, { cause });
    }
  }
}

interface PartFormat {
  readonly file: string;
  readonly columns: readonly string[];
  /** After the values of a record. */
  readonly lineEnd: string;
}

/** State: open → closed. */
class PostgresWriter implements PartitionWriter<unknown> {
  readonly #format: PartFormat;
  readonly #descriptor: number;
  readonly #blockBytes: number[] = [];
  #pending = '';
  #rowCount = 0;
  #isOpen = true;

  /** @param path of a file that is not there. */
  constructor(path: string, format: PartFormat) {
    this.#format = format;
    this.#descriptor = openSync(path, 'wx', 0o600);
  }

  write(record: unknown): void {
    const { columns, lineEnd } = this.#format;
    this.#pending += copyLine(record, columns) + lineEnd;
    this.#rowCount += 1;
    if (this.#pending.length >= BLOCK_CHARS) this.#flush();
  }

  close(): Promise<StagedPart> {
    if (this.#pending !== '') this.#flush();
    this.#end();
    reached('sink.staged');
    const { file } = this.#format;
    return Promise.resolve({ file, blockBytes: this.#blockBytes, rowCount: this.#rowCount });
  }

  /** What it has written stays until the end of the batch, and nobody asks for it. */
  abort(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #end(): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }

  #flush(): void {
    const block = Buffer.from(this.#pending);
    try {
      writeFileSync(this.#descriptor, block);
    } catch (error) {
      throw notStaged(error);
    }
    this.#blockBytes.push(block.length);
    this.#pending = '';
  }
}
