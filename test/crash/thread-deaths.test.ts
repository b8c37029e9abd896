/** Threads die, the process lives: a receiver executor or a task executor ends by `process.exit` or
 * by an exception that nobody catches. The engine replaces it by itself; what was acknowledged is
 * there, exactly once for sources with positions or keys.
 *
 * The pipeline module of these tests watches for a file, which stands for whatever makes a thread
 * die; the thread that finds it takes it away and dies. @module */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { HttpTrial } from '../support/http-trial.ts';
import { checkTicks, TICKS, ticksInput } from '../support/ticks.ts';
import { checkWordCounts, wordCountPipeline } from '../support/word-counts.ts';

const OPTIONS = {
  blockInterval: 10,
  executors: 2,
  receiverSegmentBytes: '256KiB',
  driverSegmentBytes: '64KiB',
  memory: '64MiB',
} as const;
const DEATHS = 2;
const INPUT = { total: 100_000, recordsPerSecond: 30_000, receivers: 2, seed: 9 };

/** How a thread dies. */
const WAYS = ['process.exit(9)', "throw new Error('nobody catches this')"];

/** `dieIfAsked` takes the file away and dies; receiver threads look for it all the time. */
function watcher(file: string, way: string): string {
  return `import { renameSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
let calls = 0;
function dieIfAsked() {
  try { renameSync(${JSON.stringify(file)}, ${JSON.stringify(`${file}-taken`)}); } catch { return; }
  ${way};
}
const isReceiverThread = workerData?.executorIndex !== undefined;
if (isReceiverThread && ${JSON.stringify(file)}.endsWith('receiver')) setInterval(dieIfAsked, 2);`;
}

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

/** Makes threads die, one after the other; each death must be noticed and outlived. */
async function killThreads(site: CrashSite, engine: ChildEngine, kind: 'receiver' | 'task') {
  const file = join(site.directory, `die-${kind}`);
  for (let death = 1; death <= DEATHS; death += 1) {
    writeFileSync(file, '');
    while (existsSync(file) && engine.exit === undefined) await sleep(5);
    expect(engine.exit, engine.describe()).toBeUndefined();
    if (kind === 'receiver') await replaced(engine, death);
    await sleep(100);
  }
}

/** Waits until so many executors have died, and every receiver has started again after each. */
async function replaced(engine: ChildEngine, deaths: number): Promise<void> {
  let deathsSeen = 0;
  let isStarted = false;
  await engine.waitFor(`receiver ${deaths} of a new thread`, (event) => {
    if (event.type === 'executor-died') {
      deathsSeen += 1;
      isStarted = false;
    }
    if (event.type === 'receiver-started') isStarted = true;
    return deathsSeen === deaths && isStarted;
  });
}

describe.each(WAYS)('a receiver thread dies of %s', (way) => {
  it('and a source with positions goes on where it was', async () => {
    const site = newSite();
    const head = watcher(join(site.directory, 'die-receiver'), way);
    site.pipeline(wordCountPipeline(INPUT, site.outputPrefix), head);
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'receiver');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'receiver');
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
    const body = wordCountPipeline(INPUT, site.outputPrefix).replace(
      '.flatMap(',
      '.map((line) => { if ((calls += 1) % 20 === 0) dieIfAsked(); return line; }).flatMap(',
    );
    site.pipeline(body, watcher(join(site.directory, 'die-task'), way));
    const engine = site.start();
    await engine.ready();
    await killThreads(site, engine, 'task');
    await engine.kill();
    const last = site.start();
    await last.ready();
    await killThreads(site, last, 'task');
    expect(await last.ended(), last.describe()).toEqual({ code: 0, signal: null });
    checkWordCounts(INPUT, site.outputPrefix);
  });
});
