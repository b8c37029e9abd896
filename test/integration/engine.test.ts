/** Operators and outputs of whole pipelines, on real threads. Needs a built dist/.
 * @module */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLines } from '../support/batch-output.ts';
import { EXECUTORS, inlineResults, OPERATOR_CASES } from '../support/operator-cases.ts';
import { failureOf, PipelineSite } from '../support/pipeline-site.ts';

let site: PipelineSite;
beforeEach(() => {
  site = new PipelineSite();
});
afterEach(() => site.close());

describe('operators', () => {
  it.each(Object.entries(OPERATOR_CASES))('%s: as the test kit', async (_, build) => {
    site.pipeline(`(${String(build)})(ssc, keep);`, { options: { executors: EXECUTORS } });
    await site.finish();
    const times = [...new Set(site.kept.map(({ batchTime }) => batchTime))].sort((a, b) => a - b);
    const expected = await inlineResults(build, times.length);
    expect(times.length).toBeGreaterThan(0);
    for (const [name, batches] of expected) {
      const kept = site.kept.filter((each) => each.name === name).map(({ records }) => records);
      expect(kept, name).toEqual(batches);
    }
    const names = new Set(site.kept.map(({ name }) => name));
    expect([...names].toSorted()).toEqual([...expected.keys()].toSorted());
  });
});

describe('print', () => {
  it('writes a head with the batch time, the first records as text, and dots for more', async () => {
    site.pipeline(`
      const records = ssc.queueStream([[['a', 1], 'zwei', { n: 3 }, 4], []]);
      records.repartition(1).print(3);
      records.count().print();`);
    const run = await site.finish({ executors: 2 });
    const [first, second] = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
    const line = '-------------------------------------------';
    const head = (time: number | undefined) => [line, `Time: ${time} ms`, line];
    expect(run.printed).toEqual([
      ...head(first),
      '(a,1)',
      '{"n":3}',
      'zwei',
      '...',
      '',
      ...head(first),
      '4',
      '',
      ...head(second),
      '',
      ...head(second),
      '0',
      '',
    ]);
  });
});

describe('foreachBatch', () => {
  it('reads a batch in several ways, each as often as it likes', async () => {
    site.pipeline(`
      const numbers = ssc.queueStream([[1, 2, 3, 4, 5], []]).map((n) => n * n);
      numbers.foreachBatch(async (batch, info) => {
        const records = [
          await batch.count(), await batch.take(2), await batch.take(0), await batch.take(99),
          await batch.collect(), await batch.count(),
        ];
        globalThis.millraceKept.get(directory).push({ name: 'all', ...info, records });
      });`);
    const run = await site.finish({ executors: 2 });
    const all = [1, 9, 25, 4, 16];
    expect(site.kept.map(({ records }) => records)).toEqual([
      [5, [1, 9], [], all, all, 5],
      [0, [], [], [], [], 0],
    ]);
    const times = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
    expect(site.kept.map(({ batchTime }) => batchTime)).toEqual(times);
  });

  it('refuses to read a batch after the function has returned', async () => {
    site.pipeline(`
      ssc.queueStream([[1]]).foreachBatch((batch) => {
        globalThis.millraceKept.get(directory).push(batch);
      });`);
    await site.finish();
    const [batch] = site.kept as unknown as {
      collect(): Promise<unknown>;
      count(): Promise<number>;
    }[];
    const expected = {
      code: 'CONTEXT_STATE',
      message: expect.stringContaining('foreachBatch-0'),
    };
    expect(await failureOf(batch!.collect())).toMatchObject(expected);
    expect(await failureOf(batch!.count())).toMatchObject(expected);
  });

  it('waits for the promise before the next batch', async () => {
    site.pipeline(`
      ssc.queueStream([[1], [2]]).foreachBatch(async (batch) => {
        const kept = globalThis.millraceKept.get(directory);
        const [n] = await batch.collect();
        kept.push(n);
        await new Promise((resolve) => setTimeout(resolve, 80));
        kept.push(-n);
      });`);
    await site.finish();
    expect(site.kept).toEqual([1, -1, 2, -2]);
  });
});

describe('outputs of executors', () => {
  it('foreachPartition gets every partition, the empty ones too, with its place', async () => {
    const out = site.path('seen.jsonl');
    site.pipeline(
      `ssc.queueStream([['a', 'b', 'c'], []]).repartition(2).foreachPartition(async (records, info) => {
        await Promise.resolve();
        appendFileSync(${JSON.stringify(out)}, JSON.stringify([info, [...records]]) + '\\n');
      });`,
      { head: "import { appendFileSync } from 'node:fs';" },
    );
    const run = await site.finish({ executors: 2 });
    const [first, second] = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    expect(lines.toSorted()).toEqual(
      [
        [{ batchTime: first, partition: 0 }, ['a']],
        [{ batchTime: first, partition: 1 }, ['c', 'b']],
        [{ batchTime: second, partition: 0 }, []],
        [{ batchTime: second, partition: 1 }, []],
      ].map((each) => JSON.stringify(each)),
    );
  });

  it('saveAsTextFiles and saveAsJsonFiles write whole directories, one a batch', async () => {
    site.pipeline(`
      const records = ssc.queueStream([[['a', 1], 'b\\nc', { n: [1, null] }], []]);
      records.saveAsTextFiles(directory + '/text/batch');
      records.saveAsJsonFiles(directory + '/json/batch', 'json');`);
    const run = await site.finish({ executors: 1 });
    const times = run.of('batch-completed').map(({ batchTimeMs }) => batchTimeMs);
    expect(readdirSync(site.path('text'))).toEqual(times.map((time) => `batch-${time}`));
    expect(readdirSync(site.path('json'))).toEqual(times.map((time) => `batch-${time}.json`));
    const text = site.path('text', `batch-${times[0]}`, 'part-00000');
    expect(readFileSync(text, 'utf8')).toBe('(a,1)\nb\nc\n{"n":[1,null]}\n');
    const json = site.path('json', `batch-${times[0]}.json`);
    expect(readFileSync(`${json}/part-00000`, 'utf8')).toBe('["a",1]\n"b\\nc"\n{"n":[1,null]}\n');
    expect(readdirSync(json)).toEqual(['_SUCCESS', 'part-00000']);
    expect(readdirSync(site.path('text', `batch-${times[1]}`))).toContain('_SUCCESS');
  });

  it('a relative prefix means the working directory of the process', async () => {
    const prefix = `relative-${process.pid}`;
    site.pipeline(`ssc.queueStream([['x']]).saveAsTextFiles(${JSON.stringify(`${prefix}/out`)});`);
    const before = process.cwd();
    process.chdir(site.directory);
    try {
      await site.finish();
    } finally {
      process.chdir(before);
    }
    expect(readLines(site.path(prefix, 'out'))).toEqual(['x']);
  });
});
