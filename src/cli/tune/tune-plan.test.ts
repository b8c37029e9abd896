import { describe, expect, it } from 'vitest';
import { resolveOptions } from '../../core/options.ts';
import type { PipelineOptions } from '../../core/options-types.ts';
import type { PipelineContext } from '../../dstream/pipeline-context.ts';
import { buildGraph, definePipeline } from '../../dstream/pipeline.ts';
import { sqliteSink } from '../../sinks/sqlite-sink.ts';
import { readTuneArguments } from './tune-arguments.ts';
import {
  expectedMs,
  measureMsOf,
  planTune,
  slideBatchesOf,
  timesOf,
  unfilledOf,
  warmUpMsOf,
} from './tune-plan.ts';
import type { TunePlan } from './tune-plan.ts';

type Build = (ssc: PipelineContext) => void;

interface Planned {
  readonly given?: Readonly<Record<string, unknown>>;
  readonly options?: Partial<PipelineOptions>;
  readonly cores?: number;
}

function plan(build: Build, { given = {}, options = {}, cores = 4 }: Planned = {}): TunePlan {
  const module = { name: 'p', executors: 4, ...options };
  const { arguments: read } = readTuneArguments({ operands: ['p.ts'], given });
  return planTune({
    given: read,
    graph: buildGraph(definePipeline(module, build)),
    options: resolveOptions({ module }),
    cores,
    linesFile: typeof given['lines'] === 'string' ? '/lines' : undefined,
  });
}

const MADE: Build = (ssc) => ssc.generatorStream({ receivers: 3 }).print();

describe('the settings', () => {
  it('lie around the pipeline’s own, on as many threads as there are receivers and cores', () => {
    expect(plan(MADE).axes).toEqual({
      blockIntervalsMs: [20, 50, 100, 200],
      batchIntervalsMs: [200, 500, 1_000],
      receiverExecutors: [1, 2],
      executors: [3, 4],
    });
    expect(plan(MADE).first).toMatchObject({ batchIntervalMs: 1_000, blockIntervalMs: 200 });
  });

  it('are those that were asked for', () => {
    const given = {
      blockIntervals: '10ms,50',
      batchIntervals: '100ms',
      receivers: '3',
      executors: '1,2',
    };
    const { settings } = plan(MADE, { given });
    expect(settings).toHaveLength(4);
    expect(settings[0]).toEqual({
      blockIntervalMs: 10,
      batchIntervalMs: 100,
      receiverExecutors: 3,
      executors: 1,
    });
  });

  it('have batch intervals that fit the windows', () => {
    const windowed: Build = (ssc) => ssc.generatorStream().window('3s', '1500ms').print();
    const options = { batchInterval: '500ms' };
    expect(plan(windowed, { options }).axes.batchIntervalsMs).toEqual([500]);
    const given = { batchIntervals: '1s' };
    expect(() => plan(windowed, { options, given })).toThrow(/with batches of 1s: /);
  });
});

it('knows the inputs that have receivers: those are waited for', () => {
  const two: Build = (ssc) => ssc.generatorStream().union(ssc.textFileStream('dir')).print();
  expect(plan(two).inputIds).toEqual(['generatorStream-0']);
});

it('knows when lines could stand in for the inputs', () => {
  expect(plan(MADE).takesLines).toBe(true);
  const mixed: Build = (ssc) => ssc.generatorStream().union(ssc.textFileStream('dir')).print();
  expect(plan(mixed).takesLines).toBe(false);
  expect(plan(MADE, { given: { lines: 'f' } }).takesLines).toBe(false); // they do
});

it('knows when a source cannot be the bound', () => {
  expect(plan(MADE).isSourceEndless).toBe(true);
  expect(plan(MADE, { options: { maxRate: 5 } }).isSourceEndless).toBe(false);
  const paced: Build = (ssc) => ssc.generatorStream({ recordsPerSecond: 5 }).print();
  expect(plan(paced).isSourceEndless).toBe(false);
  expect(plan(paced, { given: { lines: 'f' } }).isSourceEndless).toBe(true);
});

it('tells all that does not fit in one error', () => {
  const none: Build = (ssc) => ssc.textFileStream('dir').print();
  const given = { lines: 'f', blockIntervals: '30ms', batchIntervals: '100ms' };
  expect(() => plan(none, { given })).toThrow(/^3 things are wrong:/);
  expect(() => plan(none)).toThrow(/no input with receivers/);
});

it('has samples in which each window slides often enough to compare', () => {
  const sliding: Build = (ssc) => ssc.generatorStream().window('6s', '2s').print();
  const { times, first } = plan(sliding);
  expect(measureMsOf(times, first)).toBe(6_000);
  expect(slideBatchesOf(times, first)).toBe(2);
  const long: Build = (ssc) => ssc.generatorStream().window('2m', '1m').print();
  expect(slideBatchesOf(plan(long).times, first)).toBe(1); // would take minutes each
  expect(slideBatchesOf(plan(MADE).times, first)).toBe(1);
});

it('has samples that wait until windows are full, where the budget allows it', () => {
  const windowed: Build = (ssc) =>
    ssc
      .generatorStream()
      .window('4s', '1s')
      .map((line): [string, number] => [line, 1])
      .reduceByKeyAndWindow((a, b) => a + b, '3s', '1s')
      .print();
  const { times, first, settings } = plan(windowed, { options: { batchInterval: '500ms' } });
  const [fastest] = settings;
  expect(fastest?.batchIntervalMs).toBe(200);
  // The first record is in the window of the window for so long.
  expect(times.fillMs).toBe(6_000);
  expect(warmUpMsOf(times, first)).toBe(6_000);
  expect(unfilledOf(times, first)).toBeNull();
  const short = plan(windowed, { given: { budget: '119s' } });
  expect(warmUpMsOf(short.times, { ...first, batchIntervalMs: 200 })).toBeLessThan(1_000);
  expect(unfilledOf(short.times, first)).toMatchObject({ windowMs: 6_000, budgetMs: 120_000 });
  expect(plan(MADE).times).toMatchObject({ warmUpMs: 1_000, fillMs: 0 });
  expect(unfilledOf(plan(MADE).times, first)).toBeNull();
});

it('refuses to let a sample take a table that belongs to one checkpoint directory', () => {
  const stored: Build = (ssc) =>
    ssc
      .generatorStream()
      .map((line) => ({ line }))
      .to(sqliteSink({ file: 'f.db', table: 't', columns: { line: 'TEXT' } }), { id: 'rows' });
  const given = { withOutputs: true };
  expect(() => plan(stored, { given })).toThrow(/SQLite f\.db, table t \(rows\)/);
  expect(plan(stored).replacements.dropsOutputs).toBe(true);
  const files: Build = (ssc) => ssc.generatorStream().saveAsTextFiles('out/x');
  expect(plan(files, { given }).replacements.dropsOutputs).toBe(false);
});

it('names what takes the place of a flag of millrace run', () => {
  const operands = ['p.ts', '--batch-interval=1s', '--checkpoint'];
  const { problems } = readTuneArguments({ operands, given: {} });
  expect(problems[0]).toContain('--batch-intervals');
  expect(problems[1]).toContain('--dir');
});

it('tells all that is wrong with a call', () => {
  const given = { budget: '1', rate: 'x', blockIntervals: '1ms', json: 'f', html: 'f' };
  const { problems } = readTuneArguments({ operands: ['--wat', 'a', 'b'], given });
  expect(problems).toHaveLength(5);
  expect(readTuneArguments({ operands: [], given: {} }).problems[0]).toContain('PIPELINE');
});

it('refuses a rate above what maxRate lets in', () => {
  const options = { maxRate: 100 };
  expect(() => plan(MADE, { options, given: { rate: '301' } })).toThrow(/no more than 300/);
  expect(plan(MADE, { options, given: { rate: '300' } }).receivers).toBe(3);
});

it('takes shorter samples from a shorter budget, and longer ones of longer batches', () => {
  const setting = { blockIntervalMs: 50, batchIntervalMs: 200, receiverExecutors: 1, executors: 1 };
  const usual = timesOf(120_000);
  const long = { ...setting, batchIntervalMs: 2_000 };
  expect(expectedMs(usual, { setting })).toBeGreaterThan(expectedMs(timesOf(30_000), { setting }));
  expect(expectedMs(usual, { setting: long })).toBeGreaterThan(10_000);
});
