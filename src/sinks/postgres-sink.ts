/** Rows of a table in Postgres, each batch exactly once: `to(postgresSink({ … }))`.
 *
 *   open, prepare   is the table there, is it ours, does it have this batch?    postgres-ledger.ts
 *   openPartition   executors write rows into a scratch file                    postgres-staging.ts
 *   commit          ONE transaction: rows from there into the table, and the note of the batch
 *
 * A crash before the COMMIT leaves nothing of the batch in the table, one after it all of it, and
 * `prepare` tells which. A process that was replaced and does not know it has a lower epoch, and is
 * refused by the transaction itself. A server that restarts is waited for; a commit whose answer is
 * lost is looked up, never written twice (postgres-server.ts). Connections live for one call.
 * @module */
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { systemClock } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { OptionCheck } from '../dstream/option-check.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { PartitionWriter, Sink, SinkBatch, SinkOwner } from '../dstream/sink.ts';
import { PostgresLedger } from './postgres-ledger.ts';
import { openPostgres } from './postgres-library.ts';
import type { PostgresConnection } from './postgres-library.ts';
import { PostgresServer } from './postgres-server.ts';
import { PostgresStaging, postgresStagingPrefix } from './postgres-staging.ts';
import type { PostgresStagingTarget, StagedPart } from './postgres-staging.ts';
import type { PostgresRow } from './postgres-values.ts';
import { sqlName } from './sql-text.ts';
import { removeStaged } from './staged-files.ts';
import { checkTable, checkTokens, columnList, createTable, TABLE_OPTIONS } from './table-target.ts';
import type { OwnedPlace, TableTarget } from './table-target.ts';

export interface PostgresSinkOptions {
  /** `postgres://user@host:5432/database`, with what `pg` knows besides. A password is better in
   * PGPASSWORD or ~/.pgpass, where `pg` finds it. */
  readonly url: string;
  /** Made with these columns when it is not there; else it must have them. */
  readonly table: string;
  /** Names of the columns that records have values for, in their order, and their types:
   * `{ word: 'text', n: 'bigint' }`. */
  readonly columns: Readonly<Record<string, string>>;
  /** A column beside those, which gets the batch time in milliseconds. */
  readonly batchTimeColumn?: string;
  /** How long a server that cannot be reached, or is in the way, is tried again before the run ends
   * with an error, in milliseconds. @defaultValue 60_000 */
  readonly retryForMs?: number;
  /** How long one statement may take. @defaultValue 30_000 */
  readonly statementTimeoutMs?: number;
  /** Where rows wait for their commit. @defaultValue the system's directory for temporary files */
  readonly stagingDir?: string;
}

/** Sound options. */
export interface PostgresTarget extends TableTarget {
  readonly url: string;
  /** The server and database, without user and password. */
  readonly name: string;
  readonly retryForMs: number;
  readonly statementTimeoutMs: number;
  /** Absolute. */
  readonly stagingDir: string;
}

/** A sink for `to`. Needs the package `pg`, which is loaded when the pipeline starts.
 * @throws {MillraceError} OPTIONS_INVALID. */
export function postgresSink(options: PostgresSinkOptions): Sink<PostgresRow> {
  const to = checkPostgresOptions(options);
  const clock = systemClock;
  return new PostgresSink(
    to,
    new PostgresServer({ ...to, clock, connect: () => openPostgres({ ...to, clock }) }),
  );
}

export class PostgresSink implements Sink<unknown>, OwnedPlace {
  readonly guarantee = 'exactly-once';
  readonly belongsToOneDirectory = true;
  readonly reason: string =
    'rows of a batch and the note that they are there are one transaction, which ' +
    'a later start closes to earlier ones; one that runs again finds the note';
  readonly target: string;
  readonly #to: PostgresTarget;
  readonly #server: PostgresServer;
  readonly #stagingTarget: PostgresStagingTarget;

  constructor(to: PostgresTarget, server: PostgresServer) {
    const { name, table, stagingDir, columns } = to;
    this.#to = to;
    this.#server = server;
    this.target = `Postgres ${name}, table ${table}`;
    this.#stagingTarget = {
      stagingDir,
      place: `${name}\n${table}`,
      columns: Object.keys(columns),
      hasBatchTime: to.batchTimeColumn !== undefined,
    };
  }

  /** Makes what is missing, and looks whether the table has the columns and takes rows.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  async open(owner: SinkOwner): Promise<void> {
    await this.#transaction(' cannot be used', async (db) => {
      const ledger = this.#ledger(db, owner);
      await ledger.create(createTable(this.#to, 'bigint'));
      await ledger.claim(true);
      await db.copy(this.#copyRows, new Uint8Array());
    });
    // Runs without a checkpoint directory cannot know whether another one is still at work.
    if (owner.logId !== NO_LOG_ID) {
      await removeStaged(postgresStagingPrefix(this.#stagingTarget, owner));
    }
  }

  /** @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  async prepare(batch: SinkBatch): Promise<'needed' | 'already-committed'> {
    const what = `: batch ${batch.batchTimeMs} cannot be prepared`;
    const isThere = await this.#transaction(what, async (db) => {
      const ledger = this.#ledger(db, batch);
      await ledger.check();
      const has = await ledger.hasBatch(batch);
      if (has) await ledger.claim();
      return has;
    });
    const staging = new PostgresStaging(this.#stagingTarget, batch);
    await (isThere ? staging.remove() : staging.begin());
    return isThere ? 'already-committed' : 'needed';
  }

  /** @throws {MillraceError} OUTPUT_FAILED. */
  async openPartition(
    batch: SinkBatch,
    partition: number,
    attempt: number,
  ): Promise<PartitionWriter<unknown>> {
    return new PostgresStaging(this.#stagingTarget, batch).openWriter(partition, attempt);
  }

  /** May be called again with the same tokens.
   * @throws {MillraceError} SINK_CONFLICT, SINK_FENCED, OUTPUT_FAILED. */
  async commit(batch: SinkBatch, tokens: readonly unknown[]): Promise<void> {
    const parts = checkTokens<StagedPart>(tokens, isPart);
    const staging = new PostgresStaging(this.#stagingTarget, batch);
    reached('R6.before');
    await this.#transaction(`: batch ${batch.batchTimeMs} cannot be committed`, async (db) => {
      const ledger = this.#ledger(db, batch);
      await ledger.claim();
      if (await ledger.hasBatch(batch)) return; // a try whose answer was lost
      const rowCount = await this.#takeRows(db, staging, parts);
      reached('sink.rows');
      await ledger.note(batch, rowCount);
      reached('sink.noted');
    });
    reached('R6.after');
    await staging.remove();
  }

  async #takeRows(
    db: PostgresConnection,
    staging: PostgresStaging,
    parts: readonly StagedPart[],
  ): Promise<number> {
    let taken = 0;
    for (const part of parts) {
      for await (const block of staging.blocks(part)) taken += await db.copy(this.#copyRows, block);
    }
    const wanted = parts.reduce((sum, { rowCount }) => sum + rowCount, 0);
    if (taken === wanted) return wanted;
    throw new Error(`the table took ${taken} rows of ${wanted}`);
  }

  get #copyRows(): string {
    return `COPY ${sqlName(this.#to.table)} (${columnList(this.#to)}) FROM STDIN`;
  }

  #ledger(db: PostgresConnection, owner: SinkOwner): PostgresLedger {
    return new PostgresLedger(db, owner, this.#to.table);
  }

  #transaction<R>(what: string, body: (db: PostgresConnection) => Promise<R>): Promise<R> {
    return this.#server.transaction(`table ${this.#to.table}${what}`, body);
  }
}

function isPart({
  file,
  blockBytes,
  rowCount,
}: Readonly<Record<keyof StagedPart, unknown>>): boolean {
  return typeof file === 'string' && Array.isArray(blockBytes) && Number.isSafeInteger(rowCount);
}

/** @throws {MillraceError} OPTIONS_INVALID, without a password in it. */
export function checkPostgresOptions(given: unknown): PostgresTarget {
  const check = new OptionCheck('postgresSink');
  const own = ['url', 'retryForMs', 'statementTimeoutMs', 'stagingDir'];
  const options = check.object(given ?? {}, [...own, ...TABLE_OPTIONS]);
  const { retryForMs = 60_000, statementTimeoutMs = 30_000, stagingDir = tmpdir() } = options;
  const url = check.text('url', options['url']);
  const name = serverName(url);
  check.require(
    name !== undefined,
    'url must be as postgres://user@host:5432/database (it is not shown: it may have a password)',
  );
  const to = {
    url,
    name: name ?? '',
    ...checkTable(check, options, 'pg'),
    retryForMs: check.integer('retryForMs', retryForMs, { min: 0, max: 86_400_000 }),
    statementTimeoutMs: check.integer('statementTimeoutMs', statementTimeoutMs, {
      min: 1,
      max: 86_400_000,
    }),
    stagingDir: resolve(check.text('stagingDir', stagingDir)),
  };
  check.finish();
  return to;
}

/** What of a URL may be shown: `host:5432/database`. A socket's directory is a host too, in
 * the query. */
function serverName(url: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) return undefined;
  const { host, pathname, searchParams } = new URL(url);
  return `${searchParams.get('host') ?? host}${pathname}`;
}
