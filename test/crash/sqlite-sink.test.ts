/** Kills of an engine that writes to SQLite, at every step of a batch's way into the database and at
 * random moments: each record is there exactly once. Needs a built dist/. @module */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, expect, it } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killOrEnd, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';

const RECORD_BYTES = 30;
const OPTIONS = {
  blockInterval: 20,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '32MiB',
} as const;

let site: CrashSite | undefined;
afterEach(async () => {
  await site?.close();
});

/** @param total records, in batches of about a tenth of `recordsPerSecond`. */
function openSite(total: number, recordsPerSecond: number): CrashSite {
  const opened = new CrashSite(OPTIONS);
  site = opened;
  const input = { recordsPerSecond, recordBytes: RECORD_BYTES, total, receivers: 1 };
  const sink = {
    file: join(opened.directory, 'out.db'),
    table: 'lines',
    columns: { line: 'TEXT', length: 'INTEGER' },
    batchTimeColumn: 'batch_time',
  };
  opened.pipeline(
    `ssc.generatorStream(${JSON.stringify(input)})
      .map((line) => [line, line.length]).to(sqliteSink(${JSON.stringify(sink)}));`,
    `import { sqliteSink } from 'millrace';`,
  );
  return opened;
}

/** Compares the table with what the generator has sent. */
function checkTable({ directory }: CrashSite, total: number): void {
  const lines = makeLines(1, RECORD_BYTES);
  const sent = Array.from({ length: total }, (_, n) => lineAt(lines, n)).toSorted();
  const db = new Database(join(directory, 'out.db'));
  try {
    const rows = db.prepare('SELECT line FROM lines').raw().all().flat() as string[];
    expect(rows).toHaveLength(total);
    expect(rows.toSorted().join('\n') === sent.join('\n'), 'the same lines').toBe(true);
    expect(db.prepare('SELECT 1 FROM lines WHERE length <> ?').raw().all([RECORD_BYTES])).toEqual(
      [],
    );
    // The notes say what is there, of the batches that they still know.
    const wrong = `SELECT b.batch_time_ms, b.row_count FROM millrace_batches AS b
      WHERE row_count <> (SELECT count(*) FROM lines WHERE batch_time = b.batch_time_ms)`;
    expect(db.prepare(wrong).raw().all()).toEqual([]);
  } finally {
    db.close();
  }
  const left = readdirSync(directory).filter((name) => name.includes('millrace-'));
  expect(left).toEqual([]);
}

it.each([
  ['tasks', 'sink.staged'],
  ['driver', 'R6.before'],
  ['driver', 'sink.rows'],
  ['driver', 'sink.noted'],
  ['driver', 'R6.after'],
] as const)('dies in the %s at %s, again and again', async (thread, step) => {
  const total = 2_000;
  const at = openSite(total, 1_000);
  for (let death = 0; death < 2; death += 1) {
    const engine = at.start({ crash: { [thread]: { step, occurrence: 1 } } });
    const exit = await engine.ended();
    expect(exit.signal, `${step} was not passed: ${engine.describe()}`).toBe('SIGKILL');
  }
  await at.finish();
  checkTable(at, total);
});

it(`dies at random moments (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('sqlite');
  const total = 20_000;
  const at = openSite(total, 5_000);
  for (let kill = 0; kill < shareOfKills(1 / 6); kill += 1) {
    await killOrEnd(at.start(), random); // later ones may find that all is done
  }
  await at.finish();
  checkTable(at, total);
});
