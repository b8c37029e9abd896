/** `kill -9` while blocks wait outside of memory: with a backlog far larger than memory, in the middle
 * of reading it back, and in the middle of spilling. Needs a built dist/. @module */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PipelineOptions } from '../../src/core/options-types.ts';
import { readLines } from '../support/batch-output.ts';
import type { ChildEngine } from '../support/child-engine.ts';
import { CrashSite } from '../support/crash-site.ts';
import { killAtRandom, randomOf, SEED, shareOfKills } from '../support/kill-plan.ts';
import { checkWordCounts, wordCountPipeline } from '../support/word-counts.ts';

const sites: CrashSite[] = [];
afterEach(async () => {
  await Promise.all(sites.splice(0).map((site) => site.close()));
});

function siteOf(options: Partial<PipelineOptions>): CrashSite {
  const site = new CrashSite({ memory: '16MiB', executors: 2, ...options });
  sites.push(site);
  return site;
}

describe('a backlog of 200 MB, with a memory of 16 MiB', () => {
  const TOTAL = 2_000_000;
  /** Memory and 6 threads: about 145 MiB. With the backlog it would be 335. */
  const PROCESS_MIB_MAX = 270;

  /** Counts lines, and is done with a batch once a file says so; tells the most memory that its
   * process has had, after each count. */
  function backlog(): CrashSite {
    const site = siteOf({ receiverSegmentBytes: '16MiB', storageLevel: 'memory-and-disk' });
    const go = JSON.stringify(join(site.directory, 'go'));
    site.pipeline(
      `const lines = ssc.generatorStream({ total: ${TOTAL}, receivers: 2 });
      lines.count().saveAsTextFiles(${JSON.stringify(site.outputPrefix)});
      lines.foreachBatch(async () => {
        while (!existsSync(${go})) await new Promise((resolve) => setTimeout(resolve, 20));
        const status = readFileSync('/proc/self/status', 'utf8');
        console.log(JSON.stringify({ type: 'memory', kib: /VmHWM:\\s+(\\d+)/.exec(status)[1] }));
      });`,
      "import { existsSync, readFileSync } from 'node:fs';",
    );
    return site;
  }

  function highestMib({ events }: ChildEngine): number {
    const marks = events as readonly { readonly type: string; readonly kib?: string }[];
    return Math.max(...marks.flatMap(({ kib }) => (kib === undefined ? [] : [Number(kib) / 1024])));
  }

  it('is received, survives, and runs from the log in bounded memory', async () => {
    const site = backlog();
    const first = site.start();
    for (let ended = 0; ended < 2; ended += 1) {
      let seen = 0;
      await first.waitFor('the end of the input', ({ type }) => {
        if (type === 'receiver-ended') seen += 1;
        return seen > ended;
      });
    }
    await first.kill();
    writeFileSync(join(site.directory, 'go'), '');
    const second = await site.finish();
    // All of it came from the log: no batch was done before the kill, and no record comes again.
    const submitted = second.events.reduce(
      (sum, event) => sum + (event.type === 'batch-submitted' ? event.recordCount : 0),
      0,
    );
    expect(submitted).toBe(TOTAL);
    const counts = readLines(site.outputPrefix).map(Number);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(TOTAL);
    expect(highestMib(second)).toBeLessThan(PROCESS_MIB_MAX);
  });
});

describe('blocks that are read back', () => {
  const input = { total: 150_000, recordsPerSecond: 1_000_000, receivers: 2 };
  const SMALL = { receiverSegmentBytes: '1MiB', driverSegmentBytes: '64KiB' } as const;

  it.each([1, 7])('survive the death of their %i. reader', async (occurrence) => {
    const site = siteOf({ ...SMALL, storageLevel: 'disk' });
    site.pipeline(wordCountPipeline(input, site.outputPrefix));
    const engine = site.start({ crash: { tasks: { step: 'read-back', occurrence } } });
    expect(await engine.ended(), engine.describe()).toEqual({ code: null, signal: 'SIGKILL' });
    await site.finish();
    checkWordCounts(input, site.outputPrefix);
  });

  it(`survive kills at random moments (MILLRACE_SEED=${SEED})`, async () => {
    const random = randomOf('read back');
    const late = { ...input, total: 400_000, recordsPerSecond: 200_000 };
    const site = siteOf({ ...SMALL, storageLevel: 'disk' });
    site.pipeline(wordCountPipeline(late, site.outputPrefix));
    for (let kill = 0; kill < shareOfKills(1 / 20); kill += 1) {
      await killAtRandom(site.start(), random);
    }
    await site.finish();
    checkWordCounts(late, site.outputPrefix);
  });
});

describe('a run that dies while it spills', () => {
  it('leaves no file behind, and the next one starts', async () => {
    const site = siteOf({ durability: 'off', storageLevel: 'disk' });
    const input = { total: 150_000, recordsPerSecond: 1_000_000 };
    site.pipeline(wordCountPipeline(input, site.outputPrefix));
    const engine = site.start({ crash: { driver: { step: 'spill', occurrence: 1 } } });
    expect(await engine.ended(), engine.describe()).toEqual({ code: null, signal: 'SIGKILL' });
    const names = readdirSync(site.checkpointDir).filter((name) => name.endsWith('.blocks'));
    expect(names).toEqual([]);
    await site.finish();
  });
});
