/** The Postgres sink on a real server, without an engine: what a fake one cannot show. Types,
 * the fence between transactions, limits of time, and what is said of a server that is not there.
 * Needs a built dist/, and Postgres.
 * @module */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BatchTimeMs } from '../../src/core/ids.ts';
import type { Sink, SinkBatch } from '../../src/dstream/sink.ts';
import type * as Millrace from '../../src/index.ts';
import type { PostgresSinkOptions } from '../../src/sinks/postgres-sink.ts';
import type { PostgresRow } from '../../src/sinks/postgres-values.ts';
import { PASSWORD, PostgresPlace, whyNoPostgres } from '../support/postgres-place.ts';

const dist = new URL('../../dist/index.js', import.meta.url).href;
const { postgresSink } = (await import(dist)) as typeof Millrace;

const BATCH: SinkBatch = {
  logId: 'log-1',
  outputId: 'to-0',
  epoch: 1,
  batchTimeMs: 1_000 as BatchTimeMs,
  cleanedThroughMs: 0,
};

/** One batch of one partition, ready to be committed. */
async function stage(sink: Sink<PostgresRow>, rows: readonly PostgresRow[], batch = BATCH) {
  await sink.open?.(batch);
  expect(await sink.prepare(batch)).toBe('needed');
  const writer = await sink.openPartition(batch, 0, 0);
  for (const row of rows) writer.write(row);
  return [await writer.close()];
}

describe.skipIf(whyNoPostgres() !== undefined)('postgresSink (needs Postgres)', () => {
  let place: PostgresPlace;
  let stagingDir: string;
  let tables = 0;
  let table: string;
  const others: pg.Client[] = [];

  beforeAll(async () => {
    place = await PostgresPlace.start();
  });
  afterAll(() => place.close());

  beforeEach(() => {
    stagingDir = mkdtempSync(join(tmpdir(), 'millrace-staging-'));
    tables += 1;
    table = `"odd" it's ${tables}`;
  });
  afterEach(async () => {
    for (const each of others.splice(0)) await each.end();
    rmSync(stagingDir, { recursive: true });
  });

  function newSink(options: Partial<PostgresSinkOptions> = {}): Sink<PostgresRow> {
    const { url } = place;
    return postgresSink({ url, table, columns: { v: 'text' }, stagingDir, ...options });
  }

  function rows(): Promise<unknown[][]> {
    return place.query(`SELECT * FROM "${table.replaceAll('"', '""')}" ORDER BY 1`);
  }

  /** Somebody else, in a transaction that has the output's row. */
  async function holdOutput(): Promise<pg.Client> {
    const client = new pg.Client(place.url);
    others.push(client);
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM millrace_outputs WHERE table_name = $1 FOR UPDATE', [table]);
    return client;
  }

  it('gives every value back as it was', async () => {
    const columns = {
      id: 'int PRIMARY KEY',
      t: 'text',
      n: 'numeric',
      f: 'float8',
      b: 'bytea',
      at: 'timestamptz',
      yes: 'boolean',
      j: 'jsonb',
    };
    const sink = newSink({ columns, batchTimeColumn: 'batch' });
    const date = new Date(1_700_000_000_123);
    const text = 'tab\t, line\n\r, \\N, \\., "quotes", ünï→😀';
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    const staged = await stage(sink, [
      [1, text, 2n ** 100n, 0.1, bytes, date, true, '{"a":[1,null]}'],
      { id: 2, t: '', f: Number.NaN, yes: false },
    ]);
    await sink.commit(BATCH, staged);
    expect(await rows()).toEqual([
      [1, text, String(2n ** 100n), 0.1, Buffer.from(bytes), date, true, { a: [1, null] }, '1000'],
      [2, '', null, Number.NaN, null, null, false, null, '1000'],
    ]);
    expect(await sink.prepare(BATCH)).toBe('already-committed');
  });

  it('commits a batch of many blocks in one transaction', async () => {
    const sink = newSink({ columns: { v: 'text', n: 'int' } });
    const many = Array.from({ length: 60_000 }, (_, n): PostgresRow => ['x'.repeat(20), n]);
    await sink.commit(BATCH, await stage(sink, many));
    const name = `"${table.replaceAll('"', '""')}"`;
    const sums = `SELECT count(*)::int, sum(n)::int, count(DISTINCT xmin::text)::int FROM ${name}`;
    expect(await place.query(sums)).toEqual([[60_000, 1_799_970_000, 1]]);
  });

  it('is refused by the database when a later start has the output', async () => {
    const old = newSink();
    const staged = await stage(old, [['old']]);
    await newSink().open?.({ ...BATCH, epoch: 2 });
    await expect(old.commit(BATCH, staged)).rejects.toMatchObject({ code: 'SINK_FENCED' });
    expect(await rows()).toEqual([]);
  });

  it('waits for a transaction that has the output, and sees what it has done', async () => {
    const sink = newSink({ statementTimeoutMs: 300 });
    const staged = await stage(sink, [['mine']]);
    const other = await holdOutput();
    const committing = sink.commit(BATCH, staged);
    const refused = expect(committing).rejects.toMatchObject({ code: 'SINK_FENCED' });
    await other.query('UPDATE millrace_outputs SET epoch = 2 WHERE table_name = $1', [table]);
    await other.query('COMMIT');
    await refused;
    expect(await rows()).toEqual([]);
  });

  it('does not wait for ever: it tells what is in the way', async () => {
    const sink = newSink({ statementTimeoutMs: 50, retryForMs: 500 });
    const staged = await stage(sink, [['mine']]);
    const other = await holdOutput();
    await expect(sink.commit(BATCH, staged)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(/committed \(canceling statement due to statement timeout/),
    });
    await other.query('ROLLBACK');
    await sink.commit(BATCH, staged);
    expect(await rows()).toEqual([['mine']]);
  });

  it('tells which row a table refuses, and goes on when that is corrected', async () => {
    const name = `"${table.replaceAll('"', '""')}"`;
    await place.query(`CREATE TABLE ${name} (v text UNIQUE)`);
    const sink = newSink();
    const staged = await stage(sink, [['a'], ['b'], ['a']]);
    await expect(sink.commit(BATCH, staged)).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringMatching(
        /batch 1000 cannot be committed \(duplicate key .*\(v\)=\(a\)/,
      ),
    });
    expect(await rows()).toEqual([]);
    await place.query(`ALTER TABLE ${name} DROP CONSTRAINT "${table.replaceAll('"', '""')}_v_key"`);
    await sink.commit(BATCH, staged);
    expect(await rows()).toHaveLength(3);
  });

  it('needs no right but to write when its tables are there', async () => {
    await stage(newSink(), []);
    const name = `"${table.replaceAll('"', '""')}"`;
    await place.query(`CREATE ROLE writer LOGIN;
      REVOKE CREATE ON SCHEMA public FROM PUBLIC;
      GRANT SELECT, INSERT, UPDATE, DELETE ON millrace_outputs, millrace_batches TO writer;
      GRANT INSERT ON ${name} TO writer`);
    const sink = newSink({ url: place.url.replace('user=tester', 'user=writer') });
    await sink.commit(BATCH, await stage(sink, [['a']]));
    expect(await rows()).toEqual([['a']]);
  });

  it('keeps no process alive when a batch is committed', async () => {
    // A process of its own: a test's has timers of others.
    const options = { url: place.url, table, columns: { v: 'text' }, stagingDir };
    const script = `import { postgresSink } from ${JSON.stringify(dist)};
      const batch = ${JSON.stringify(BATCH)};
      const sink = postgresSink(${JSON.stringify(options)});
      await sink.open(batch);
      await sink.prepare(batch);
      const writer = await sink.openPartition(batch, 0, 0);
      writer.write(['a']);
      await sink.commit(batch, [await writer.close()]);
      console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);`;
    const args = ['--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stdout, stderr).toBe('0\n');
    expect(await rows()).toEqual([['a']]);
  });

  it('leaves no connection, and shows no password, whatever happens', async () => {
    const sink = newSink();
    await sink.commit(BATCH, await stage(sink, [['a']]));
    const nobody = postgresSink({
      url: `postgres://me:${PASSWORD}@127.0.0.1:1/x?password=${PASSWORD}`,
      table,
      columns: { v: 'text' },
      retryForMs: 0,
    });
    const failure: unknown = await nobody.open?.(BATCH).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(String(failure)).toMatch(
      /Postgres 127\.0\.0\.1:1\/x, table .* cannot be used \(.*REFUSED/,
    );
    const shown = [failure, nobody, sink].map((each) => inspect(each, { depth: 10 })).join('\n');
    expect(shown).not.toContain(PASSWORD);
    const query = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'millrace'`;
    await expect.poll(() => place.query(query), { timeout: 60_000 }).toEqual([[0]]);
  });
});
