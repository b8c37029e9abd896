/** Kills of an engine that writes to Postgres, and of Postgres, at every step of a batch's way into
 * the table and at random moments: each record is there exactly once. An engine that stands still
 * while another one takes its directory writes nothing any more. Needs a built dist/, and Postgres.
 * @module */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { lineAt, makeLines } from '../../src/sources/generator-lines.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killOrEnd, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';
import { PASSWORD, PostgresPlace, whyNoPostgres } from '../support/postgres-place.ts';

const RECORD_BYTES = 30;
const OPTIONS = {
  blockInterval: 20,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '32MiB',
} as const;
const STEPS = [
  ['tasks', 'sink.staged'],
  ['driver', 'R6.before'],
  ['driver', 'sink.rows'],
  ['driver', 'sink.noted'],
  ['driver', 'R6.after'],
] as const;
const OUTAGES = 4;

interface Load {
  readonly total: number;
  /** In batches of about a tenth of it. */
  readonly recordsPerSecond: number;
}

describe.skipIf(whyNoPostgres() !== undefined)('an engine beside Postgres (needs Postgres)', () => {
  let place: PostgresPlace;
  let site: CrashSite;
  let tables = 0;
  let stagingDir: string;

  beforeAll(async () => {
    place = await PostgresPlace.start();
  });
  afterAll(() => place.close());
  afterEach(() => site.close());

  function openSite({ total, recordsPerSecond }: Load): CrashSite {
    site = new CrashSite(OPTIONS);
    stagingDir = join(site.directory, 'staging');
    mkdirSync(stagingDir);
    tables += 1;
    const input = { recordsPerSecond, recordBytes: RECORD_BYTES, total, receivers: 1 };
    const sink = {
      url: place.url,
      table: `lines_${tables}`,
      columns: { line: 'text', length: 'int' },
      batchTimeColumn: 'batch_time',
      retryForMs: 120_000,
      stagingDir,
    };
    site.pipeline(
      `ssc.generatorStream(${JSON.stringify(input)})
        .map((line) => [line, line.length]).to(postgresSink(${JSON.stringify(sink)}));`,
      `import { postgresSink } from 'millrace';`,
    );
    return site;
  }

  async function rowCount(): Promise<number> {
    const [[count] = []] = await place.query(`SELECT count(*)::int FROM lines_${tables}`);
    return Number(count);
  }

  /** Compares the table with what the generator has sent. */
  async function checkTable({ total }: Load): Promise<void> {
    const lines = makeLines(1, RECORD_BYTES);
    const sent = Array.from({ length: total }, (_, n) => lineAt(lines, n)).toSorted();
    const table = `lines_${tables}`;
    const rows = (await place.query(`SELECT line FROM ${table}`)).flat() as string[];
    expect(rows).toHaveLength(total);
    expect(rows.toSorted().join('\n') === sent.join('\n'), 'the same lines').toBe(true);
    const wrong = `SELECT 1 FROM ${table} WHERE length <> ${RECORD_BYTES}`;
    expect(await place.query(wrong)).toEqual([]);
    // The notes say what is there, of the batches that they still know.
    const untrue = `SELECT b.batch_time_ms, b.row_count FROM millrace_batches AS b
      WHERE table_name = '${table}' AND row_count <>
        (SELECT count(*) FROM ${table} WHERE batch_time = b.batch_time_ms)`;
    expect(await place.query(untrue)).toEqual([]);
    expect(readdirSync(stagingDir)).toEqual([]);
    const said = site.engines.flatMap(({ events }) => events.map((event) => JSON.stringify(event)));
    expect(said.filter((line) => line.includes(PASSWORD))).toEqual([]);
  }

  it('dies at every step', async () => {
    const load = { total: 2_000, recordsPerSecond: 1_000 };
    openSite(load);
    for (const [thread, step] of STEPS) {
      const engine = site.start({ crash: { [thread]: { step, occurrence: 1 } } });
      const exit = await engine.ended();
      expect(exit.signal, `${step} was not passed: ${engine.describe()}`).toBe('SIGKILL');
    }
    await site.finish();
    await checkTable(load);
  });

  it(`dies at random moments (MILLRACE_SEED=${SEED})`, async () => {
    const random = randomOf('postgres');
    const load = { total: 20_000, recordsPerSecond: 5_000 };
    openSite(load);
    for (let kill = 0; kill < shareOfKills(1 / 12); kill += 1) {
      await killOrEnd(site.start(), random); // later ones may find that all is done
    }
    await site.finish();
    await checkTable(load);
  });

  it.each(['sink.rows', 'sink.noted'] as const)(
    'goes on after a server that stopped at once when it was at %s',
    async (step) => {
      const load = { total: 2_000, recordsPerSecond: 1_000 };
      openSite(load);
      const engine = site.start({ crash: { driver: { step, occurrence: 2, signal: 'SIGSTOP' } } });
      await engine.stopped();
      await place.stopServer();
      engine.signal('SIGCONT');
      await place.startServer();
      expect(await engine.ended(), engine.describe()).toEqual({ code: 0, signal: null });
      await checkTable(load);
    },
  );

  it(`lives through a server that dies at random moments (MILLRACE_SEED=${SEED})`, async () => {
    const random = randomOf('postgres server');
    const load = { total: 10_000, recordsPerSecond: 2_000 };
    openSite(load);
    const engine = site.start();
    await engine.ready();
    for (let outage = 0; outage < OUTAGES; outage += 1) {
      await sleep(1_000 * random.next());
      if (outage % 2 === 0) place.killServer();
      else await place.stopServer();
      await sleep(300 * random.next());
      await place.startServer();
    }
    expect(await engine.ended(), engine.describe()).toEqual({ code: 0, signal: null });
    await checkTable(load);
  });

  // Before its transaction, and in the middle of it, where it has the output's row for itself.
  it.each(['R6.before', 'sink.noted'] as const)(
    'that stands still at %s writes nothing when another one has its directory',
    async (step) => {
      const load = { total: 2_000, recordsPerSecond: 1_000 };
      openSite(load);
      const old = site.start({ crash: { driver: { step, occurrence: 2, signal: 'SIGSTOP' } } });
      await old.stopped();
      const before = await rowCount();
      removeLock();
      // The successor stands still too, before it writes: what is written now is the old one's.
      const successor = site.start({
        crash: { driver: { step: 'R6.before', occurrence: 1, signal: 'SIGSTOP' } },
      });
      await successor.stopped();
      old.signal('SIGCONT');
      await expectReplaced(old);
      expect(await rowCount()).toBe(before);
      successor.signal('SIGCONT');
      expect(await successor.ended(), successor.describe()).toEqual({ code: 0, signal: null });
      await checkTable(load);
    },
  );

  /** By the database, or by the log of its own receiver, whichever comes first. */
  async function expectReplaced(old: ChildEngine): Promise<void> {
    expect(await old.ended(), old.describe()).toEqual({ code: 75, signal: null });
    const told = old.events.find((event) => event.type === 'failed');
    expect(told?.type === 'failed' ? told.code : '').toMatch(/^(SINK_FENCED|DIRECTORY_LOCKED)$/);
  }

  /** As a careless hand would do it. */
  function removeLock(): void {
    for (const name of readdirSync(site.checkpointDir)) {
      if (/^LOCK(\.|$)/.test(name)) rmSync(join(site.checkpointDir, name));
    }
  }
});
