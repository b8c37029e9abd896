/** Rows of a table in SQLite, each batch exactly once: `to(sqliteSink({ … }))`.
 *
 *   open, prepare   is the table there, is it ours, does it have this batch?    sqlite-ledger.ts
 *   openPartition   executors write rows into a scratch file                    sqlite-staging.ts
 *   commit          ONE transaction: rows from there into the table, and the note of the batch
 *
 * A crash before the COMMIT leaves nothing of the batch in the table, one after it all of it, and
 * `prepare` tells which. A process that was replaced and does not know it has a lower epoch, and is
 * refused. Connections live for one call. The journal mode is the database's own; syncs are EXTRA,
 * because in the modes with a rollback journal FULL may lose the last commit in a power cut.
 * @module */
import { resolve } from 'node:path';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import { OptionCheck } from '../dstream/option-check.ts';
import type { PartitionWriter, Sink, SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { SqliteLedger } from './sqlite-ledger.ts';
import { openSqlite } from './sqlite-library.ts';
import type { SqliteConnection } from './sqlite-library.ts';
import { SqliteStaging, sqliteStagingPrefix } from './sqlite-staging.ts';
import type { StagedAttempt, StagingTarget } from './sqlite-staging.ts';
import { sqlName, sqlText } from './sql-text.ts';
import type { SqliteRow } from './sqlite-values.ts';
import { removeStaged } from './staged-files.ts';
import { checkTable, checkTokens, columnList, createTable, TABLE_OPTIONS } from './table-target.ts';
import type { OwnedPlace, TableTarget } from './table-target.ts';

export interface SqliteSinkOptions {
  /** Path of the database, relative to the working directory; made when it is not there. */
  readonly file: string;
  /** Made with these columns when it is not there; else it must have them. */
  readonly table: string;
  /** Names of the columns that records have values for, in their order, and what SQLite is to make
   * of them: `{ word: 'TEXT', n: 'INTEGER' }`. */
  readonly columns: Readonly<Record<string, string>>;
  /** A column beside those, which gets the batch time in milliseconds. */
  readonly batchTimeColumn?: string;
}

interface Target extends TableTarget {
  /** As it was given. */
  readonly file: string;
}

/** A sink for `to`. Needs the package `libsql`, which is loaded when the pipeline starts.
 * @throws {MillraceError} OPTIONS_INVALID. */
export function sqliteSink(options: SqliteSinkOptions): Sink<SqliteRow> {
  return new SqliteSink(checkOptions(options));
}

class SqliteSink implements Sink<unknown>, OwnedPlace {
  readonly guarantee = 'exactly-once';
  readonly belongsToOneDirectory = true;
  readonly reason: string =
    'rows of a batch and the note that they are there are one transaction; one that runs again ' +
    'finds the note';
  readonly target: string;
  readonly #to: Target;
  readonly #file: string;

  constructor(to: Target) {
    this.#to = to;
    this.#file = resolve(to.file);
    this.target = `SQLite ${to.file}, table ${to.table}`;
  }

  /** Makes what is missing, and looks whether the table has the columns.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  open(owner: SinkOwner): Promise<void> {
    const { table } = this.#to;
    return this.#withDatabase(`table ${table} cannot be used`, async (db) => {
      await transaction(db, async () => {
        await this.#ledger(db, owner).claim(true);
        await db.exec(createTable(this.#to, 'INTEGER'));
        await db.rows(`SELECT ${columnList(this.#to)} FROM ${sqlName(table)} LIMIT 0`);
      });
      await removeStaged(sqliteStagingPrefix(this.#stagingTarget, owner));
    });
  }

  /** @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'> {
    return this.#withDatabase(`batch ${batch.batchTimeMs} cannot be prepared`, async (db) => {
      const ledger = this.#ledger(db, batch);
      const isThere = await transaction(db, async () => {
        await ledger.claim();
        const has = await ledger.hasBatch(batch);
        if (has) await ledger.touch();
        return has;
      });
      const staging = this.#staging(batch);
      await (isThere ? staging.remove() : staging.begin());
      return isThere ? 'already-committed' : 'needed';
    });
  }

  /** @throws {MillraceError} OUTPUT_FAILED. */
  openPartition(batch: SinkBatch): Promise<PartitionWriter<unknown>> {
    return this.#staging(batch).openWriter();
  }

  /** May be called again with the same tokens.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  async commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const attempts = checkTokens<StagedAttempt>(tokens, isAttempt);
    const staging = this.#staging(batch);
    reached('R6.before');
    await this.#withDatabase(`batch ${batch.batchTimeMs} cannot be committed`, async (db) => {
      await db.exec(`ATTACH ${sqlText(staging.path)} AS staged`);
      await transaction(db, async () => {
        const ledger = this.#ledger(db, batch);
        await ledger.claim();
        if (await ledger.hasBatch(batch)) return; // a try whose answer was lost
        const rowCount = await this.#takeRows(db, batch, attempts);
        reached('sink.rows');
        await ledger.note(batch, rowCount);
        reached('sink.noted');
      });
    });
    reached('R6.after');
    await staging.remove();
  }

  async #takeRows(
    db: SqliteConnection,
    { batchTimeMs }: SinkBatch,
    attempts: readonly StagedAttempt[],
  ): Promise<number> {
    const values = Object.keys(this.#to.columns).map((_, index) => `c${index}`);
    if (this.#to.batchTimeColumn !== undefined) values.push(String(batchTimeMs));
    const ids = attempts.map(({ attemptId }) => attemptId);
    await db.exec(
      `INSERT INTO main.${sqlName(this.#to.table)} (${columnList(this.#to)})
      SELECT ${values.join(', ')} FROM staged.rows WHERE attempt IN (${ids.join(', ')})`,
    );
    const [taken] = await db.rows('SELECT changes() AS n');
    const wanted = attempts.reduce((sum, { rowCount }) => sum + rowCount, 0);
    if (taken?.['n'] === wanted) return wanted;
    throw new Error(`${String(taken?.['n'])} rows are staged, its writers wrote ${wanted}`);
  }

  #ledger(db: SqliteConnection, owner: SinkOwner): SqliteLedger {
    return new SqliteLedger(db, owner, this.#to.table);
  }

  #staging(batch: SinkBatch): SqliteStaging {
    return new SqliteStaging(this.#stagingTarget, batch);
  }

  get #stagingTarget(): StagingTarget {
    const { table, columns } = this.#to;
    return { file: this.#file, table, columns: Object.keys(columns) };
  }

  async #withDatabase<R>(what: string, use: (db: SqliteConnection) => Promise<R>): Promise<R> {
    let db: SqliteConnection | undefined;
    try {
      db = await openSqlite(this.#file);
      await db.exec('PRAGMA synchronous = EXTRA');
      return await use(db);
    } catch (error) {
      if (error instanceof MillraceError) throw error;
      const cause = toError(error);
      throw new MillraceError(
        'OUTPUT_FAILED',
        `${this.#file}: ${what} (${cause.message}). Nothing of it was kept; correct that and ` +
          'start again',
        { cause, details: { path: this.#file } },
      );
    } finally {
      db?.close();
    }
  }
}

/** All of `body`, or nothing of it. */
async function transaction<R>(db: SqliteConnection, body: () => Promise<R>): Promise<R> {
  await db.exec('BEGIN IMMEDIATE');
  try {
    const result = await body();
    await db.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has done it already after some errors, and says so; the first error is what counts.
    await db.exec('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function isAttempt({
  attemptId,
  rowCount,
}: Readonly<Record<keyof StagedAttempt, unknown>>): boolean {
  return Number.isSafeInteger(attemptId) && Number.isSafeInteger(rowCount);
}

function checkOptions(given: unknown): Target {
  const check = new OptionCheck('sqliteSink');
  const options = check.object(given ?? {}, ['file', ...TABLE_OPTIONS]);
  const file = check.text('file', options['file']);
  check.require(file !== ':memory:', 'file must be a file: every call opens it anew');
  const table = checkTable(check, options, 'sqlite');
  check.finish();
  return { file, ...table };
}
