/** A Postgres that is a SQLite in memory: the sink's own statements, run by a real database without
 * a server. What only Postgres knows is played: COPY, `to_regclass`, settings. One transaction at a
 * time; how several get on with each other is for the tests with a server. Connections fail where a
 * test says so. @module */
import Database from 'libsql';
import type { PostgresConnection } from '../../src/sinks/postgres-library.ts';

/** One failure to come. */
interface Failure {
  /** Which statement. */
  readonly at: RegExp;
  readonly error: Error;
  /** `after`: it is done, and its answer is lost. */
  readonly when: 'before' | 'after';
}

const UNESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

export class FakePostgres {
  readonly connect = (): Promise<PostgresConnection> => {
    this.#fail('before', 'connect');
    this.connectionCount += 1;
    this.openCount += 1;
    return Promise.resolve(this.#connection());
  };
  /** All statements, in order. */
  readonly statements: string[] = [];
  connectionCount = 0;
  /** Connections that nobody has closed. */
  openCount = 0;
  readonly #db = new Database(':memory:');
  readonly #failures: Failure[] = [];

  /** Lets the next statement that matches fail; `connect` is one too. */
  failAt(at: RegExp, error: Error, when: 'before' | 'after' = 'before'): void {
    this.#failures.push({ at, error, when });
  }

  query(sql: string): unknown[][] {
    return this.#db.prepare(sql).raw().all() as unknown[][];
  }

  execute(sql: string): void {
    this.#db.exec(sql);
  }

  close(): void {
    this.#db.close();
  }

  #connection(): PostgresConnection {
    let isOpen = true;
    return {
      exec: async (sql) => {
        this.#run(sql, () => this.#db.exec(sql.startsWith('BEGIN') ? 'BEGIN' : sql));
      },
      rows: async (sql, values) => this.#run(sql, () => this.#rows(sql, values)),
      copy: async (sql, lines) => this.#run(sql, () => this.#copy(sql, lines)),
      close: async () => {
        if (isOpen) this.openCount -= 1;
        isOpen = false;
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      },
    };
  }

  #run<R>(sql: string, work: () => R): R {
    this.statements.push(sql);
    this.#fail('before', sql);
    const result = work();
    this.#fail('after', sql);
    return result;
  }

  #fail(when: 'before' | 'after', sql: string): void {
    const index = this.#failures.findIndex((each) => each.when === when && each.at.test(sql));
    const [failure] = index === -1 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }

  #rows(sql: string, values: readonly (string | number)[]): Record<string, unknown>[] {
    if (sql.includes('pg_advisory_xact_lock')) return [];
    if (sql.includes('to_regclass')) {
      const name = String(values[0]).slice(1, -1).replaceAll('""', '"');
      const found = this.#db.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').all([name]);
      return [{ is_there: found.length > 0 }];
    }
    const statement = this.#db.prepare(sql.replace(' FOR UPDATE', ''));
    if (statement.reader) return statement.all([...values]) as Record<string, unknown>[];
    statement.run([...values]);
    return [];
  }

  #copy(sql: string, lines: Uint8Array): number {
    const [, into = ''] = /^COPY (.*) FROM STDIN$/.exec(sql) ?? [];
    const rows = new TextDecoder().decode(lines).split('\n').slice(0, -1);
    const [, table = '', columns = ''] = /^(".*") \((.*)\)$/.exec(into) ?? [];
    this.#db.prepare(`SELECT ${columns} FROM ${table}`); // throws when one is not there
    for (const row of rows) {
      const values = row.split('\t').map(unescaped);
      const marks = values.map(() => '?').join(', ');
      this.#db.prepare(`INSERT INTO ${into} VALUES (${marks})`).run([...values]);
    }
    return rows.length;
  }
}

function unescaped(text: string): string | null {
  if (text === '\\N') return null;
  return text.replaceAll(/\\(.)/g, (_, char: string) => UNESCAPED[char] ?? char);
}
