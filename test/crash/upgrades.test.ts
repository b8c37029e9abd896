/** Ten new versions of a pipeline under load, each of which is killed: operators, outputs and windows
 * come, go and move, the state takes other shapes and partitions, executors and block interval
 * change. Clients post all the while, until they are acknowledged. In the end files and SQLite hold
 * exactly what was sent, and the state has counted it. Needs a built dist/. @module */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import type { Random } from '../../src/core/random.ts';
import { readBatches, readLines } from '../support/batch-output.ts';
import { CrashSite } from '../support/crash-site.ts';
import { freePort, HttpClients } from '../support/http-clients.ts';
import { killOrEnd, randomOf, SEED } from '../support/kill-plan.ts';
import { checkRecords } from '../support/record-sets.ts';

const UPGRADES = 10;
const OPTIONS = {
  batchInterval: 50, // a snapshot every half second
  memory: '64MiB',
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
};
/** Takes any of the shapes that the state has had. */
const COUNT_OF = `const countOf = (s) => typeof s === 'number' ? s : s.count ?? s[0];`;
const SHAPES = ['count', '{ count }', '[count]'];

let site: CrashSite | undefined;
let clients: HttpClients | undefined;
afterEach(async () => {
  await site?.close();
  await clients?.giveUp();
});

interface Place {
  readonly at: CrashSite;
  readonly port: number;
  readonly database: string;
  readonly totalsPrefix: string;
}

/** What one version writes, whichever it is. */
function outputsOf({ at, database, totalsPrefix }: Place): readonly string[] {
  const table = { file: database, table: 'lines', columns: { line: 'TEXT' } };
  return [
    `lines.saveAsTextFiles(${JSON.stringify(at.outputPrefix)}, '', { id: 'files' });`,
    `lines.map((line) => [line]).to(sqliteSink(${JSON.stringify(table)}), { id: 'table' });`,
    `counts.stateSnapshots().map(([client, s]) => client + '=' + countOf(s))
      .saveAsTextFiles(${JSON.stringify(totalsPrefix)}, '', { id: 'totals' });`,
  ];
}

/** Of what a version may have beside that. Outputs have ids: which of two is gone would be a guess. */
const STEPS = [`.map((line) => line)`, `.filter((line) => line !== '')`, `.flatMap((l) => [l])`];
const EXTRAS = [
  `lines.count().foreachBatch(async (batch) => { await batch.collect(); }, { id: 'counting' });`,
  `pairs.reduceByKeyAndWindow((a, b) => a + b, (a, b) => a - b, 1000, 200).print(1, { id: 'sums' });`,
  `pairs.groupByKeyAndWindow(500, 100)
    .foreachBatch(async (batch) => { await batch.count(); }, { id: 'groups' });`,
];

/** Writes a version at random. @param version of the state, with a shape of its own. */
function deploy(place: Place, version: number, random: Random): void {
  const some = (all: readonly string[]): string[] => all.filter(() => random.next() < 0.5);
  const outputs = [...outputsOf(place), ...some(EXTRAS)];
  const shuffled = outputs.map((text) => ({ text, at: random.next() }));
  shuffled.sort((a, b) => a.at - b.at);
  const shape = SHAPES[version % SHAPES.length];
  const migrate = `, migrate(old) { const count = countOf(old); return ${shape}; }`;
  place.at.pipeline(
    `${COUNT_OF}
    const lines = ssc.httpTextStream({ port: ${place.port}, id: 'web' })${some(STEPS).join('')};
    const pairs = lines.mapToPair((line) => [line.slice(0, line.indexOf('-')), 1]);
    const counts = pairs.mapWithState((client, one, state) => {
      const count = (state.exists() ? countOf(state.get()) : 0) + one;
      state.update(${shape});
    }, { id: 'counts', version: ${version}, partitions: ${1 + below(4, random)}
      ${version === 1 ? '' : migrate} });
    ${shuffled.map(({ text }) => text).join('\n')}`,
    `import { sqliteSink } from 'millrace';`,
  );
}

function below(max: number, random: Random): number {
  return Math.floor(max * random.next());
}

function settingsAt(random: Random): Partial<PipelineOptions> {
  return { executors: 1 + below(3, random), blockInterval: [5, 10, 25][below(3, random)] ?? 5 };
}

function rowsOf(database: string): string[] {
  const db = new Database(database);
  try {
    return db.prepare('SELECT line FROM lines').raw().all().flat() as string[];
  } finally {
    db.close();
  }
}

it(`${UPGRADES} versions are killed, and nothing is lost or doubled (MILLRACE_SEED=${SEED})`, async () => {
  const random = randomOf('upgrades');
  site = new CrashSite(OPTIONS);
  const at = site;
  const totals = join(at.directory, 'totals');
  mkdirSync(totals);
  const database = join(at.directory, 'out.db');
  const place = { at, port: await freePort(), database, totalsPrefix: join(totals, 'batch') };
  clients = new HttpClients({ port: place.port, withKeys: true, clients: 4 });
  for (let upgrade = 0; upgrade <= UPGRADES; upgrade += 1) {
    deploy(place, 1 + Math.ceil(upgrade / 2), random);
    const engine = at.start({ options: settingsAt(random) });
    // Every other one lives until its state has got a snapshot, in the shape of its version.
    if (upgrade % 2 === 0)
      await engine.waitFor('a snapshot', ({ type }) => type === 'state-snapshot-written');
    await killOrEnd(engine, random);
  }
  const last = at.start();
  await last.ready();
  await clients.finish();
  await at.stop(last);
  const { sent, acknowledged } = clients;
  expect(acknowledged.size).toBe(sent.size);
  for (const delivered of [readLines(at.outputPrefix), rowsOf(database)]) {
    checkRecords(delivered, { promised: acknowledged, sent, onceOnly: sent });
  }
  const counted = readBatches(place.totalsPrefix).at(-1)?.lines ?? [];
  expect(Object.fromEntries(counted.map((line) => line.split('=')))).toEqual(totalsOf(sent));
});

/** Records of each client, as text. */
function totalsOf(records: ReadonlySet<string>): Record<string, string> {
  const counts = new Map<string, number>();
  for (const record of records) {
    const client = record.slice(0, record.indexOf('-'));
    counts.set(client, (counts.get(client) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].map(([client, count]) => [client, `${count}`]));
}
