import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../core/clock.ts';
import { watchSteps } from '../core/crash-point.ts';
import type { BatchTimeMs, MonotonicMs, WallMs } from '../core/ids.ts';
import { NO_LOG_ID } from '../dstream/sink.ts';
import type { Sink, SinkBatch } from '../dstream/sink.ts';
import { FakePostgres } from '../../test/support/fake-postgres.ts';
import { checkPostgresOptions, postgresSink, PostgresSink } from './postgres-sink.ts';
import type { PostgresSinkOptions } from './postgres-sink.ts';
import { PostgresServer } from './postgres-server.ts';
import type { PostgresRow } from './postgres-values.ts';

const URL_WITH_PASSWORD = 'postgres://me:secret@db.example:5433/shop?password=secret';
const COLUMNS = { word: 'text', n: 'bigint' };
const BATCH: SinkBatch = {
  logId: 'log-1',
  outputId: 'to-0',
  epoch: 3,
  batchTimeMs: 1_000 as BatchTimeMs,
  cleanedThroughMs: 0,
};
/** Two partitions; what a batch writes is the same in every try. */
const PARTITIONS: readonly (readonly PostgresRow[])[] = [
  [
    ['a', 1],
    ['b', 2],
  ],
  [{ n: 3, word: 'c' }],
];
const WHOLE = ['a 1', 'b 2', 'c 3'];

let stagingDir: string;
let server: FakePostgres;
let sink: Sink<PostgresRow>;
let nowMs: number;
let whilePaused: () => void;
/** Time passes only where somebody waits. */
const clock: Clock = {
  wallMs: () => 0 as WallMs,
  monotonicMs: () => nowMs as MonotonicMs,
  after(delayMs, callback) {
    nowMs += delayMs;
    whilePaused();
    queueMicrotask(callback);
    return { cancel: () => undefined };
  },
};

beforeEach(async () => {
  stagingDir = await mkdtemp(join(tmpdir(), 'millrace-postgres-'));
  server = new FakePostgres();
  nowMs = 0;
  whilePaused = () => undefined;
  sink = newSink();
});

afterEach(async () => {
  watchSteps(undefined);
  expect(server.openCount).toBe(0);
  server.close();
  await rm(stagingDir, { recursive: true });
});

function newSink(options: Partial<PostgresSinkOptions> = {}): Sink<PostgresRow> {
  const given = { url: URL_WITH_PASSWORD, table: 'counts', columns: COLUMNS, stagingDir };
  const to = checkPostgresOptions({ ...given, ...options });
  return new PostgresSink(to, new PostgresServer({ ...to, clock, connect: server.connect }));
}

function counts(): string[] {
  return server.query('SELECT word, n FROM counts ORDER BY word').map((row) => row.join(' '));
}

function notedTimes(): unknown[] {
  return server.query('SELECT batch_time_ms FROM millrace_batches').flat();
}

async function writePart(partition: number, batch = BATCH, attempt = 0): Promise<unknown> {
  const writer = await sink.openPartition(batch, partition, attempt);
  for (const record of PARTITIONS[partition] ?? []) writer.write(record);
  return structuredClone(await writer.close());
}

async function writeParts(batch = BATCH): Promise<unknown[]> {
  return [await writePart(0, batch), await writePart(1, batch)];
}

async function openAndWrite(batch = BATCH): Promise<unknown[]> {
  await sink.open?.(batch);
  expect(await sink.prepare(batch)).toBe('needed');
  return writeParts(batch);
}

/** As the engine does: a start of its own, and the batch when it is needed. */
async function runBatch(batch = BATCH): Promise<'needed' | 'already-committed'> {
  sink = newSink();
  await sink.open?.(batch);
  const state = await sink.prepare(batch);
  if (state === 'needed') await sink.commit(batch, await writeParts(batch));
  return state;
}

function at(batchTimeMs: number): SinkBatch {
  return { ...BATCH, batchTimeMs: batchTimeMs as BatchTimeMs };
}

/** What a server says. */
function serverError(code: string, message = 'no'): Error {
  return Object.assign(new Error(message), { code, severity: 'ERROR' });
}

const lost = (): Error => new Error('Connection terminated unexpectedly');

describe('a batch', () => {
  it('appears whole, with the note that it is there, and leaves no file', async () => {
    const tokens = await openAndWrite();
    expect(counts()).toEqual([]);
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
    expect(server.query('SELECT * FROM millrace_batches')).toEqual([
      ['counts', 'to-0', 1_000, 3, 3],
    ]);
    expect(await readdir(stagingDir)).toEqual([]);
  });

  it('gets its time in a column of its own', async () => {
    sink = newSink({ batchTimeColumn: 'time' });
    await sink.commit(BATCH, await openAndWrite());
    expect(server.query('SELECT DISTINCT time FROM counts')).toEqual([[1_000]]);
  });

  it('takes the rows of the winners, and of no other attempt', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await writePart(0);
    const half = await sink.openPartition(BATCH, 1, 0);
    half.write(['half', 0]); // a thread that died here
    await sink.commit(BATCH, [await writePart(0, BATCH, 1), await writePart(1, BATCH, 1)]);
    expect(counts()).toEqual(WHOLE);
    await half.abort();
    await half.abort();
  });

  it('may have many rows, which go in blocks of bounded size', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    const writer = await sink.openPartition(BATCH, 0, 0);
    const word = 'ä'.repeat(20_000);
    for (let n = 0; n < 50; n += 1) writer.write([word, n]);
    const token = await writer.close();
    expect(token).toMatchObject({ rowCount: 50, blockBytes: [560_046, 560_056, 560_056, 320_032] });
    await sink.commit(BATCH, [token]);
    expect(server.query('SELECT count(*), sum(n), min(length(word)) FROM counts')).toEqual([
      [50, 1_225, 20_000],
    ]);
  });

  it('may be empty, and is noted all the same', async () => {
    await sink.open?.(BATCH);
    await sink.prepare(BATCH);
    await sink.commit(BATCH, []);
    expect(await sink.prepare(BATCH)).toBe('already-committed');
    expect(counts()).toEqual([]);
  });

  it('of two outputs and two pipelines share a database, and a table if they want', async () => {
    await runBatch();
    await runBatch({ ...BATCH, outputId: 'to-1' });
    await runBatch({ ...BATCH, logId: 'log-2', outputId: 'theirs' });
    expect(counts()).toEqual([...WHOLE, ...WHOLE, ...WHOLE].toSorted());
  });

  it('goes into tables that are there without the right to make any', async () => {
    await runBatch();
    server.statements.length = 0;
    await runBatch(at(2_000));
    expect(server.statements.filter((sql) => sql.includes('CREATE'))).toEqual([]);
  });
});

describe('a batch that runs again', () => {
  it('changes nothing', async () => {
    expect(await runBatch()).toBe('needed');
    expect(await runBatch()).toBe('already-committed');
    expect(await runBatch({ ...BATCH, epoch: 4 })).toBe('already-committed');
    expect(counts()).toEqual(WHOLE);
  });

  it('writes once more, and so waits until it is durable; one to come does not', async () => {
    await runBatch();
    const writes = async (batch: SinkBatch): Promise<boolean> => {
      server.statements.length = 0;
      await sink.prepare(batch);
      return server.statements.some((sql) => sql.includes('INSERT INTO millrace_outputs'));
    };
    expect(await writes(BATCH)).toBe(true);
    expect(await writes(at(2_000))).toBe(false);
  });

  it('is known however many later ones there are, until it is cleaned', async () => {
    await runBatch();
    await runBatch(at(3_000));
    expect(await runBatch()).toBe('already-committed');
    await runBatch({ ...at(4_000), cleanedThroughMs: 1_000 });
    expect(notedTimes()).toEqual([3_000, 4_000]);
  });

  it('is not taken for done because a later one is', async () => {
    await runBatch(at(3_000));
    expect(await runBatch()).toBe('needed');
    expect(notedTimes()).toEqual([1_000, 3_000]);
  });

  it.each(['R6.before', 'sink.rows', 'sink.noted'] as const)(
    'after a death at %s is there once',
    async (step) => {
      const tokens = await openAndWrite();
      watchSteps((reached) => {
        if (reached === step) throw new Error('died');
      });
      await expect(sink.commit(BATCH, tokens)).rejects.toThrow('died');
      watchSteps(undefined);
      expect(counts()).toEqual([]);
      expect(notedTimes()).toEqual([]);
      expect(await runBatch({ ...BATCH, epoch: 4 })).toBe('needed');
      expect(counts()).toEqual(WHOLE);
    },
  );

  it('finds nothing left of what earlier starts have staged', async () => {
    await openAndWrite();
    await writeFile(join(stagingDir, 'theirs'), '');
    await newSink().open?.({ ...BATCH, epoch: 4 });
    expect(await readdir(stagingDir)).toEqual(['theirs']);
  });
});

describe('a commit whose answer is lost', () => {
  it('is looked up, and not written again', async () => {
    const tokens = await openAndWrite();
    server.failAt(/^COMMIT$/, lost(), 'after');
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
    expect(notedTimes()).toEqual([1_000]);
  });

  it('is written again when it had not come through', async () => {
    const tokens = await openAndWrite();
    server.failAt(/^COMMIT$/, lost());
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
  });

  it('changes nothing when it is called again', async () => {
    const tokens = await openAndWrite();
    await sink.commit(BATCH, tokens);
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
  });
});

it('every transaction has limits of time, and waits for its sync', async () => {
  sink = newSink({ statementTimeoutMs: 7_000 });
  await sink.open?.(BATCH);
  const [begin] = server.statements;
  expect(begin).toMatch(/^BEGIN ISOLATION LEVEL READ COMMITTED/);
  expect(begin).toContain('statement_timeout = 7000;');
  expect(begin).toContain('idle_in_transaction_session_timeout = 5000;');
  expect(begin).toContain("set_config('synchronous_commit', 'on'");
});

describe('what may pass is tried again', () => {
  it.each([
    ['the connection', /^connect$/, Object.assign(new Error('no'), { code: 'ECONNREFUSED' })],
    ['the way there', /^connect$/, new Error('timeout expired')],
    ['a server that starts', /^connect$/, serverError('57P03')],
    ['the connection, in the rows', /^COPY/, lost()],
    ['a deadlock', /^COPY/, serverError('40P01')],
    ['a lock that nobody gives back', /millrace_outputs/, serverError('57014')],
    ['a server that stops', /INSERT INTO millrace_batches/, serverError('57P01')],
  ])('%s', async (_, where, error) => {
    const tokens = await openAndWrite();
    server.failAt(where, error);
    server.failAt(where, error);
    await sink.commit(BATCH, tokens);
    expect(counts()).toEqual(WHOLE);
    expect(nowMs).toBe(50 + 100);
  });

  it('until its time is over, with longer and longer pauses: then it is told', async () => {
    sink = newSink({ retryForMs: 10_000 });
    const tokens = await openAndWrite();
    for (let n = 0; n < 20; n += 1) server.failAt(/^connect$/, lost());
    await expect(sink.commit(BATCH, tokens)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message:
        'Postgres db.example:5433/shop, table counts: batch 1000 cannot be committed (Connection ' +
        'terminated unexpectedly; tried 10 times in 9 s). It is there whole or not at all, and ' +
        'the next start finds out which: correct that and start again',
    });
    expect(nowMs).toBe(50 + 100 + 200 + 400 + 800 + 1_600 + 3 * 2_000);
  });
});

describe('what does not pass', () => {
  it.each([
    ['a row that the table refuses', serverError('23505', 'duplicate key')],
    ['a missing right', serverError('42501', 'permission denied')],
    ['a wrong password', serverError('28P01', 'password authentication failed')],
    ['a bug', new TypeError('x is not a function')],
  ])('%s is told at once, and nothing is kept', async (_, error) => {
    const tokens = await openAndWrite();
    server.failAt(/^COPY/, error);
    const refusal = expect(sink.commit(BATCH, tokens)).rejects;
    await refusal.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringContaining(`batch 1000 cannot be committed (${error.message})`),
      cause: error,
    });
    expect(nowMs).toBe(0);
    expect(counts()).toEqual([]);
  });

  it('a table without a column is told at the start', async () => {
    server.execute('CREATE TABLE counts (word TEXT)');
    await expect(sink.open?.(BATCH)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(/table counts cannot be used \(.*no such column: n/),
    });
  });

  it('rows that have vanished fail the commit, and so do tokens of somebody else', async () => {
    const tokens = await openAndWrite();
    await truncate(join(stagingDir, String(await readdir(stagingDir)), '1-0.rows'), 1);
    await expect(sink.commit(BATCH, tokens)).rejects.toThrow('1-0.rows ends too early');
    const [first] = tokens as [object];
    await expect(sink.commit(BATCH, [{ ...first, rowCount: 3 }])).rejects.toThrow(
      'the table took 2 rows of 3',
    );
    await expect(sink.commit(BATCH, [7])).rejects.toMatchObject({ code: 'BROKEN_INVARIANT' });
    expect([counts(), notedTimes()]).toEqual([[], []]);
  });
});

describe('a process that was replaced', () => {
  const later = { ...BATCH, epoch: 4 };

  it('is refused at every step on the database', async () => {
    const tokens = await openAndWrite();
    await newSink().open?.(later);
    const fenced = { code: 'SINK_FENCED', exitCode: 75 };
    await expect(sink.commit(BATCH, tokens)).rejects.toMatchObject(fenced);
    await expect(sink.prepare(BATCH)).rejects.toMatchObject(fenced);
    await expect(sink.open?.(BATCH)).rejects.toThrow(/start 4 of this pipeline .* is start 3/);
    expect(counts()).toEqual([]);
    expect(await runBatch(later)).toBe('needed');
    expect(counts()).toEqual(WHOLE);
  });

  it('is refused between two tries of a commit', async () => {
    const tokens = await openAndWrite();
    server.failAt(/^COPY/, lost());
    whilePaused = () => server.execute('UPDATE millrace_outputs SET epoch = 4');
    await expect(sink.commit(BATCH, tokens)).rejects.toMatchObject({ code: 'SINK_FENCED' });
    expect(counts()).toEqual([]);
  });
});

describe('rows of another log', () => {
  it('are refused, with the statements that would let this one go on', async () => {
    await runBatch();
    await expect(runBatch({ ...BATCH, logId: 'log-2' })).rejects.toMatchObject({
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
    expect(counts()).toEqual([...WHOLE, ...WHOLE, ...WHOLE].toSorted());
    await expect(runBatch(nowhere)).rejects.toMatchObject({ code: 'SINK_CONFLICT' });
  });

  it('of a later format are refused', async () => {
    await runBatch();
    server.execute('UPDATE millrace_outputs SET format = 2');
    await expect(runBatch()).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' });
  });
});

describe('options', () => {
  const GOOD = { url: URL_WITH_PASSWORD, table: 't', columns: COLUMNS };

  it('show where rows go, and no password', () => {
    expect(postgresSink(GOOD).target).toBe('Postgres db.example:5433/shop, table t');
    const socket = { ...GOOD, url: 'postgres:///shop?host=/run/postgresql&user=me' };
    expect(postgresSink(socket).target).toBe('Postgres /run/postgresql/shop, table t');
  });

  it.each([
    [{}, /url must be text.*table must be text.*columns must name one/],
    [{ ...GOOD, table: 'pg_x' }, /keeps for itself/],
    [{ ...GOOD, columns: { a: '' } }, /type of column a must be text/],
    [{ ...GOOD, batchTimeColumn: 'n' }, /column n is there twice/],
    [{ ...GOOD, key: 'n' }, /there is no option key/],
    [{ ...GOOD, retryForMs: -1, statementTimeoutMs: 0 }, /retryForMs must be.*statementTimeoutMs/],
  ])('%j', (options, message) => {
    expect(() => postgresSink(options as PostgresSinkOptions)).toThrow(message);
  });

  it.each(['mysql://me:secret@db/shop', 'postgres://me:secret@:x/', 'secret'])(
    'of no server are refused without a word of them: %s',
    (url) => {
      const wrong = (): unknown => postgresSink({ ...GOOD, url });
      expect(wrong).toThrow(/url must be as postgres:/);
      expect(wrong).not.toThrow(/secret/);
    },
  );
});
