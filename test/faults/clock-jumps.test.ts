/** The wall clock jumps by hours and years, forth and back, in every thread of a real engine, and
 * between two of its lives. Names of files, recycling and batches do not go by it: what was
 * acknowledged is there exactly once, no batch time comes twice, and the logs stay short.
 * @module */
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { ChildEngine } from '../support/child-engine.ts';
import type { CrashSite } from '../support/crash-site.ts';
import type { Promises } from '../support/http-clients.ts';
import { HttpTrial } from '../support/http-trial.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const PRELOAD = new URL('faked-date.mjs', import.meta.url);
/** Completed between two jumps of one life, and after the last. */
const BATCHES_A_JUMP = 3;
/** Segments of 128 KiB; a run that recycled nothing would have many more. */
const SEGMENTS_MAX = 12;

const LIVES: readonly (readonly number[])[] = [
  [0, HOUR_MS, -HOUR_MS, 10 * YEAR_MS, 0],
  [-10 * YEAR_MS, -10 * YEAR_MS + HOUR_MS],
  [20 * YEAR_MS, -HOUR_MS],
  [0],
];

let trial: HttpTrial | undefined;
afterEach(async () => {
  await trial?.close();
});

/** Sets the clocks of all threads of all engines of the site. */
function jumpTo({ directory }: CrashSite, offsetMs: number): void {
  writeFileSync(join(directory, 'offset.new'), String(offsetMs));
  renameSync(join(directory, 'offset.new'), join(directory, 'offset'));
}

function startJumping(site: CrashSite): ChildEngine {
  const url = new URL(PRELOAD);
  url.searchParams.set('file', join(site.directory, 'offset'));
  return site.start({ prefix: ['env', `NODE_OPTIONS=--import=${url.href}`] });
}

function batchTimes(engine: ChildEngine | undefined): number[] {
  const events = engine?.events ?? [];
  return events.flatMap((event) => (event.type === 'batch-completed' ? [event.batchTimeMs] : []));
}

/** Under the new time, too, clients are answered and batches end. */
async function goesOn(engine: ChildEngine, clients: Promises): Promise<void> {
  const acknowledged = clients.acknowledged.size;
  const batches = batchTimes(engine).length;
  while (clients.acknowledged.size === acknowledged) {
    expect(engine.exit, engine.describe()).toBeUndefined();
    await sleep(5);
  }
  let seen = 0;
  await engine.waitFor('batches after a jump', ({ type }) => {
    if (type === 'batch-completed') seen += 1;
    return seen >= batches + BATCHES_A_JUMP;
  });
}

it('keeps every promise whatever time it is', async () => {
  trial = await HttpTrial.open({ withKeys: true });
  const { site, clients } = trial;
  let engine: ChildEngine | undefined;
  for (const [first = 0, ...others] of LIVES) {
    await engine?.kill();
    jumpTo(site, first); // before the start; the others come under load
    engine = startJumping(site);
    await engine.ready();
    await goesOn(engine, clients);
    for (const offset of others) {
      jumpTo(site, offset);
      await goesOn(engine, clients);
    }
    const times = batchTimes(engine);
    expect(times, 'batch times rise').toEqual([...new Set(times)].toSorted((a, b) => a - b));
  }
  const times = batchTimes(site.engines[0]);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0), 'it did jump').toBeGreaterThan(9 * YEAR_MS);
  for (const log of ['driver-log', 'receiver-log-0']) {
    const names = readdirSync(join(site.checkpointDir, log));
    expect(names.length, names.join(' ')).toBeLessThan(SEGMENTS_MAX);
    for (const name of names) expect(name).toMatch(/^([0-9a-f]{16}\.wal(\.torn)?|spare-\d+\.tmp)$/);
  }
  await trial.finishAndCheck(engine);
});
