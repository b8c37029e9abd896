/** `kill -9` of a real engine that writes two copies, and now and then `rm -rf` of one of them
 * while it is dead, or a life on one alone: at the end the batches together hold every word exactly as
 * often as the input has it. Needs a built dist/. MILLRACE_SEED replays the moments. @module */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import type { ChildEngine, ChildEvent } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killAtRandom, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';
import { checkWordCounts, wordCountPipeline } from '../support/word-counts.ts';

const LONG = { total: 150_000, recordsPerSecond: 40_000, receivers: 2, seed: 3 };
const SHORT = { ...LONG, total: 40_000 };
const OPTIONS: Partial<PipelineOptions> = {
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  blockInterval: 20,
  receiverExecutors: 2,
};
/** Of the 60 kills of the whole suite, 20 or more. */
const SHARE = 22 / 60;

const sites: CrashSite[] = [];
afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.close()));
});

function newSite(input = SHORT): CrashSite {
  const site = new CrashSite(OPTIONS);
  sites.push(site);
  site.pipeline(wordCountPipeline(input, site.outputPrefix));
  return site;
}

const mirrorOf = (site: CrashSite): string => join(site.directory, 'mirror');

function isEndOfInput(event: ChildEvent): boolean {
  return event.type === 'engine-stopping' && event.reason === 'all inputs have ended';
}

/** Then the copies are equal, before anything is received: a life that dies later leaves both whole,
 * so either may be lost. */
function isStarted({ type }: ChildEvent): boolean {
  return type === 'engine-started';
}

async function killStarted(engine: ChildEngine): Promise<boolean> {
  await engine.waitFor('the start', isStarted);
  return (await engine.kill()).signal === 'SIGKILL';
}

describe(`kills with two copies (MILLRACE_SEED=${SEED})`, () => {
  it('and the loss of one of them: nothing acknowledged is missing', async () => {
    const random = randomOf('two copies');
    const wanted = shareOfKills(SHARE);
    let kills = 0;
    let losses = 0;
    while (kills < wanted) {
      const site = newSite(LONG);
      const options = { mirrorDir: mirrorOf(site) };
      let hasEnded = false;
      while (kills < wanted && !hasEnded) {
        const engine = site.start({ options });
        // Until a copy has been lost, not too early for that.
        const killing = losses === 0 ? killStarted(engine) : killAtRandom(engine, random);
        if (await killing) kills += 1;
        else expect(engine.exit, engine.describe()).toEqual({ code: 0, signal: null });
        hasEnded = engine.events.some(isEndOfInput);
        const isKept = losses > 0 && random.next() < 0.3;
        if (hasEnded || isKept || !engine.events.some(isStarted)) continue;
        const lost = random.next() < 0.5 ? site.checkpointDir : options.mirrorDir;
        rmSync(lost, { recursive: true });
        losses += 1;
      }
      await site.finish({ options });
      checkWordCounts(LONG, site.outputPrefix);
      await site.close();
    }
    expect(losses).toBeGreaterThan(0);
  });

  it('goes on from the second directory alone, as from any other', async () => {
    const site = newSite();
    const mirrorDir = mirrorOf(site);
    const engine = site.start({ options: { mirrorDir } });
    await engine.waitFor('a batch', ({ type }) => type === 'batch-completed');
    await engine.kill();
    rmSync(site.checkpointDir, { recursive: true });
    await site.finish({ checkpointDir: mirrorDir });
    checkWordCounts(SHORT, site.outputPrefix);
  });

  it.each(['mirror.restore', 'mirror.equal'] as const)(
    'dies at %s and comes to the same',
    async (step) => {
      const site = newSite();
      const options = { mirrorDir: mirrorOf(site) };
      // One entry differs from the peer's, so that step is passed once; restoring passes it often.
      for (const occurrence of step === 'mirror.restore' ? [1, 3] : [1]) {
        const engine = site.start({ options });
        await engine.waitFor('a batch', ({ type }) => type === 'batch-completed');
        await engine.kill();
        const lost = step === 'mirror.restore' ? '.' : 'driver-log';
        rmSync(join(options.mirrorDir, lost), { recursive: true });
        const dying = site.start({ options, crash: { driver: { step, occurrence } } });
        expect(await dying.ended(), dying.describe()).toEqual({ code: null, signal: 'SIGKILL' });
      }
      await site.finish({ options });
      checkWordCounts(SHORT, site.outputPrefix);
    },
  );

  it.each([2, 12])('ends with 74 and names the copy whose sync %d fails', async (after) => {
    const site = newSite(LONG);
    const mirrorDir = mirrorOf(site);
    const engine = site.start({
      options: { mirrorDir },
      failing: { folder: join('mirror', 'driver-log'), call: 'sync', after, as: 'EIO' },
    });
    expect(await engine.ended(), engine.describe()).toEqual({ code: 74, signal: null });
    const told = engine.events.find(({ type }) => type === 'failed');
    expect(JSON.stringify(told)).toContain(join(mirrorDir, 'driver-log'));
    await site.finish({ options: { mirrorDir } });
    checkWordCounts(LONG, site.outputPrefix);
  });
});
