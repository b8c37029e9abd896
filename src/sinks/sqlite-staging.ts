/** Rows of one batch on their way into a database: a file of its own beside it,
 * `<file>-millrace-<output>-<epoch>-<batch>.staged`, where executors write and the commit reads.
 *
 *      attempts (id)               one for each attempt of a partition
 *      rows     (attempt, c0, …)   exactly as they were bound: the columns have no type
 *
 * So the database itself is locked for one statement a batch, and syncs once. Nothing here is
 * synced, and nothing is worth anything after a crash: the batch runs again. Attempts never mix,
 * since each has an id, and those of two starts have files of their own.
 * @module */
import { rm } from 'node:fs/promises';
import { reached } from '../core/crash-point.ts';
import type { PartitionWriter, SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { openSqlite, openSqliteSync } from './sqlite-library.ts';
import type { BoundValue, SyncSqliteConnection } from './sqlite-library.ts';
import { rowValues } from './sqlite-values.ts';
import { notStaged, stagingDigits } from './staged-files.ts';

/** Rows that are written in one transaction: others write in between. */
const ROWS_AT_ONCE = 1_000;
/** Rolls back in memory, and never syncs. */
const SCRATCH = 'PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF';

/** What the commit needs to know of a finished attempt. */
export interface StagedAttempt {
  readonly attemptId: number;
  readonly rowCount: number;
}

/** Where rows go. */
export interface StagingTarget {
  /** Of the database, absolute. */
  readonly file: string;
  readonly table: string;
  /** Names of the values of a row. */
  readonly columns: readonly string[];
}

/** Absolute path that the names of an output's files begin with. */
export function sqliteStagingPrefix({ file, table }: StagingTarget, owner: SinkOwner): string {
  return `${file}-millrace-${stagingDigits(owner, table)}-`;
}

export class SqliteStaging {
  /** Absolute. */
  readonly path: string;
  readonly #columns: readonly string[];

  constructor(to: StagingTarget, batch: SinkBatch) {
    this.path = `${sqliteStagingPrefix(to, batch)}${batch.epoch}-${batch.batchTimeMs}.staged`;
    this.#columns = to.columns;
  }

  /** Makes an empty file. */
  async begin(): Promise<void> {
    await this.remove();
    const db = await openSqlite(this.path);
    try {
      const columns = this.#columns.map((_, index) => `c${index}`).join(', ');
      await db.exec(SCRATCH);
      await db.exec(
        `CREATE TABLE attempts (id INTEGER PRIMARY KEY);
        CREATE TABLE rows (attempt INTEGER, ${columns})`,
      );
    } finally {
      db.close();
    }
  }

  remove(): Promise<void> {
    return rm(this.path, { force: true });
  }

  async openWriter(): Promise<StagedWriter> {
    const db = await openSqliteSync(this.path);
    try {
      db.exec(SCRATCH);
      return new StagedWriter(db, this.#columns);
    } catch (error) {
      db.close();
      throw notStaged(error);
    }
  }
}

/** State: open → closed. */
class StagedWriter implements PartitionWriter<unknown> {
  readonly #db: SyncSqliteConnection;
  readonly #columns: readonly string[];
  readonly #attemptId: number;
  readonly #insert: ReturnType<SyncSqliteConnection['prepare']>;
  readonly #pending: BoundValue[][] = [];
  #rowCount = 0;
  #isOpen = true;

  constructor(db: SyncSqliteConnection, columns: readonly string[]) {
    this.#db = db;
    this.#columns = columns;
    const { lastInsertRowid } = db.prepare('INSERT INTO attempts VALUES (NULL)').run([]) as {
      lastInsertRowid: number | bigint;
    };
    this.#attemptId = Number(lastInsertRowid);
    const marks = columns.map(() => ', ?').join('');
    this.#insert = db.prepare(`INSERT INTO rows VALUES (${this.#attemptId}${marks})`);
  }

  write(record: unknown): void {
    this.#pending.push(rowValues(record, this.#columns));
    if (this.#pending.length >= ROWS_AT_ONCE) this.#flush();
  }

  close(): Promise<StagedAttempt> {
    this.#flush();
    this.#end();
    reached('sink.staged');
    return Promise.resolve({ attemptId: this.#attemptId, rowCount: this.#rowCount });
  }

  /** What it has written stays until the next batch, and nobody asks for it. */
  abort(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #end(): void {
    if (this.#isOpen) this.#db.close();
    this.#isOpen = false;
  }

  #flush(): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      for (const values of this.#pending) this.#insert.run(values);
      this.#db.exec('COMMIT');
    } catch (error) {
      throw notStaged(error);
    }
    this.#rowCount += this.#pending.length;
    this.#pending.length = 0;
  }
}
