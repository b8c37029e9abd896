/** @module */
import { describe, expect, it } from 'vitest';
import { millraceFailure } from '../../../test/support/millrace-failure.ts';
import type { Batch } from '../../dstream/batch.ts';
import { definePipeline } from '../../dstream/pipeline.ts';
import type { BuildPipeline, PipelineDefinition } from '../../dstream/pipeline.ts';
import { Receiver } from '../../dstream/receiver.ts';
import { ManualClock } from './manual-clock.ts';
import { runPipeline } from './run-pipeline.ts';
import type { RunPipelineOptions } from './run-pipeline.ts';

const opened: string[] = [];

class Lines extends Receiver<string> {
  override onStart(): void {
    opened.push('receiver');
  }
  override onStop(): void {}
}

const wordCount = definePipeline({ name: 'wordcount', batchInterval: '500ms' }, (ssc) => {
  const lines = ssc.httpTextStream({ port: 8080 });
  const counts = lines
    .flatMap((line) => line.split(' '))
    .mapToPair((word) => [word, 1])
    .reduceByKey((a, b) => a + b);
  counts.print(2);
  counts.saveAsTextFiles('/nowhere/counts');
  counts.saveAsJsonFiles('/nowhere/json', undefined, { id: 'json' });
});

function pipelineOf(build: BuildPipeline): PipelineDefinition {
  return definePipeline({ name: 'p' }, build);
}

describe('runPipeline', () => {
  it('gives what each output got, by batch', async () => {
    const inputs = { 'httpTextStream-0': [['to be', 'or not to be'], [], ['be']] };
    const run = await runPipeline(wordCount, { inputs, partitions: 1 });
    expect(run.outputIds).toEqual(['print-0', 'saveAsTextFiles-0', 'json']);
    const first = [
      ['to', 2],
      ['be', 2],
      ['or', 1],
      ['not', 1],
    ];
    expect(run.batchesOf('print-0')).toEqual([first, [], [['be', 1]]]);
    expect(run.batchesOf('json')).toEqual(run.batchesOf('print-0'));
    expect(run.partitionsOf('print-0')).toEqual([[first], [[]], [[['be', 1]]]]);
    expect(run.linesOf('print-0')).toEqual([['(to,2)', '(be,2)', '...'], [], ['(be,1)']]);
    const texts = ['(to,2)', '(be,2)', '(or,1)', '(not,1)'];
    expect(run.linesOf('saveAsTextFiles-0')).toEqual([texts, [], ['(be,1)']]);
    expect(run.linesOf('json')[2]).toEqual(['["be",1]']);
    expect(run.batchTimes).toEqual([500, 1000, 1500]);
  });

  it('takes a module, also one that is compiled to CommonJS, and a promise of it', async () => {
    const options = { batches: 1 };
    for (const module of [
      wordCount,
      { default: wordCount },
      { default: { default: wordCount } } as unknown as PipelineDefinition,
      Promise.resolve({ default: wordCount }),
    ]) {
      expect((await runPipeline(module, options)).batchesOf('json')).toEqual([[]]);
    }
  });

  it('opens no input, whatever it is', async () => {
    const pipeline = pipelineOf((ssc) => {
      const all = ssc.union([
        ssc.receiverStream(() => {
          opened.push('factory');
          return new Lines();
        }),
        ssc.socketTextStream('nowhere.invalid', 1),
        ssc.textFileStream('/nowhere', { id: 'files' }),
        ssc.generatorStream(),
        ssc.httpTextStream({ port: 1 }),
      ]);
      all.print(10, { id: 'all' });
    });
    const run = await runPipeline(pipeline, {
      inputs: { files: [['f'], ['g']], 'generatorStream-0': [['w1']], 'receiverStream-0': [['r']] },
    });
    expect(run.batchesOf('all')).toEqual([['r', 'f', 'w1'], ['g']]);
    expect(opened).toEqual([]);
  });

  it('leaves a queue its own records, dealt as in an engine, or replaces them', async () => {
    const pipeline = pipelineOf((ssc) => {
      ssc.queueStream([[1, 2, 3], [4]]).print(9, { id: 'out' });
    });
    const own = await runPipeline(pipeline, {});
    expect(own.partitionsOf('out')).toEqual([
      [[1, 3], [2]],
      [[4], []],
    ]);
    const longer = await runPipeline(pipeline, { batches: 3 });
    expect(longer.batchesOf('out')).toEqual([[1, 3, 2], [4], []]);
    const other = await runPipeline(pipeline, { inputs: { 'queueStream-0': [[7, 8, 9]] } });
    expect(other.partitionsOf('out')).toEqual([[[7], [8, 9]]]);
  });

  it('runs on the grid of its clock, and moves it', async () => {
    const clock = new ManualClock(10_250);
    const one = await runPipeline(wordCount, { batches: 2, clock });
    expect(one.batchTimes).toEqual([10_500, 11_000]);
    expect(clock.wallMs()).toBe(11_000);
    const two = await runPipeline(wordCount, { batches: 1, clock });
    expect(two.batchTimes).toEqual([11_500]);
  });

  it('computes a shuffle once for all outputs that read it', async () => {
    let calls = 0;
    const pipeline = pipelineOf((ssc) => {
      const pairs = ssc.queueStream([['a', 'a', 'b']]).mapToPair((word) => {
        calls += 1;
        return [word, 1];
      });
      const sums = pairs.reduceByKey((a, b) => a + b);
      sums.print(1);
      sums.count().print();
    });
    const run = await runPipeline(pipeline, {});
    expect(run.batchesOf('print-1')).toEqual([[2]]);
    expect(calls).toBe(3);
  });
});

describe('functions of outputs', () => {
  it('are called when the test says so', async () => {
    const seen: unknown[] = [];
    const pipeline = pipelineOf((ssc) => {
      const numbers = ssc.queueStream([[1, 2, 3], []]);
      numbers.foreachBatch(async (batch, { batchTime }) => {
        const all = [await batch.collect(), await batch.count(), await batch.take(2)];
        seen.push([batchTime, ...all]);
      });
      numbers.foreachPartition((records, info) => {
        seen.push([info.partition, [...records]]);
      });
    });
    const silent = await runPipeline(pipeline, {});
    expect(seen).toEqual([]);
    expect(silent.batchesOf('foreachPartition-0')).toEqual([[1, 3, 2], []]);
    const call = ['foreachBatch-0', 'foreachPartition-0'];
    const run = await runPipeline(pipeline, { call, partitions: 1 });
    expect(run.batchesOf('foreachBatch-0')).toEqual([[1, 2, 3], []]);
    expect(seen).toEqual([
      [1000, [1, 2, 3], 3, [1, 2]],
      [0, [1, 2, 3]],
      [2000, [], 0, []],
      [0, []],
    ]);
  });

  it('fail with the error of the function, and cannot read their batch afterwards', async () => {
    const broken = new Error('database');
    let kept: Batch<number> | undefined;
    const pipeline = pipelineOf((ssc) => {
      const numbers = ssc.queueStream([[1]]);
      numbers.foreachBatch(
        () => {
          throw broken;
        },
        { id: 'fails' },
      );
      numbers.foreachBatch(
        (batch) => {
          kept = batch;
        },
        { id: 'late' },
      );
      numbers.foreachPartition(
        () => {
          throw broken;
        },
        { id: 'part' },
      );
    });
    const failure = await millraceFailure(runPipeline(pipeline, { call: ['fails'] }));
    expect(failure).toMatchObject({ code: 'OUTPUT_FAILED', cause: broken });
    expect(failure.message).toBe('batch 1000: the function given to fails failed: database');
    const part = await millraceFailure(runPipeline(pipeline, { call: ['part'] }));
    expect(part).toMatchObject({ code: 'TASK_FAILED', cause: broken });
    await runPipeline(pipeline, { call: ['late'] });
    const reading = kept?.count() ?? Promise.resolve();
    expect(await millraceFailure(reading)).toMatchObject({ code: 'CONTEXT_STATE' });
  });
});

describe('wrong use', () => {
  const one: RunPipelineOptions = { batches: 1 };
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['no pipeline', () => runPipeline({} as never, one), /give what definePipeline returned/],
    ['a path', () => runPipeline('./p.ts' as never, one), /runPipeline\(import\('\.\/pipeline/],
    ['no batches', () => runPipeline(wordCount), /no batch to run: give inputs/],
    [
      'an input that there is not',
      () => runPipeline(wordCount, { inputs: { http: [[]] } }),
      /no input "http"; its inputs are httpTextStream-0/,
    ],
    [
      'records without batches',
      () => runPipeline(wordCount, { inputs: { 'httpTextStream-0': ['a'] as never } }),
      /inputs\.httpTextStream-0 must be an array with an array of records for each batch/,
    ],
    [
      'inputs that are none',
      () => runPipeline(wordCount, { inputs: 1 as never }),
      /must be an obj/,
    ],
    ['a clock that is none', () => runPipeline(wordCount, { ...one, clock: 1 as never }), /clock/],
    [
      'an unknown option',
      () => runPipeline(wordCount, { ...one, seed: 1 } as never),
      /no option s/,
    ],
    [
      'a call of what has no function',
      () => runPipeline(wordCount, { ...one, call: ['print-0'] }),
      /call names "print-0", but only foreachBatch.*\(there are none\)/,
    ],
  ])('%s: one clear error', async (_, call, message) => {
    const failure = await millraceFailure(call());
    expect(failure.message).toMatch(message);
    expect(failure.message).toMatch(/^runPipeline: /);
    expect(failure.exitCode).toBe(64);
  });

  it('a wrong option of the pipeline is told as by an engine', async () => {
    const failure = await millraceFailure(
      runPipeline(
        definePipeline({ name: 'p', batchInterval: 1 }, () => {}),
        one,
      ),
    );
    expect(failure.message).toMatch(/^wrong option: batchInterval/);
  });

  it('an output that there is not, and lines of one that makes none', async () => {
    const run = await runPipeline(
      pipelineOf((ssc) => ssc.queueStream([[1]]).foreachBatch(() => undefined)),
      {},
    );
    expect(() => run.batchesOf('print-0')).toThrow(/no output "print-0"; .* are foreachBatch-0/);
    expect(() => run.linesOf('foreachBatch-0')).toThrow(/makes no lines: it is a foreachBatch/);
  });

  it('a record that cannot be packed is named', async () => {
    const failure = await millraceFailure(
      runPipeline(wordCount, { inputs: { 'httpTextStream-0': [[], ['a', () => 1]] } }),
    );
    expect(failure.message).toContain('runPipeline: record 1 of batch 1 of httpTextStream-0');
  });
});
