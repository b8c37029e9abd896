/** Breaks of sinks: a batch is in the database exactly once, and nobody else's is taken for it.
 * @module */
import { unit } from './break.ts';
import type { Break } from './break.ts';

const SINK = 'src/sinks/sqlite-sink.ts';
const LEDGER = 'src/sinks/sqlite-ledger.ts';
const CLAIM = 'src/sinks/output-claim.ts';
const TEST = 'src/sinks/sqlite-sink.test.ts';

export const SINK_BREAKS: readonly Break[] = [
  {
    name: 'SQLite: rows and the note of the batch in two transactions',
    violates: 'R6, I2',
    file: SINK,
    find: 'await ledger.note(batch, rowCount);',
    replace:
      "await db.exec('COMMIT; BEGIN IMMEDIATE');\n        await ledger.note(batch, rowCount);",
    caughtBy: unit(TEST, 'after a death at sink.noted is there once'),
  },
  {
    name: 'SQLite: the note of the batch before its rows, in a transaction of its own',
    violates: 'R6, I2',
    file: SINK,
    find: '        const rowCount = await this.#takeRows(',
    replace:
      "        await ledger.note(batch, 0);\n        await db.exec('COMMIT; BEGIN IMMEDIATE; " +
      "DELETE FROM millrace_batches');\n        const rowCount = await this.#takeRows(",
    caughtBy: unit(TEST, 'after a failure of the table'),
  },
  {
    name: 'SQLite: a batch that is there is not recognised before it runs',
    violates: 'R6',
    file: SINK,
    find: 'const has = await ledger.hasBatch(batch);',
    replace: 'const has = (await ledger.hasBatch(batch)) && false;',
    caughtBy: unit(TEST, 'a batch that runs again changes nothing'),
  },
  {
    name: 'SQLite: a batch that is there is not recognised in the commit',
    violates: 'I2',
    file: SINK,
    find: 'if (await ledger.hasBatch(batch)) return;',
    replace: 'if (false) return;',
    caughtBy: unit(TEST, 'when the answer to its commit was lost'),
  },
  {
    name: 'SQLite: only the latest batch is known, so an older one passes for done',
    violates: 'the key of a batch',
    file: LEDGER,
    find: 'AND batch_time_ms = ${batchTimeMs}',
    replace: 'AND batch_time_ms >= ${batchTimeMs}',
    caughtBy: unit(TEST, 'is not taken for done because a later one is'),
  },
  {
    name: 'SQLite: notes go before their batch is cleaned',
    violates: 'the key of a batch',
    file: LEDGER,
    find: 'AND batch_time_ms <= ${cleanedThroughMs}',
    replace: 'AND batch_time_ms < ${batchTimeMs}',
    caughtBy: unit(TEST, 'is known however many later ones there are'),
  },
  {
    name: 'SQLite: rows of attempts that lost are taken too',
    violates: 'I3',
    file: SINK,
    find: "WHERE attempt IN (${ids.join(', ')})",
    replace: "WHERE attempt IN (${ids.join(', ')}) OR 1",
    caughtBy: unit(TEST, 'takes the rows of the winners'),
  },
  {
    name: 'SQLite: an earlier start may write after a later one',
    violates: 'fencing by epoch',
    file: CLAIM,
    find: 'found.logId === logId && found.epoch > epoch',
    replace: 'found.logId === logId && found.epoch > epoch + 1',
    caughtBy: unit(TEST, 'is refused at every step on the database'),
  },
  {
    name: 'SQLite: a start does not note its epoch',
    violates: 'fencing by epoch',
    file: LEDGER,
    find: 'if (found.log_id === logId && found.epoch === epoch) return;',
    replace: 'if (found.log_id === logId) return;',
    caughtBy: unit(TEST, 'is refused at every step on the database'),
  },
  {
    name: 'SQLite: the epoch is looked at before the commit only',
    violates: 'fencing by epoch',
    file: SINK,
    find: 'const ledger = this.#ledger(db, batch);\n        await ledger.claim();\n        if (',
    replace: 'const ledger = this.#ledger(db, batch);\n        if (',
    caughtBy: unit(TEST, 'is refused at every step on the database'),
  },
  {
    name: 'SQLite: two starts share a scratch file',
    violates: 'I3',
    file: 'src/sinks/sqlite-staging.ts',
    find: '${batch.epoch}-${batch.batchTimeMs}.staged',
    replace: '${batch.batchTimeMs}.staged',
    caughtBy: unit(TEST, 'writes into no scratch file of its successor'),
  },
  {
    name: 'SQLite: rows of another checkpoint directory are taken for ours',
    violates: 'the key of a batch',
    file: CLAIM,
    find: 'found.logId !== logId && found.logId !== NO_LOG_ID',
    replace: 'found.logId !== logId && found.logId === NO_LOG_ID',
    caughtBy: unit(TEST, 'are refused, with the statements'),
  },
  {
    name: 'SQLite: a batch that is found there is not synced again',
    violates: 'R6',
    file: SINK,
    find: 'if (has) await ledger.touch();',
    replace: '',
    caughtBy: unit(TEST, 'is synced once more'),
  },
  {
    name: 'SQLite: staged rows are not counted',
    violates: 'I1',
    file: SINK,
    find: "if (taken?.['n'] === wanted) return wanted;",
    replace: 'if (taken !== undefined) return wanted;',
    caughtBy: unit(TEST, 'rows that have vanished fail the commit'),
  },
  {
    name: 'SQLite: text with a NUL character is cut',
    violates: 'I12',
    file: 'src/sinks/row-values.ts',
    find: 'if (!UNSTORABLE_TEXT.test(text)) return text;',
    replace: 'if (!UNSTORABLE_TEXT.test(text) || column !== undefined) return text;',
    caughtBy: unit('src/sinks/sqlite-values.test.ts', 'refuses'),
  },
  {
    name: 'a sink that fails to commit is taken for done',
    violates: 'R6',
    file: 'src/driver/sink-output.ts',
    find: "await step(output, { doing: 'commit', batchTimeMs }, () => sink.commit(batch, tokens));",
    replace:
      "await step(output, { doing: 'commit', batchTimeMs }, () => sink.commit(batch, tokens))" +
      '.catch(() => undefined);',
    caughtBy: unit('src/driver/batch-scheduler.test.ts', 'leaves a batch that is not done'),
  },
  {
    name: 'a process that has lost its directory commits',
    violates: 'I9',
    file: 'src/driver/sink-output.ts',
    find: '  throwIfLost();\n',
    replace: '',
    caughtBy: unit('src/driver/batch-scheduler.test.ts', 'commits nothing'),
  },
];
