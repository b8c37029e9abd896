/** Breaks of the Postgres sink: a batch is in the table exactly once, whatever is lost on the way.
 * @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const SINK = 'src/sinks/postgres-sink.ts';
const LEDGER = 'src/sinks/postgres-ledger.ts';
const SERVER = 'src/sinks/postgres-server.ts';
const TEST = 'src/sinks/postgres-sink.test.ts';

export const POSTGRES_BREAKS: readonly Break[] = [
  {
    name: 'Postgres: an earlier start may write after a later one',
    violates: 'fencing by epoch',
    file: LEDGER,
    find: ' AND o.epoch <= excluded.epoch',
    replace: '',
    caughtBy: unit(TEST, 'is refused at every step on the database'),
  },
  {
    name: 'Postgres: the answer to the claim is not looked at',
    violates: 'fencing by epoch',
    file: LEDGER,
    find: 'if (claimed.length > 0) return;',
    replace: 'if (claimed.length >= 0) return;',
    caughtBy: unit(TEST, 'is refused at every step on the database'),
  },
  {
    name: 'Postgres: the epoch is looked at before the commit only',
    violates: 'fencing by epoch',
    file: SINK,
    find: '      await ledger.claim();\n      if (await',
    replace: '      if (await',
    caughtBy: unit(TEST, 'is refused between two tries of a commit'),
  },
  {
    name: 'Postgres: rows of another checkpoint directory are overwritten by the claim',
    violates: 'the key of a batch',
    file: LEDGER,
    find: '(o.log_id = excluded.log_id AND',
    replace: '(o.log_id <> excluded.log_id OR',
    caughtBy: unit(TEST, 'are refused, with the statements'),
  },
  {
    name: 'Postgres: rows and the note of the batch in two transactions',
    violates: 'R6, I2',
    file: SINK,
    find: 'await ledger.note(batch, rowCount);',
    replace:
      "await db.exec('COMMIT');\n      await db.exec('BEGIN');\n      " +
      'await ledger.note(batch, rowCount);',
    caughtBy: unit(TEST, 'after a death at sink.noted is there once'),
  },
  {
    name: 'Postgres: a commit whose answer was lost is written again',
    violates: 'I2',
    file: SINK,
    find: 'if (await ledger.hasBatch(batch)) return;',
    replace: 'if (batch.epoch < 0) return;',
    caughtBy: unit(TEST, 'is looked up, and not written again'),
  },
  {
    name: 'Postgres: a commit whose answer was lost is taken for done',
    violates: 'R6, I1',
    file: SERVER,
    find: "await db.exec('COMMIT');",
    replace: "await db.exec('COMMIT').catch(() => undefined);",
    caughtBy: unit(TEST, 'is written again when it had not come through'),
  },
  {
    name: 'Postgres: a broken connection ends the run',
    violates: 'retries of what may pass',
    file: SERVER,
    find: 'return BROKEN.test(String(message));',
    replace: "return BROKEN.test('') && message === undefined;",
    caughtBy: unit(TEST, 'is looked up, and not written again'),
  },
  {
    name: 'Postgres: tries without end',
    violates: 'no wait without end',
    file: SERVER,
    find: 'const isLast = tookMs + pauseMs > retryForMs;',
    replace: 'const isLast = tookMs + pauseMs < -retryForMs;',
    caughtBy: unit(TEST, 'until its time is over'),
  },
  {
    name: 'Postgres: what cannot pass is tried again',
    violates: 'errors are told',
    file: SERVER,
    find: '/^40/,',
    replace: '/^[24]/,',
    caughtBy: unit(TEST, 'a row that the table refuses'),
  },
  {
    name: 'Postgres: a process that stands still keeps the row for ever',
    violates: 'no wait without end',
    file: SERVER,
    find: '      SET LOCAL idle_in_transaction_session_timeout = ${STILL_MS};\n',
    replace: '',
    caughtBy: unit(TEST, 'has limits of time'),
  },
  {
    name: 'Postgres: connections stay open',
    violates: 'nothing stays open between two calls',
    file: SERVER,
    find: '      await db.close();\n',
    replace: '',
    caughtBy: unit(TEST, 'appears whole, with the note'),
  },
  {
    name: 'Postgres: only the latest batch is known, so an older one passes for done',
    violates: 'the key of a batch',
    file: LEDGER,
    find: 'AND batch_time_ms = $3',
    replace: 'AND batch_time_ms >= $3',
    caughtBy: unit(TEST, 'is not taken for done because a later one is'),
  },
  {
    name: 'Postgres: notes go before their batch is cleaned',
    violates: 'the key of a batch',
    file: LEDGER,
    find: '[...this.#key, cleanedThroughMs]',
    replace: '[...this.#key, Math.max(cleanedThroughMs, batchTimeMs - 1)]',
    caughtBy: unit(TEST, 'is known however many later ones there are'),
  },
  {
    name: 'Postgres: a batch that is found there is not waited for',
    violates: 'R6',
    file: SINK,
    find: '      if (has) await ledger.claim();\n',
    replace: '',
    caughtBy: unit(TEST, 'writes once more'),
  },
  {
    name: 'Postgres: rows that the table took are not counted',
    violates: 'I1',
    file: SINK,
    find: 'if (taken === wanted) return wanted;',
    replace: 'if (taken >= 0) return wanted;',
    caughtBy: unit(TEST, 'rows that have vanished fail the commit'),
  },
  {
    name: 'Postgres: attempts of a partition share a file',
    violates: 'I3',
    file: 'src/sinks/postgres-staging.ts',
    find: '`${partition}-${attempt}.rows`',
    replace: '`${partition}-${attempt * 0}.rows`',
    caughtBy: unit(TEST, 'takes the rows of the winners'),
  },
  {
    name: 'Postgres: a backslash in a text is taken for the beginning of another character',
    violates: 'I12',
    file: 'src/sinks/postgres-values.ts',
    find: 'const SPECIAL = /[\\\\\\n\\r\\t]/g;',
    replace: 'const SPECIAL = /[\\n\\r\\t]/g;',
    caughtBy: unit('src/sinks/postgres-values.test.ts', 'copyLine'),
  },
  {
    name: 'Postgres: the password is shown',
    violates: 'no password is shown',
    file: SINK,
    find: "return `${searchParams.get('host') ?? host}${pathname}`;",
    replace: "return `${searchParams.get('host') ?? host}${pathname}` && url;",
    caughtBy: unit(TEST, 'show where rows go, and no password'),
  },
];
