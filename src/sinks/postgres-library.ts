/** The package `pg`, loaded when a pipeline that writes to Postgres runs, and not before: the only
 * file that imports it. Only the driver connects; executors write files.
 *
 * No wait is without end: for a connection, for an answer (the server itself cancels a statement
 * that takes too long; this end gives up a little later, when not even that comes), for the end.
 * @module */
import { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { orMissing } from './optional-package.ts';

const NEEDED = { sink: 'postgresSink', name: 'pg' };
const CONNECT_MS = 10_000;
/** Beyond the limit of a statement. */
const ANSWER_MS = 5_000;
const CLOSE_MS = 1_000;

export interface PostgresConnection {
  /** Runs statements without parameters. */
  exec(sql: string): Promise<void>;
  /** All rows of one statement, which should be few. */
  rows(
    sql: string,
    values: readonly (string | number)[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** One `COPY … FROM STDIN`. @param lines whole ones. @returns how many rows the server took. */
  copy(sql: string, lines: Uint8Array): Promise<number>;
  /** Whatever is open in it is rolled back. Never rejects. */
  close(): Promise<void>;
}

export interface PostgresPlace {
  readonly url: string;
  readonly statementTimeoutMs: number;
  readonly clock: Clock;
}

/** @throws {MillraceError} OPTIONS_INVALID when the library is missing. */
export async function openPostgres(place: PostgresPlace): Promise<PostgresConnection> {
  const { url, statementTimeoutMs, clock } = place;
  const { Client } = (await orMissing(NEEDED, import('pg'))).default;
  const socket = new Socket();
  const client = new Client({
    application_name: 'millrace',
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: statementTimeoutMs + ANSWER_MS,
    keepAlive: true,
    stream: () => socket,
  });
  // A connection that breaks between two statements: the next one fails with it.
  client.on('error', () => undefined);
  const connection: PostgresConnection = {
    async exec(sql) {
      await client.query(sql);
    },
    async rows(sql, values) {
      const { rows } = await client.query<Record<string, unknown>>(sql, [...values]);
      return rows;
    },
    copy: (sql, lines) =>
      new Promise((resolve, reject) => {
        client.query(new Copy({ sql, lines, resolve, reject }));
      }),
    async close() {
      const timer = clock.after(CLOSE_MS, () => socket.destroy());
      await client.end().catch(() => undefined);
      timer.cancel();
    },
  };
  try {
    await client.connect();
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** What pg hands to a query of one's own. */
interface CopyProtocol {
  query(sql: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

interface CopyTask {
  readonly sql: string;
  readonly lines: Uint8Array;
  readonly resolve: (rowCount: number) => void;
  readonly reject: (error: Error) => void;
}

/** A COPY with all its lines at once, as pg runs queries that it does not know itself. */
class Copy {
  /** Replaced by pg, whose timer for a late answer ends when it is called. */
  callback: () => void = () => undefined;
  readonly #task: CopyTask;
  #rowCount = 0;

  constructor(task: CopyTask) {
    this.#task = task;
  }

  submit(connection: object): void {
    (connection as CopyProtocol).query(this.#task.sql);
  }

  /** After an error the server passes over what was sent. */
  handleCopyInResponse(connection: CopyProtocol): void {
    const { buffer, byteOffset, byteLength } = this.#task.lines;
    if (byteLength > 0) connection.sendCopyFromChunk(Buffer.from(buffer, byteOffset, byteLength));
    connection.endCopyFrom();
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    this.#rowCount = Number(/^COPY (\d+)$/.exec(text)?.[1]);
  }

  handleReadyForQuery(): void {
    this.callback();
    this.#task.resolve(this.#rowCount);
  }

  handleError(error: Error): void {
    this.callback();
    this.#task.reject(error);
  }
}
