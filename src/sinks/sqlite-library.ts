/** The package `libsql`, loaded when a pipeline that writes to SQLite runs, and not before: the
 * only file that imports it. It has SQLite itself inside, prebuilt.
 *
 * The driver uses the asynchronous connection: statements run, and wait for locks, on a thread of
 * the library, and hold up no acknowledgement. Of its calls only `exec`, `prepare` and `all` are
 * asynchronous (libsql 0.5.29), so there is no other here. Executors use the synchronous one. A
 * value of a wrong type given to a statement may end the process: sqlite-values.ts checks all.
 * @module */
import { orMissing } from './optional-package.ts';

/** How long a statement waits for others that have the database locked. */
const BUSY_MS = 30_000;
const NEEDED = { sink: 'sqliteSink', name: 'libsql' };

/** What can be bound, and nothing else. */
export type BoundValue = string | number | bigint | null | Uint8Array;

/** For the driver. */
export interface SqliteConnection {
  /** Runs statements without parameters. */
  exec(sql: string): Promise<void>;
  /** All rows of one query, which should be few. */
  rows(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  close(): void;
}

/** For executors. */
export interface SyncSqliteConnection {
  exec(sql: string): void;
  prepare(sql: string): { run(values: readonly BoundValue[]): unknown };
  close(): void;
}

/** Opens a file, which is made when it is not there. @throws {MillraceError} OPTIONS_INVALID when
 * the library is missing. */
export async function openSqlite(file: string): Promise<SqliteConnection> {
  const { default: Database } = await orMissing(NEEDED, import('libsql/promise'));
  const db = new Database(file, { timeout: BUSY_MS });
  return {
    async exec(sql) {
      await (db.exec(sql) as Promise<unknown>);
    },
    async rows(sql) {
      const statement = (await db.prepare(sql)) as { all(): Promise<Record<string, unknown>[]> };
      return statement.all();
    },
    close: () => db.close(),
  };
}

/** @throws {MillraceError} OPTIONS_INVALID when the library is missing. */
export async function openSqliteSync(file: string): Promise<SyncSqliteConnection> {
  const { default: Database } = await orMissing(NEEDED, import('libsql'));
  const db = new Database(file, { timeout: BUSY_MS });
  return {
    exec: (sql) => void db.exec(sql),
    // In one array: a single value that is null or bytes would be taken for names and values.
    prepare: (sql) => db.prepare<[readonly BoundValue[]]>(sql),
    close: () => void db.close(),
  };
}
