/** What a database remembers of the outputs that write to it: whose they are, and which batches it
 * has. All calls happen inside a transaction of the caller's.
 *
 *      millrace_outputs   (table_name, output_id) → format, log_id, epoch, touch_count
 *      millrace_batches   (table_name, output_id, batch_time_ms) → row_count
 *
 * A batch's note is written in the transaction that has its rows, so that there is either both or
 * neither. Notes are kept as a set, not as the latest time, since a batch may run again when later
 * ones are done; those that can never run again are dropped.
 * @module */
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { checkClaim, LEDGER_FORMAT, outputKey } from './output-claim.ts';
import type { SqliteConnection } from './sqlite-library.ts';
import { sqlText } from './sql-text.ts';

const CREATE = `
CREATE TABLE IF NOT EXISTS millrace_outputs (
  table_name TEXT NOT NULL, output_id TEXT NOT NULL,
  format INTEGER NOT NULL, log_id TEXT NOT NULL, epoch INTEGER NOT NULL,
  touch_count INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (table_name, output_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS millrace_batches (
  table_name TEXT NOT NULL, output_id TEXT NOT NULL,
  batch_time_ms INTEGER NOT NULL, row_count INTEGER NOT NULL,
  PRIMARY KEY (table_name, output_id, batch_time_ms)) WITHOUT ROWID`;

interface Claim {
  readonly format: number;
  readonly log_id: string;
  readonly epoch: number;
}

export class SqliteLedger {
  readonly #db: SqliteConnection;
  readonly #owner: SinkOwner;
  readonly #table: string;
  /** Names the output in both tables. */
  readonly #key: string;

  constructor(db: SqliteConnection, owner: SinkOwner, table: string) {
    this.#db = db;
    this.#owner = owner;
    this.#table = table;
    this.#key = outputKey(table, owner);
  }

  /** Makes the output this owner's, or finds that it is. Every transaction begins with it.
   * @param isStart the first one of a run.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, FORMAT_UNKNOWN. */
  async claim(isStart = false): Promise<void> {
    const { logId, outputId, epoch } = this.#owner;
    await this.#db.exec(CREATE);
    const query = `SELECT format, log_id, epoch FROM millrace_outputs WHERE ${this.#key}`;
    const [found] = (await this.#db.rows(query)) as unknown[] as Claim[];
    if (found === undefined) {
      const values = [this.#table, outputId].map(sqlText).join(', ');
      const rest = `${LEDGER_FORMAT}, ${sqlText(logId)}, ${epoch}`;
      return this.#db.exec(`INSERT INTO millrace_outputs VALUES (${values}, ${rest}, 0)`);
    }
    checkClaim({ ...found, logId: found.log_id }, this.#owner, this.#table);
    // Runs without a checkpoint directory repeat no batch, but two may have one of the same time.
    const isFirst = found.log_id === NO_LOG_ID && (isStart || logId !== NO_LOG_ID);
    if (isFirst) await this.#db.exec(`DELETE FROM millrace_batches WHERE ${this.#key}`);
    if (found.log_id === logId && found.epoch === epoch) return;
    const change = `log_id = ${sqlText(logId)}, epoch = ${epoch}`;
    await this.#db.exec(`UPDATE millrace_outputs SET ${change} WHERE ${this.#key}`);
  }

  async hasBatch({ batchTimeMs }: SinkBatch): Promise<boolean> {
    const where = `${this.#key} AND batch_time_ms = ${batchTimeMs}`;
    return (await this.#db.rows(`SELECT 1 FROM millrace_batches WHERE ${where}`)).length > 0;
  }

  /** Changes something, so that the commit of this transaction syncs all that came before: the
   * process that wrote it may have died between its commit and the sync. SQLite does not write a
   * row that stays as it is, so this one counts. */
  async touch(): Promise<void> {
    await this.#db.exec(
      `UPDATE millrace_outputs SET touch_count = touch_count + 1 WHERE ${this.#key}`,
    );
  }

  /** Notes a batch, and drops notes of batches that never run again. */
  async note({ batchTimeMs, cleanedThroughMs }: SinkBatch, rowCount: number): Promise<void> {
    const values = [this.#table, this.#owner.outputId].map(sqlText).join(', ');
    const where = `${this.#key} AND batch_time_ms <= ${cleanedThroughMs}`;
    await this.#db.exec(
      `INSERT INTO millrace_batches VALUES (${values}, ${batchTimeMs}, ${rowCount});
      DELETE FROM millrace_batches WHERE ${where}`,
    );
  }
}
