/** Clients post while the engine is killed at random moments. What they were told is compared with
 * what came out: every acknowledged record is there, nothing is there that was not sent; with keys
 * each exactly once, without them no record twice that was acknowledged at its first sending.
 * @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { DurabilityLevel } from '../../src/blocks/block-ref.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { killOrEnd, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';

const trials: HttpTrial[] = [];
afterEach(async () => {
  await Promise.all(trials.splice(0).map((trial) => trial.close()));
});

async function openTrial(withKeys: boolean, durability: DurabilityLevel = 'sync') {
  const trial = await HttpTrial.open({ withKeys, options: { durability } });
  trials.push(trial);
  return trial;
}

interface Case {
  readonly title: string;
  readonly withKeys: boolean;
  readonly durability: DurabilityLevel;
}

it.each<Case>([
  { title: 'with idempotency keys', withKeys: true, durability: 'sync' },
  { title: 'without keys', withKeys: false, durability: 'sync' },
  // What the operating system has survives the process.
  { title: 'at the flush level', withKeys: true, durability: 'flush' },
])(`keeps its word $title (MILLRACE_SEED=${SEED})`, async ({ title, withKeys, durability }) => {
  const random = randomOf(title);
  const trial = await openTrial(withKeys, durability);
  const { site, clients } = trial;
  for (let kill = 0; kill < shareOfKills(1 / 6); kill += 1) await killOrEnd(site.start(), random);
  await trial.finishAndCheck();
  expect(clients.acknowledgedAtFirst.size).toBeGreaterThan(0);
});

it('answers requests that are under way when it is stopped gracefully', async () => {
  const trial = await openTrial(true);
  for (let stop = 0; stop < 3; stop += 1) {
    const engine = trial.site.start();
    await engine.ready();
    await sleep(150);
    await trial.site.stop(engine);
  }
  await trial.finishAndCheck();
});
