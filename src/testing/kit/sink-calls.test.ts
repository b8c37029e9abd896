/** `to` in a run in memory: captured always, written through the sink when a test asks for it.
 * @module */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { definePipeline } from '../../dstream/pipeline.ts';
import type { PipelineDefinition } from '../../dstream/pipeline.ts';
import { sqliteSink } from '../../sinks/sqlite-sink.ts';
import { expectBatches } from './expect-batches.ts';
import { runPipeline } from './run-pipeline.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-kit-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const inputs = { 'httpTextStream-0': [['to be', 'or not to be'], [], ['be']] };
const CALL = { inputs, call: ['counts'], partitions: 1 };

function pipeline(): PipelineDefinition {
  const file = join(directory, 'out.db');
  const columns = { word: 'TEXT', n: 'INTEGER' };
  return definePipeline({ name: 'p' }, (ssc) => {
    ssc
      .httpTextStream({ port: 8080 })
      .flatMap((line) => line.split(' '))
      .mapToPair((word) => [word, 1])
      .reduceByKey((a, b) => a + b)
      .to(sqliteSink({ file, table: 't', columns, batchTimeColumn: 'at' }), { id: 'counts' });
  });
}

it('captures what reaches a sink, and leaves the sink alone', async () => {
  const run = await runPipeline(pipeline(), { inputs, partitions: 1 });
  expectBatches(run.batchesOf<[string, number]>('counts').slice(1), [[], [['be', 1]]]);
  expect(readdirSync(directory)).toEqual([]);
});

it('writes through the sink when it is called, batch by batch', async () => {
  const run = await runPipeline(pipeline(), CALL);
  expect(run.batchesOf('counts')[2]).toEqual([['be', 1]]);
  // Another run in memory repeats nothing: it adds its batches.
  await runPipeline(pipeline(), CALL);
  const db = new Database(join(directory, 'out.db'));
  const rows = db.prepare('SELECT at, word, sum(n) FROM t GROUP BY at, word').raw().all();
  db.close();
  expect(rows).toEqual([
    [1000, 'be', 4],
    [1000, 'not', 2],
    [1000, 'or', 2],
    [1000, 'to', 4],
    [3000, 'be', 2],
  ]);
});
