import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { armCrash, watchSteps } from '../core/crash-point.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { Sink, SinkBatch } from '../dstream/sink.ts';
import { sqliteSink } from './sqlite-sink.ts';
import type { SqliteSinkOptions } from './sqlite-sink.ts';
import type { SqliteRow } from './sqlite-values.ts';

const COLUMNS = { word: 'TEXT', n: 'INTEGER' };
const BATCH: SinkBatch = {
  logId: 'log-1',
  outputId: 'to-0',
  epoch: 3,
  batchTimeMs: 1_000 as BatchTimeMs,
  cleanedThroughMs: 0,
};
/** Two partitions; what a batch writes is the same in every try. */
const PARTITIONS: readonly (readonly SqliteRow[])[] = [
  [
    ['a', 1],
    ['b', 2],
  ],
  [{ n: 3, word: 'c' }],
];
const WHOLE = ['a 1', 'b 2', 'c 3'];

let directory: string;
let file: string;
let sink: Sink<SqliteRow>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-sqlite-'));
  file = join(directory, 'out.db');
  sink = newSink();
});

afterEach(async () => {
  watchSteps(undefined);
  await rm(directory, { recursive: true });
});

function newSink(options: Partial<SqliteSinkOptions> = {}): Sink<SqliteRow> {
  return sqliteSink({ file, table: 'counts', columns: COLUMNS, ...options });
}

/** Runs a query beside the sink. */
function query(sql: string): unknown[][] {
  const db = new Database(file);
  try {
    return db.prepare(sql).raw().all() as unknown[][];
  } finally {
    db.close();
  }
}

function execute(sql: string): void {
  const db = new Database(file);
  db.exec(sql);
  db.close();
}

function counts(): string[] {
  return query('SELECT word, n FROM counts ORDER BY word').map((row) => row.join(' '));
}

function notedTimes(): unknown[] {
  return query('SELECT batch_time_ms FROM millrace_batches').flat();
}

async function writePart(partition: number, batch = BATCH): Promise<unknown> {
  const writer = await sink.openPartition(batch, partition, 0);
  for (const record of PARTITIONS[partition] ?? []) writer.write(record);
  return structuredClone(await writer.close());
}

async function writeParts(batch = BATCH): Promise<unknown[]> {
  return [await writePart(0, batch), await writePart(1, batch)];
}

/** As the engine does: a start of its own, and the batch when it is needed. */
async function runBatch(batch = BATCH): Promise<'needed' | 'already-committed'> {
  sink = newSink();
  await sink.open?.(batch);
  const state = await sink.prepare(batch);
  if (state === 'needed') await sink.commit(batch, await writeParts(batch));
  return state;
}

describe('a batch', () => {
  it('appears whole, with the note that it is there, and leaves no other file', async () => {
    await sink.open?.(BATCH);
    expect(await sink.prepare(BATCH)).toBe('needed');
    const tokens = await writeParts();
    expect(counts()).toEqual([]);
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
    expect(query('SELECT * FROM millrace_batches')).toEqual([['counts', 'to-0', 1_000, 3]]);
    expect(await readdir(directory)).toEqual(['out.db']);
  });

  it('gets its time in a column of its own', async () => {
    sink = newSink({ batchTimeColumn: 'time' });
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await sink.commit(BATCH, await writeParts());
    expect(query('SELECT DISTINCT time, typeof(n) FROM counts')).toEqual([[1_000, 'integer']]);
  });

  it('takes the rows of the winners, and of no other attempt', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await writePart(0);
    const half = await sink.openPartition(BATCH, 1, 0);
    for (let n = 0; n < 2_500; n += 1) half.write(['half', n]); // a thread that died here
    await sink.commit(BATCH, await writeParts());
    expect(counts()).toEqual(WHOLE);
    await half.abort();
    await half.abort();
  });

  it('may have many rows, of several values, and in any number', async () => {
    await sink.open?.(BATCH);
    for (const [index, rowCount] of [1, 999, 1_000, 1_001, 2_050].entries()) {
      const batch = { ...BATCH, batchTimeMs: (index + 1) as BatchTimeMs };
      await sink.prepare(batch);
      const writer = await sink.openPartition(batch, 0, 0);
      for (let n = 0; n < rowCount; n += 1) writer.write([`batch ${index}`, n]);
      await sink.commit(batch, [await writer.close()]);
      const sums = query(`SELECT count(*), sum(n) FROM counts WHERE word = 'batch ${index}'`);
      expect(sums).toEqual([[rowCount, (rowCount * (rowCount - 1)) / 2]]);
    }
  });

  it('may be empty, and is noted all the same', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await sink.commit(BATCH, []);
    expect(await sink.prepare(BATCH)).toBe('already-committed');
    expect(counts()).toEqual([]);
  });

  it('goes into a table that is there, with more columns and a key', async () => {
    execute('CREATE TABLE counts (id INTEGER PRIMARY KEY, n REAL, word TEXT, at TEXT)');
    await runBatch();
    expect(query('SELECT id, n, word, at FROM counts ORDER BY id')).toHaveLength(3);
  });

  it('of two outputs and two pipelines share a database, and a table if they want', async () => {
    await runBatch();
    await runBatch({ ...BATCH, outputId: 'to-1' });
    await runBatch({ ...BATCH, logId: 'log-2', outputId: 'theirs' });
    expect(counts()).toEqual([...WHOLE, ...WHOLE, ...WHOLE].sort());
  });
});

describe('a batch that runs again', () => {
  it('changes nothing', async () => {
    expect(await runBatch()).toBe('needed');
    expect(await runBatch()).toBe('already-committed');
    expect(await runBatch({ ...BATCH, epoch: 4 })).toBe('already-committed');
    expect(counts()).toEqual(WHOLE);
  });

  it('is synced once more: who committed it may have died before its sync', async () => {
    await runBatch();
    // Counts the transactions that have written to the file.
    const writes = async (): Promise<number> => (await readFile(file)).readUInt32BE(24);
    const before = await writes();
    await sink.prepare({ ...BATCH, batchTimeMs: 2_000 as BatchTimeMs });
    expect(await writes()).toBe(before); // a batch to come costs no sync
    await sink.prepare(BATCH);
    expect(await writes()).toBe(before + 1);
  });

  it('changes nothing when the answer to its commit was lost', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    await sink.commit(BATCH, tokens);
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
  });

  it('is known however many later ones there are, until it is cleaned', async () => {
    await runBatch();
    await runBatch({ ...BATCH, batchTimeMs: 3_000 as BatchTimeMs });
    expect(await runBatch()).toBe('already-committed');
    const later = { ...BATCH, batchTimeMs: 4_000 as BatchTimeMs, cleanedThroughMs: 1_000 };
    await runBatch(later);
    expect(notedTimes()).toEqual([3_000, 4_000]);
  });

  it('is not taken for done because a later one is', async () => {
    await runBatch({ ...BATCH, batchTimeMs: 3_000 as BatchTimeMs });
    expect(await runBatch()).toBe('needed');
    expect(notedTimes()).toEqual([1_000, 3_000]);
  });

  it.each(['R6.before', 'sink.rows', 'sink.noted'] as const)(
    'after a death at %s is there once',
    async (step) => {
      await sink.open?.(BATCH);
      await sink.prepare(BATCH);
      const tokens = await writeParts();
      watchSteps((reached) => {
        if (reached === step) throw new Error('died');
      });
      await expect(sink.commit(BATCH, tokens)).rejects.toThrow('died');
      armCrash(undefined);
      expect(counts()).toEqual([]);
      expect(await runBatch({ ...BATCH, epoch: 4 })).toBe('needed');
      expect(counts()).toEqual(WHOLE);
      expect(await readdir(directory)).toEqual(['out.db']);
    },
  );

  it('after a failure of the table is there once, when that is corrected', async () => {
    execute('CREATE TABLE counts (word TEXT, n INTEGER CHECK (n < 3))');
    await expect(runBatch()).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(/out\.db: batch 1000 cannot be committed \(.*CHECK/),
    });
    expect(counts()).toEqual([]);
    execute('DROP TABLE counts');
    expect(await runBatch()).toBe('needed');
    expect(counts()).toEqual(WHOLE);
  });
});

describe('a process that was replaced', () => {
  const later = { ...BATCH, epoch: 4 };

  it('is refused at every step on the database', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    await newSink().open?.(later);
    const fenced = { code: 'SINK_FENCED', exitCode: 75 };
    await expect(sink.commit(BATCH, tokens)).rejects.toMatchObject(fenced);
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(fenced);
    await expect(sink.open?.(BATCH)).rejects.toThrow(/start 4 of this pipeline .* is start 3/);
    expect(counts()).toEqual([]);
    expect(await runBatch(later)).toBe('needed');
    expect(counts()).toEqual(WHOLE);
  });

  it('writes into no scratch file of its successor', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await newSink().open?.(later);
    await newSink().prepare(later);
    const theirs = await newSink().openPartition(later, 0, 0);
    theirs.write(['theirs', 1]);
    await expect(writePart(0)).rejects.toThrow(/could not be staged|no such table/);
    await newSink().commit(later, [await theirs.close()]);
    expect(counts()).toEqual(['theirs 1']);
  });
});

describe('rows of another log', () => {
  it('are refused, with the statements that would let this one go on', async () => {
    await runBatch();
    const other = { ...BATCH, logId: 'log-2' };
    const refusal = expect(runBatch(other)).rejects;
    await refusal.toMatchObject({
      code: 'SINK_CONFLICT',
      message: expect.stringContaining('(log log-1; this one is log-2). Nothing was written'),
    });
    expect(counts()).toEqual(WHOLE);
  });

  it('are no hindrance when neither or one has a checkpoint directory', async () => {
    const nowhere = { ...BATCH, logId: NO_LOG_ID, epoch: 1 };
    expect(await runBatch(nowhere)).toBe('needed');
    // Another run, which has a batch of the same time.
    expect(await runBatch(nowhere)).toBe('needed');
    expect(await runBatch()).toBe('needed');
    expect(counts()).toEqual([...WHOLE, ...WHOLE, ...WHOLE].sort());
    await expect(runBatch(nowhere)).rejects.toMatchObject({ code: 'SINK_CONFLICT' });
  });

  it('of a later format are refused', async () => {
    await runBatch();
    execute('UPDATE millrace_outputs SET format = 2');
    await expect(runBatch()).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
  });
});

describe('what cannot be', () => {
  it('a table without a column is told at the start', async () => {
    execute('CREATE TABLE counts (word TEXT)');
    await expect(sink.open?.(BATCH)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(/table counts cannot be used \(.*no such column: n/),
    });
  });

  it('a directory that is not there is told at the start', async () => {
    sink = newSink({ file: join(directory, 'nowhere', 'out.db') });
    await expect(sink.open?.(BATCH)).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
  });

  it('rows that have vanished fail the commit, and so do tokens of somebody else', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    const tokens = await writeParts();
    await sink.prepare(BATCH);
    await expect(sink.commit(BATCH, tokens)).rejects.toThrow('0 rows are staged');
    await expect(sink.commit(BATCH, [7])).rejects.toMatchObject({ code: 'BROKEN_INVARIANT' });
    expect(notedTimes()).toEqual([]);
  });

  it.each([
    [{}, /file must be text.*table must be text.*columns must name one/],
    [{ file: ':memory:', table: 'sqlite_x', columns: COLUMNS }, /must be a file.*keeps for itself/],
    [{ file: 'f', table: 't', columns: { a: '' } }, /type of column a must be text/],
    [{ file: 'f', table: 't', columns: COLUMNS, batchTimeColumn: 'n' }, /column n is there twice/],
    [{ file: 'f', table: 't', columns: COLUMNS, key: 'n' }, /there is no option key/],
  ])('options %j', (options, message) => {
    expect(() => sqliteSink(options as SqliteSinkOptions)).toThrow(message);
  });

  it('names keep their quotes', async () => {
    const options = { table: `it's "odd"`, columns: { 'a "b"': 'TEXT' } };
    sink = newSink(options);
    const batch = { ...BATCH, outputId: 'o.x' };
    await sink.open?.(batch);
    await sink.prepare(batch);
    const writer = await sink.openPartition(batch, 0, 0);
    writer.write([`it's`]);
    await sink.commit(batch, [await writer.close()]);
    expect(query(`SELECT * FROM "it's ""odd"""`)).toEqual([[`it's`]]);
    expect(await sink.prepare(batch)).toBe('already-committed');
  });
});
