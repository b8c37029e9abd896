/** `npm run bench` and `npm run bench:smoke`: which benchmarks, which points, how long.
 *
 * Tables go to standard output, progress to standard error, raw numbers to results/. A smoke run
 * writes nothing and judges nothing but that everything works and every count is right.
 * @module */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ackLatency } from './ack-latency.bench.ts';
import { batchInterval } from './batch-interval.bench.ts';
import { isAt, pointsOf } from './benchmark.ts';
import type { Benchmark, Point } from './benchmark.ts';
import { emptyBatch } from './empty-batch.bench.ts';
import { executors } from './executors.bench.ts';
import { benchmarksOfFloors, floorsReport, isNeeded } from './floors.ts';
import { halfLoad } from './half-load.bench.ts';
import { runBenchmark } from './harness.ts';
import type { BenchmarkResult, RunOptions } from './harness.ts';
import { inverseWindow } from './inverse-window.bench.ts';
import { keyedState } from './keyed-state.bench.ts';
import { memory } from './memory.bench.ts';
import { pipelineThroughput } from './pipeline-throughput.bench.ts';
import { pipelines } from './pipelines.bench.ts';
import { prototype } from './prototype.bench.ts';
import { recovery } from './recovery.bench.ts';
import { resultText, smokeText, writeResult } from './report.ts';
import { startUp } from './start-up.bench.ts';
import { storageLevel } from './storage-level.bench.ts';
import { testStreams } from './test-streams.bench.ts';
import { walAppend } from './wal-append.bench.ts';
import { walRecords } from './wal-records.bench.ts';
import { walScan } from './wal-scan.bench.ts';
import { walShares } from './wal-shares.bench.ts';

const ALL: readonly Benchmark[] = [
  pipelineThroughput,
  pipelines,
  prototype,
  walAppend,
  walRecords,
  walScan,
  walShares,
  ackLatency,
  halfLoad,
  startUp,
  recovery,
  emptyBatch,
  batchInterval,
  executors,
  memory,
  storageLevel,
  testStreams,
  keyedState,
  inverseWindow,
];
const RESULTS = fileURLToPath(new URL('results/', import.meta.url));
const SMOKE_SECONDS = 1;

const USAGE = `npm run bench -- [NAME …] [options]
  NAME                only this benchmark (or --only NAME). There are:
                      ${ALL.map(({ name }) => name).join(', ')}
  --where A=V,B=W     only points with these values of their axes
  --repetitions N     samples of each point
  --seconds N         length of a sample
  --minutes N         length of a sample of the memory benchmark
  --floors            only what the floors need, then a table: wanted, measured, met or not
  --dir DIR           where to write logs, in a folder scratch (default: benchmarks/results)
  --keep              write the raw numbers to benchmarks/results/
  --smoke             everything once, tiny: does it work, are the counts right?`;

interface Choice {
  readonly only: readonly string[];
  readonly where: Readonly<Record<string, string>>;
  readonly repetitions: number | undefined;
  readonly seconds: number | undefined;
  readonly minutes: number | undefined;
  readonly isFloors: boolean;
  readonly isSmoke: boolean;
  readonly isKept: boolean;
  readonly scratch: string;
}

function readArguments(): Choice {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      where: { type: 'string', default: '' },
      repetitions: { type: 'string' },
      seconds: { type: 'string' },
      minutes: { type: 'string' },
      floors: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      dir: { type: 'string' },
    },
  });
  const only = [...positionals, ...values.only];
  const unknown = only.filter((name) => !ALL.some((each) => each.name === name));
  if (unknown.length > 0) throw new Error(`there is no benchmark ${unknown.join(', ')}`);
  const pairs = values.where.split(',').filter((pair) => pair !== '');
  return {
    only,
    where: Object.fromEntries(pairs.map((pair) => pair.split('=', 2) as [string, string])),
    repetitions: positive('repetitions', values.repetitions),
    seconds: positive('seconds', values.seconds),
    minutes: positive('minutes', values.minutes),
    isFloors: values.floors,
    isSmoke: values.smoke,
    isKept: values.keep,
    scratch: join(values.dir ?? RESULTS, 'scratch'), // removed in the end, so a folder of its own
  };
}

function argumentsOrUsage(): Choice | undefined {
  try {
    return readArguments();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

function positive(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} ${text} is not a number above 0`);
  return value;
}

function pointsFor(benchmark: Benchmark, choice: Choice): Point[] {
  return pointsOf(benchmark, choice).filter(
    (point) => isAt(point, choice.where) && (!choice.isFloors || isNeeded(benchmark, point)),
  );
}

function optionsFor(benchmark: Benchmark, choice: Choice): Omit<RunOptions, 'onSample'> {
  const { isSmoke, scratch, minutes } = choice;
  const points = pointsFor(benchmark, choice);
  if (isSmoke) return { points, repetitions: 1, seconds: SMOKE_SECONDS, isSmoke, scratch };
  const ofMemory = minutes === undefined || benchmark !== memory ? undefined : minutes * 60;
  return {
    points,
    repetitions: choice.repetitions ?? benchmark.repetitions ?? 3,
    seconds: ofMemory ?? choice.seconds ?? benchmark.seconds,
    isSmoke,
    scratch,
  };
}

async function main(choice: Choice): Promise<void> {
  const candidates = choice.isFloors ? benchmarksOfFloors() : ALL;
  const results = new Map<string, BenchmarkResult>();
  for (const benchmark of candidates) {
    if (choice.only.length > 0 && !choice.only.includes(benchmark.name)) continue;
    const options = optionsFor(benchmark, choice);
    if (options.points.length === 0) continue;
    const result = await runBenchmark(benchmark, {
      ...options,
      onSample: (text) => console.error(text),
    });
    results.set(benchmark.name, result);
    // A second of a cold engine says nothing about its speed.
    console.log(choice.isSmoke ? smokeText(result) : resultText(benchmark, result));
    if (choice.isKept && !choice.isSmoke) console.error(`${writeResult(RESULTS, result)} written`);
  }
  if (results.size === 0) throw new Error('no point of any benchmark is meant by these options');
  if (!choice.isFloors) return;
  const { text, isMet } = floorsReport(results);
  console.log(text);
  if (!isMet) process.exitCode = 1;
}

if (process.argv.includes('--help')) console.log(USAGE);
else {
  const choice = argumentsOrUsage();
  try {
    if (choice !== undefined) await main(choice);
  } finally {
    if (choice !== undefined) rmSync(choice.scratch, { recursive: true, force: true });
  }
}
