/** What happens when memory is short: sources are held back, shuffles go to files, and the process
 * stays within its bound. Needs a built dist/.
 * @module */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLines } from '../support/batch-output.ts';
import { CrashSite } from '../support/crash-site.ts';
import { PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
const crashSites: CrashSite[] = [];
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(async () => {
  await site.close();
  await Promise.all(crashSites.splice(0).map((each) => each.close()));
});

const MIB = 2 ** 20;

describe('a full arena', () => {
  it('holds receivers back, loses nothing, and bounds the process', async () => {
    const records = 1_500_000; // 150 MB, of which 12 fit into the arena
    const child = new CrashSite({ memory: '16MiB', receiverSegmentBytes: '4MiB', executors: 2 });
    crashSites.push(child);
    child.pipeline(
      `const lines = ssc.generatorStream({ total: ${records}, receivers: 2 });
      lines.count().saveAsTextFiles(${JSON.stringify(child.outputPrefix)});
      lines.foreachBatch(() => new Promise((resolve) => setTimeout(resolve, 50)));
      ssc.queueStream([]).foreachBatch(() => {
        const status = readFileSync('/proc/self/status', 'utf8');
        console.log(JSON.stringify({ type: 'memory', kib: /VmHWM:\\s+(\\d+)/.exec(status)[1] }));
      });`,
      "import { readFileSync } from 'node:fs';",
    );
    const engine = await child.finish();
    const counts = readLines(child.outputPrefix).map(Number);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(records);
    // 24 extents of 256 KiB a receiver, twice the arena with what is between two batches.
    const largest = Math.max(...counts) * 100;
    expect(largest).toBeLessThanOrEqual(16 * MIB);
    const marks = engine.events as readonly { readonly type: string; readonly kib?: string }[];
    const kib = Math.max(
      ...marks.flatMap((each) => (each.kib === undefined ? [] : [Number(each.kib)])),
    );
    expect(kib).toBeGreaterThan(16 * 1024);
    expect(kib / 1024).toBeLessThan(16 + 250);
  });

  it('lets a store that waits go on, in order, when the output catches up', async () => {
    site.pipeline(
      `keep('all', ssc.receiverStream(() => new Filling()).map((record) => Number(record.slice(0, 9))));
      ssc.queueStream([]).foreachBatch(async () => {
        while (existsSync(directory) && !existsSync(FULL)) await new Promise((resolve) => setTimeout(resolve, 10));
      });`,
      {
        // No batch ends before the arena has been full once.
        head: `import { existsSync, writeFileSync } from 'node:fs';
        const FULL = ${JSON.stringify(site.path('full'))};
        class Filling extends Receiver {
          onStart() {
            this.run().catch((error) => this.reportError('run failed', error));
          }
          async run() {
            let waits = 0;
            const text = 'x'.repeat(50_000);
            for (let n = 0; n < 450; n += 1) {
              const room = this.store(String(n).padStart(9, '0') + text);
              if (room === undefined) continue;
              waits += 1;
              if (!this.isFull) throw new Error('waits, and is not full');
              writeFileSync(FULL, '');
              await room;
            }
            await this.store([String(waits).padStart(9, '0')], {});
            this.end();
          }
          onStop() {}
        }`,
        options: { blockInterval: 10, storageLevel: 'memory' },
      },
    );
    const run = await site.finish();
    const numbers = site.records('all') as number[];
    const waits = numbers.pop() ?? 0;
    expect(numbers).toEqual(Array.from({ length: 450 }, (_, n) => n));
    expect(waits).toBeGreaterThan(0);
    expect(run.of('receiver-error')).toEqual([]);
  });
});

describe('a shuffle larger than its region', () => {
  /** 2 × 40 keys, 1,000 values each of 200 characters: 16 MB where 4 fit. */
  const WIDE = `const pairs = ssc.queueStream([[0, 1], [2]]).flatMap(function* (slice) {
      for (let n = 0; n < 40_000; n += 1) yield [n % 40, String(n).padStart(200, '.')];
    });
    const groups = pairs.groupByKey().mapValues((values) => values.length);
    const longest = pairs.reduceByKey((a, b) => (a > b ? a : b), { partitions: 7 });`;

  const spilled = (place: string): string[] =>
    readdirSync(place).filter((name) => name.startsWith('spill-'));

  it('goes through files, gives the right result, and leaves none', async () => {
    site.pipeline(
      `${WIDE}
      keep('groups', groups);
      keep('longest', longest.map(([key, value]) => [key, value.length]));
      keep('pairs', pairs.repartition(2).map(([key, value]) => key + value.length));
      groups.foreachBatch(() => {
        const names = readdirSync(directory + '/checkpoint').filter((n) => n.startsWith('spill-'));
        const files = names.flatMap((name) => readdirSync(directory + '/checkpoint/' + name));
        globalThis.millraceKept.get(directory).push({ name: 'files', batchTime: 0, records: [files.length] });
      });`,
      { head: "import { readdirSync } from 'node:fs';" },
    );
    await site.finish({ executors: 2 });
    const files = site.kept.filter(({ name }) => name === 'files').map(({ records }) => records[0]);
    expect(Math.max(...(files as number[]))).toBeGreaterThan(0);
    const perKey = (counts: readonly unknown[]) => Object.fromEntries(counts as [string, number][]);
    const [first, second] = site.kept.filter(({ name }) => name === 'groups');
    const all = (count: number) =>
      Object.fromEntries(Array.from({ length: 40 }, (_, n) => [n, count]));
    expect(perKey(first?.records ?? [])).toEqual(all(2_000));
    expect(perKey(second?.records ?? [])).toEqual(all(1_000));
    expect(site.records('longest')).toHaveLength(80);
    expect(site.records('pairs')).toHaveLength(120_000);
    expect(spilled(site.checkpointDir)).toEqual([]);
  });

  it('removes its files when tasks fail, when the batch fails, and without a directory', async () => {
    const temporary = process.env['TMPDIR'];
    process.env['TMPDIR'] = site.directory;
    try {
      site.pipeline(`${WIDE}
        keep('bad', groups.map((pair) => { if (pair[0] === 7) throw new Error('no'); return pair; }));`);
      const run = await site.start({ checkpointDir: false, maxTaskFailures: 2 });
      await expect(run.context.awaitTermination()).rejects.toMatchObject({ code: 'TASK_FAILED' });
    } finally {
      process.env['TMPDIR'] = temporary;
      if (temporary === undefined) delete process.env['TMPDIR'];
    }
    expect(spilled(site.directory)).toEqual([]);
  });

  it('what a killed run has left is removed at the next start', async () => {
    site.pipeline(`keep('all', ssc.queueStream([[1]]));`);
    site.write('checkpoint/spill-old/1-0.spill', 'x');
    await site.finish();
    expect(spilled(site.checkpointDir)).toEqual([]);
  });
});

describe('tasks', () => {
  it('collect more than their region holds', async () => {
    site.pipeline(`
      const wide = ssc.queueStream([[0, 1]]).flatMap(() => Array.from({ length: 60_000 }, (_, n) => 'x'.repeat(100) + n));
      wide.foreachBatch(async (batch) => {
        const records = await batch.collect();
        const count = await batch.count();
        globalThis.millraceKept.get(directory).push(records.length, count, new Set(records).size);
      });`);
    await site.finish({ executors: 2 });
    expect(site.kept).toEqual([120_000, 120_000, 60_000]);
  });
});
