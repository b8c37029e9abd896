/** The wall clock jumps by hours and years, forth and back, in every thread of a real engine, and
 * between two of its lives. Names of files, recycling and batches do not go by it: what was
 * acknowledged is there exactly once, no batch time comes twice, and the logs stay short.
 * @module */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { ChildEngine } from '../support/child-engine.ts';
import { HttpTrial } from '../support/http-trial.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
const PRELOAD = new URL('faked-date.mjs', import.meta.url);
/** Between two jumps of one life. */
const STEP_MS = 400;
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

/** Starts an engine whose clock is off by `offsets`, one after the other. */
function startJumping(offsets: readonly number[]): ChildEngine {
  const url = new URL(PRELOAD);
  url.searchParams.set('from', String(process.hrtime.bigint() / 1_000_000n));
  // The first one from before the start; the others under load, a second later.
  const steps = offsets.map((offset, index) => [index === 0 ? 0 : 600 + index * STEP_MS, offset]);
  url.searchParams.set('steps', steps.map((step) => step.join(':')).join(','));
  const prefix = ['env', `NODE_OPTIONS=--import=${url.href}`];
  if (trial === undefined) throw new Error('there is no trial');
  return trial.site.start({ prefix });
}

it('keeps every promise whatever time it is', async () => {
  trial = await HttpTrial.open({ withKeys: true });
  const { site, clients } = trial;
  let engine: ChildEngine | undefined;
  for (const offsets of LIVES) {
    await engine?.kill();
    engine = startJumping(offsets);
    await engine.ready();
    const before = clients.acknowledged.size;
    await sleep(600 + offsets.length * STEP_MS);
    expect(engine.exit, engine.describe()).toBeUndefined();
    expect(clients.acknowledged.size, engine.describe()).toBeGreaterThan(before);
    const times = engine.events.flatMap((event) =>
      event.type === 'batch-completed' ? [event.batchTimeMs] : [],
    );
    expect(times.length, 'batches went on').toBeGreaterThan(3);
    expect(times, 'batch times rise').toEqual([...new Set(times)].toSorted((a, b) => a - b));
  }
  const [first] = site.engines;
  const times = first?.events.flatMap((event) =>
    event.type === 'batch-completed' ? [event.batchTimeMs] : [],
  );
  expect((times?.at(-1) ?? 0) - (times?.[0] ?? 0), 'it did jump').toBeGreaterThan(9 * YEAR_MS);
  for (const log of ['driver-log', 'receiver-log-0']) {
    const names = readdirSync(join(site.checkpointDir, log));
    expect(names.length, names.join(' ')).toBeLessThan(SEGMENTS_MAX);
    for (const name of names) expect(name).toMatch(/^([0-9a-f]{16}\.wal(\.torn)?|spare-\d+\.tmp)$/);
  }
  await trial.finishAndCheck(engine);
});
