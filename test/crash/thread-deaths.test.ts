/** Threads die, the process lives: a receiver executor or a task executor ends by `process.exit` or
 * by an exception that nobody catches. The engine replaces it by itself; what was acknowledged is
 * there, exactly once for sources with positions or keys.
 *
 * How they are made to die: test/support/thread-deaths.ts. @module */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { CrashSite } from '../support/crash-site.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { killThreads, watcher } from '../support/thread-deaths.ts';
import { checkTicks, TICKS, ticksInput } from '../support/ticks.ts';
import { checkWordCounts, heldInput, wordCountPipeline } from '../support/word-counts.ts';

const OPTIONS = {
  blockInterval: 10,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '64MiB',
} as const;
const INPUT = { total: 100_000, recordsPerSecond: 30_000, receivers: 2, seed: 9 };

/** How a thread dies. */
const WAYS = ['process.exit(9)', "throw new Error('nobody catches this')"];

const sites: CrashSite[] = [];
const trials: HttpTrial[] = [];
afterEach(async () => {
  await Promise.all([...sites.splice(0), ...trials.splice(0)].map((each) => each.close()));
});

function newSite(options: Partial<PipelineOptions> = {}): CrashSite {
  const site = new CrashSite({ ...OPTIONS, ...options });
  sites.push(site);
  return site;
}

describe.each(WAYS)('a receiver thread dies of %s', (way) => {
  it('and a source with positions goes on where it was', async () => {
    const site = newSite({ receiverExecutors: 1 });
    const held = heldInput(site);
    const head = watcher(join(site.directory, 'die-receiver'), way);
    const body = `${wordCountPipeline(INPUT, site.outputPrefix)}\n${held.body}`;
    site.pipeline(body, `${held.head}\n${head}`);
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'receiver');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'receiver');
    held.release();
    expect(await last.ended(), last.describe()).toEqual({ code: 0, signal: null });
    checkWordCounts(INPUT, site.outputPrefix);
  });

  it('and of store(record) nothing is lost but the end of a life', async () => {
    const site = newSite({ receiverExecutors: 2 });
    const head = watcher(join(site.directory, 'die-receiver'), way);
    const save = `saveAsTextFiles(${JSON.stringify(site.outputPrefix)})`;
    site.pipeline(`${ticksInput(site)}.${save};`, `${TICKS}\n${head}`);
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'receiver');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'receiver');
    await site.stop(last);
    checkTicks(site);
  });

  it.each([true, false])('and HTTP clients lose nothing (keys: %s)', async (withKeys) => {
    const trial = await HttpTrial.open({ withKeys });
    trials.push(trial);
    const { site } = trial;
    trial.pipeline({ head: watcher(join(site.directory, 'die-receiver'), way) });
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'receiver');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'receiver');
    await trial.finishAndCheck(last);
  });
});

describe.each([...WAYS, `setTimeout(() => { ${WAYS[1]}; })`])('a task thread dies of %s', (way) => {
  it('and its batch is finished all the same', async () => {
    const site = newSite();
    const counting = wordCountPipeline(INPUT, site.outputPrefix).replace(
      '.flatMap(',
      '.map((line) => { if ((calls += 1) % 20 === 0) dieIfAsked(); return line; }).flatMap(',
    );
    const held = heldInput(site, 'dieIfAsked();');
    const head = watcher(join(site.directory, 'die-task'), way);
    site.pipeline(`${counting}\n${held.body}`, `${held.head}\n${head}`);
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'task');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'task');
    held.release();
    expect(await last.ended(), last.describe()).toEqual({ code: 0, signal: null });
    checkWordCounts(INPUT, site.outputPrefix);
  });
});
