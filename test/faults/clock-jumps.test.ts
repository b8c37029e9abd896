/** The wall clock jumps by hours and years, forth and back, in every thread of a real engine, and
 * between two of its lives. Names of files, recycling and batches do not go by it: what was
 * acknowledged is there exactly once, no batch time comes twice, and the logs stay short.
 * @module */
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { ChildEngine } from '../support/child-engine.ts';
import type { CrashSite } from '../support/crash-site.ts';
import type { Promises } from '../support/http-clients.ts';
import { HttpTrial } from '../support/http-trial.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const PRELOAD = new URL('faked-date.mjs', import.meta.url);
/** Cut and completed between two jumps of one life, and after the last. */
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

function timesOf(
  engine: ChildEngine | undefined,
  type: 'batch-submitted' | 'batch-completed',
): number[] {
  const events = engine?.events ?? [];
  return events.flatMap((event) => (event.type === type ? [event.batchTimeMs] : []));
}

/** Under the new time, too, clients are answered, and batches that are cut then end. */
async function goesOn(engine: ChildEngine, clients: Promises): Promise<void> {
  const acknowledged = clients.acknowledged.size;
  const before = timesOf(engine, 'batch-submitted').length;
  await engine.until('an answer', () => clients.acknowledged.size > acknowledged);
  const cut = (): number | undefined =>
    timesOf(engine, 'batch-submitted')[before + BATCHES_A_JUMP - 1];
  await engine.until('batches after a jump', () => cut() !== undefined);
  const last = cut() ?? 0;
  await engine.until('their end', () => timesOf(engine, 'batch-completed').includes(last));
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
    const times = timesOf(engine, 'batch-completed');
    expect(times, 'batch times rise').toEqual([...new Set(times)].toSorted((a, b) => a - b));
  }
  const times = timesOf(site.engines[0], 'batch-completed');
  expect((times.at(-1) ?? 0) - (times[0] ?? 0), 'it did jump').toBeGreaterThan(9 * YEAR_MS);
  for (const log of ['driver-log', 'receiver-log-0']) {
    const names = readdirSync(join(site.checkpointDir, log));
    expect(names.length, names.join(' ')).toBeLessThan(SEGMENTS_MAX);
    for (const name of names) expect(name).toMatch(/^([0-9a-f]{16}\.wal(\.torn)?|spare-\d+\.tmp)$/);
  }
  await trial.finishAndCheck(engine);
});
