/** Transactions on a Postgres server, tried again while what went wrong may pass: it restarts, the
 * network breaks, another transaction is in the way.
 *
 * A try has a connection of its own, and what it leaves open ends with that. One whose COMMIT went
 * unanswered is tried again too: bodies begin by looking for what an earlier try has committed, and
 * find it, because the row that they lock is free only when that one is over. The server ends the
 * transaction of a process that stands still in it, so that nobody waits long for that row.
 * @module */
import type { Clock } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { PostgresConnection } from './postgres-library.ts';

const PAUSE_MS = 50;
const PAUSE_MS_MAX = 2_000;
/** How long a transaction may stand still between two statements. */
const STILL_MS = 5_000;

/** SQLSTATEs of what may pass: classes, then single ones. */
const MAY_PASS: readonly RegExp[] = [
  /^08/, // connection
  /^40/, // serialization, deadlock, the end is not known
  /^53/, // too many connections, no memory, no room
  /^57P/, // shutdown, crash, still starting
  /^57014$/, // over the statement's time: mostly waited for a lock
  /^55P03$/, // over a lock's time, where the database has one of its own
  /^25P03$/, // stood still in a transaction
  /^25006$/, // read-only: a standby that is about to take over
];
/** Errors of pg itself, which have no code. */
const BROKEN =
  /^(Connection terminated|timeout expired|Query read timeout|Client (has encountered|was closed))/;

export interface PostgresServerOptions {
  /** For messages: without user and password. */
  readonly name: string;
  readonly connect: () => Promise<PostgresConnection>;
  readonly clock: Clock;
  readonly retryForMs: number;
  readonly statementTimeoutMs: number;
}

export class PostgresServer {
  readonly #options: PostgresServerOptions;
  readonly #begin: string;

  constructor(options: PostgresServerOptions) {
    this.#options = options;
    this.#begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
      SET LOCAL statement_timeout = ${options.statementTimeoutMs};
      SET LOCAL idle_in_transaction_session_timeout = ${STILL_MS};
      SELECT set_config('synchronous_commit', 'on', true)
        WHERE current_setting('synchronous_commit') = 'off'`;
  }

  /** All of `body`, or nothing of it; durable when it resolves. May run `body` several times, and
   * the last time after it was committed.
   * @param what could not be done, for the message.
   * @throws {MillraceError} OUTPUT_FAILED; those of `body` as they are. */
  async transaction<R>(what: string, body: (db: PostgresConnection) => Promise<R>): Promise<R> {
    const { clock, retryForMs } = this.#options;
    const fromMs = clock.monotonicMs();
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(body);
      } catch (error) {
        if (error instanceof MillraceError) throw error;
        const tookMs = clock.monotonicMs() - fromMs;
        const pauseMs = Math.min(PAUSE_MS * 2 ** (tries - 1), PAUSE_MS_MAX);
        const isLast = tookMs + pauseMs > retryForMs;
        if (isLast || !mayPass(error)) throw this.#failure(what, error, { tries, tookMs });
        await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
      }
    }
  }

  async #once<R>(body: (db: PostgresConnection) => Promise<R>): Promise<R> {
    const db = await this.#options.connect();
    try {
      await db.exec(this.#begin);
      const result = await body(db);
      await db.exec('COMMIT');
      return result;
    } finally {
      await db.close();
    }
  }

  #failure(
    what: string,
    thrown: unknown,
    { tries, tookMs }: { readonly tries: number; readonly tookMs: number },
  ): MillraceError {
    const cause = toError(thrown);
    const tried = tries === 1 ? '' : `; tried ${tries} times in ${Math.round(tookMs / 1000)} s`;
    return new MillraceError(
      'OUTPUT_FAILED',
      `Postgres ${this.#options.name}, ${what} (${messageOf(cause)}${tried}). It is there whole ` +
        'or not at all, and the next start finds out which: correct that and start again',
      { cause, details: { server: this.#options.name } },
    );
  }
}

/** With what the server adds: which row, which constraint. */
function messageOf(error: Error): string {
  // Node tries all addresses of a name, and puts their errors into one without a message.
  if (error instanceof AggregateError)
    return error.errors.map((each) => toError(each).message).join(', ');
  const { detail } = error as { readonly detail?: unknown };
  return typeof detail === 'string' ? `${error.message}: ${detail}` : error.message;
}

function mayPass(thrown: unknown): boolean {
  const { code, severity, message } = Object(thrown) as Readonly<Record<string, unknown>>;
  if (typeof code !== 'string') return BROKEN.test(String(message));
  // What the server says has a severity; what the network does has a name such as ECONNRESET.
  if (severity === undefined) return /^E(AI_)?[A-Z]+$/.test(code);
  return MAY_PASS.some((pattern) => pattern.test(code));
}
