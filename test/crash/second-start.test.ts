/** Two processes on one checkpoint directory (I9): the second is refused with exit 75, whether the
 * first runs or is still in recovery, and the first does not notice. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { checkWordCounts, heldInput, wordCountPipeline } from '../support/word-counts.ts';

const INPUT = { total: 100_000, recordsPerSecond: 20_000, receivers: 2, seed: 13 };
const OPTIONS = { blockInterval: 10, executors: 2, memory: '64MiB' } as const;
/** With the lock, and before anything of the logs has been taken over. */
const IN_RECOVERY = { step: 'recovery.verdict', occurrence: 1, signal: 'SIGSTOP' } as const;
const RECOVERIES = 3;

const sites: CrashSite[] = [];
afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.close()));
});

/** Its engines run until `release`, however long the other starts take. */
function newSite(): { readonly site: CrashSite; readonly release: () => void } {
  const site = new CrashSite(OPTIONS);
  sites.push(site);
  const held = heldInput(site);
  site.pipeline(`${wordCountPipeline(INPUT, site.outputPrefix)}\n${held.body}`, held.head);
  return { site, release: held.release };
}

async function expectRefused(second: ChildEngine, first: ChildEngine): Promise<void> {
  expect(await second.ended(), second.describe()).toEqual({ code: 75, signal: null });
  const told = second.events.find((event) => event.type === 'failed');
  expect(told).toMatchObject({ code: 'DIRECTORY_LOCKED' });
  expect(told?.type === 'failed' ? told.message : '').toContain(`process ${first.pid}`);
}

it('refuses a second start while the first runs', async () => {
  const { site, release } = newSite();
  const first = site.start();
  await first.ready();
  await expectRefused(site.start(), first);
  await expectRefused(site.start(), first);
  release();
  expect(await first.ended(), first.describe()).toEqual({ code: 0, signal: null });
  checkWordCounts(INPUT, site.outputPrefix);
});

it('refuses a second start while the first recovers', async () => {
  const { site, release } = newSite();
  for (let recovery = 0; recovery < RECOVERIES; recovery += 1) {
    const killed = site.start();
    await killed.ready();
    await sleep(150);
    await killed.kill();
    const first = site.start({ crash: { driver: IN_RECOVERY } });
    await first.stopped();
    expect(first.events.map(({ type }) => type)).not.toContain('engine-recovered');
    await expectRefused(site.start(), first);
    first.signal('SIGCONT');
    await first.ready();
    await expectRefused(site.start(), first);
    await first.kill();
  }
  release();
  await site.finish();
  checkWordCounts(INPUT, site.outputPrefix);
});

it('lets one of several in that start together, again and again', async () => {
  const { site, release } = newSite();
  for (let round = 0; round < RECOVERIES; round += 1) {
    const all = [site.start(), site.start(), site.start()];
    const winner = await Promise.any(all.map((each) => each.ready().then(() => each)));
    const losers = all.filter((each) => each !== winner);
    for (const loser of losers) {
      expect(await loser.ended(), loser.describe()).toEqual({ code: 75, signal: null });
    }
    await sleep(100);
    expect(winner.exit, winner.describe()).toBeUndefined();
    await winner.kill();
  }
  release();
  await site.finish();
  checkWordCounts(INPUT, site.outputPrefix);
});
