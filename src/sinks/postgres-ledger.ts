/** What a Postgres database remembers of the outputs that write to it: whose they are, and which
 * batches it has. All calls happen inside a transaction of the caller's.
 *
 *      millrace_outputs   (table_name, output_id) → format, log_id, epoch
 *      millrace_batches   (table_name, output_id, batch_time_ms) → row_count, epoch that wrote it
 *
 * A batch's note is written in the transaction that has its rows, so that there is either both or
 * neither. The claim is the fence: one statement that takes the output's row for this epoch, and
 * holds it to the end of the transaction, or finds a later one there. Whoever claims after it sees
 * all of what was committed, and an earlier epoch can commit nothing any more.
 * @module */
import { MillraceError } from '../core/errors.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { checkClaim, LEDGER_FORMAT } from './output-claim.ts';
import type { PostgresConnection } from './postgres-library.ts';
import { sqlName } from './sql-text.ts';

/** Two starts at once make the tables one after the other: any number that is always the same. */
const CREATE_LOCK = 0x6d6c7263;

const CREATE = `
CREATE TABLE IF NOT EXISTS millrace_outputs (
  table_name text NOT NULL, output_id text NOT NULL,
  format integer NOT NULL, log_id text NOT NULL, epoch bigint NOT NULL,
  PRIMARY KEY (table_name, output_id));
CREATE TABLE IF NOT EXISTS millrace_batches (
  table_name text NOT NULL, output_id text NOT NULL,
  batch_time_ms bigint NOT NULL, row_count bigint NOT NULL, epoch bigint NOT NULL,
  PRIMARY KEY (table_name, output_id, batch_time_ms))`;

const KEY = 'table_name = $1 AND output_id = $2';

/** Gives back a row, or none when the output is not for this owner. */
const CLAIM = `
INSERT INTO millrace_outputs AS o (table_name, output_id, format, log_id, epoch)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (table_name, output_id) DO UPDATE
SET format = excluded.format, log_id = excluded.log_id, epoch = excluded.epoch
WHERE o.format <= excluded.format
  AND (o.log_id = '${NO_LOG_ID}' OR (o.log_id = excluded.log_id AND o.epoch <= excluded.epoch))
RETURNING epoch`;

export class PostgresLedger {
  readonly #db: PostgresConnection;
  readonly #owner: SinkOwner;
  readonly #table: string;
  /** Names the output in both tables. */
  readonly #key: readonly [string, string];

  constructor(db: PostgresConnection, owner: SinkOwner, table: string) {
    this.#db = db;
    this.#owner = owner;
    this.#table = table;
    this.#key = [table, owner.outputId];
  }

  /** Makes the two tables and the one for the rows where they are missing: only then it needs the
   * right to. */
  async create(createRows: string): Promise<void> {
    await this.#db.rows('SELECT pg_advisory_xact_lock($1)', [CREATE_LOCK]);
    const hasNotes = (await this.#has('millrace_outputs')) && (await this.#has('millrace_batches'));
    if (!hasNotes) await this.#db.exec(CREATE);
    if (!(await this.#has(this.#table))) await this.#db.exec(createRows);
  }

  /** Makes the output this owner's, or finds that it is, and writes in any case: the COMMIT that
   * follows waits until all that was committed before is durable too.
   * @param isStart the first one of a run.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, FORMAT_UNKNOWN. */
  async claim(isStart = false): Promise<void> {
    if (isStart) await this.#forgetRunWithoutLog();
    const { logId, epoch } = this.#owner;
    const claimed = await this.#db.rows(CLAIM, [...this.#key, LEDGER_FORMAT, logId, epoch]);
    if (claimed.length > 0) return;
    await this.check();
    throw new MillraceError('BROKEN_INVARIANT', `output ${this.#key.join(', ')} changes its owner`);
  }

  /** Changes nothing. @throws {MillraceError} as `claim`. */
  async check(): Promise<void> {
    const query = `SELECT format, log_id, epoch FROM millrace_outputs WHERE ${KEY}`;
    const [found] = await this.#db.rows(query, this.#key);
    if (found === undefined) return;
    const claim = {
      format: Number(found['format']),
      logId: String(found['log_id']),
      epoch: Number(found['epoch']),
    };
    checkClaim(claim, this.#owner, this.#table);
  }

  async hasBatch({ batchTimeMs }: SinkBatch): Promise<boolean> {
    const query = `SELECT 1 FROM millrace_batches WHERE ${KEY} AND batch_time_ms = $3`;
    return (await this.#db.rows(query, [...this.#key, batchTimeMs])).length > 0;
  }

  /** Notes a batch, and drops notes of batches that never run again. */
  async note({ batchTimeMs, cleanedThroughMs, epoch }: SinkBatch, rowCount: number): Promise<void> {
    await this.#db.rows('INSERT INTO millrace_batches VALUES ($1, $2, $3, $4, $5)', [
      ...this.#key,
      batchTimeMs,
      rowCount,
      epoch,
    ]);
    const old = `DELETE FROM millrace_batches WHERE ${KEY} AND batch_time_ms <= $3`;
    await this.#db.rows(old, [...this.#key, cleanedThroughMs]);
  }

  /** Runs without a checkpoint directory repeat no batch, but two may have one of the same time. */
  async #forgetRunWithoutLog(): Promise<void> {
    const query = `SELECT log_id FROM millrace_outputs WHERE ${KEY} FOR UPDATE`;
    const [found] = await this.#db.rows(query, this.#key);
    if (found?.['log_id'] !== NO_LOG_ID) return;
    await this.#db.rows(`DELETE FROM millrace_batches WHERE ${KEY}`, this.#key);
  }

  async #has(table: string): Promise<boolean> {
    const query = 'SELECT to_regclass($1) IS NOT NULL AS is_there';
    const [answer] = await this.#db.rows(query, [sqlName(table)]);
    return answer?.['is_there'] === true;
  }
}
