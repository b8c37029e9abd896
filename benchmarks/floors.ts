/** The speed that the project promises itself, and whether this machine sees it.
 *
 * A floor is a number of one point of one benchmark. The floors were set for 2 cores; on a machine
 * that is busy or smaller the ratios still mean something, the absolute numbers do not. They are in
 * no test. @module */
import { table } from '../src/cli/bench/text-table.ts';
import { batchInterval } from './batch-interval.bench.ts';
import { isAt } from './benchmark.ts';
import type { AxisValue, Benchmark } from './benchmark.ts';
import { emptyBatch } from './empty-batch.bench.ts';
import { executors } from './executors.bench.ts';
import { halfLoad } from './half-load.bench.ts';
import type { BenchmarkResult, PointResult } from './harness.ts';
import { memory } from './memory.bench.ts';
import { pipelineThroughput } from './pipeline-throughput.bench.ts';
import { prototype } from './prototype.bench.ts';
import { recovery } from './recovery.bench.ts';
import { numberText } from './report.ts';
import { startUp } from './start-up.bench.ts';
import { testStreams } from './test-streams.bench.ts';
import { walAppend } from './wal-append.bench.ts';
import { walRecords } from './wal-records.bench.ts';
import { walScan } from './wal-scan.bench.ts';
import { walShares } from './wal-shares.bench.ts';

interface Floor {
  readonly what: string;
  readonly benchmark: Benchmark;
  readonly where: Readonly<Record<string, AxisValue>>;
  /** A metric of the benchmark, or `ratio`: to the baseline of the same run. */
  readonly metric: string;
  /** In the metric's own unit, undivided. */
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** What the log leaves of the speed without it. */
const SHARES = { 'filter-count': 0.7, 'word-count': 0.95 };
const SPEED = { blockInterval: '200ms', memory: '512MiB', wal: 'sync' };
/** How much of the memory allowance a run may gain in its second half and still be called flat. */
const RISE_BYTES_MAX = 25e6;

export const FLOORS: readonly Floor[] = [
  ...['200ms', '1s'].flatMap((interval): Floor[] => {
    const count = { pipeline: 'filter-count', batchInterval: interval, ...SPEED };
    const words = { pipeline: 'word-count', batchInterval: interval, ...SPEED };
    const common = { benchmark: pipelineThroughput, metric: 'recordsPerSecond' };
    const name = `batches of ${interval}, synced log`;
    const ratio = { ...common, what: '… to the log off', metric: 'ratio' };
    return [
      { ...common, what: `filter + count, ${name}`, where: count, atLeast: 3e6 },
      { ...ratio, where: count, atLeast: SHARES['filter-count'] },
      { ...common, what: `word count, ${name}`, where: words, atLeast: 0.6e6 },
      { ...ratio, where: words, atLeast: SHARES['word-count'] },
    ];
  }),
  ...floorsOfThePrototype(),
  {
    what: 'a second task executor, word count',
    benchmark: executors,
    where: { executors: 2 },
    metric: 'ratio',
    atLeast: 1.7,
  },
  ...['filter-count', 'word-count'].flatMap((pipeline): Floor[] => {
    const where = { pipeline, batchInterval: '1s', memoryMiB: 512 };
    const common = { benchmark: memory, where };
    return [
      { ...common, what: `memory, ${pipeline}`, metric: 'overBytes', atMost: 250e6 },
      { ...common, what: `… and flat`, metric: 'riseBytes', atMost: RISE_BYTES_MAX },
    ];
  }),
  ...floorsOfShortBatches(),
  ...['fresh', 'http'].map((start) => ({
    what: `start, ${start}`,
    benchmark: startUp,
    where: { start },
    metric: 'startMs',
    atMost: 500,
  })),
  {
    what: 'recovery of 1 GiB, records of 1,000 bytes',
    benchmark: recovery,
    where: { leftMiB: 1024, recordBytes: 1_000 },
    metric: 'bytesPerSecond',
    atLeast: 2 ** 29,
  },
  {
    what: 'ack at half load, to block interval + 5 disk syncs',
    benchmark: halfLoad,
    where: { blockIntervalMs: 5 },
    metric: 'ofAllowance',
    atMost: 1,
  },
  ...['map', 'countByValue', 'join'].map((operator) => ({
    what: `test streams, ${operator}`,
    benchmark: testStreams,
    where: { operator },
    metric: 'streamsPerSecond',
    atLeast: 1_000,
  })),
  ...floorsOfTheLog(),
];

/** Batches of 10 ms: empty ones, and whether they keep up. */
function floorsOfShortBatches(): Floor[] {
  const stable = { benchmark: batchInterval, where: { batchIntervalMs: 10 } };
  return [
    {
      what: 'empty batch, every 10 ms',
      benchmark: emptyBatch,
      where: { batchInterval: '10ms' },
      metric: 'driverCpuMs',
      atMost: 1,
    },
    { ...stable, what: 'batches of 10 ms: delay', metric: 'growthMs', atMost: 10 },
    { ...stable, what: '… and none is left out', metric: 'keptShare', atLeast: 0.98 },
  ];
}

/** Where absolute speed is the machine's, the barest program tells what could be had on it. */
function floorsOfThePrototype(): Floor[] {
  const shares = { 'filter-count': 0.75, 'word-count': 0.9 };
  return Object.entries(shares).map(([pipeline, atLeast]) => ({
    what: `${pipeline}, synced log, to the bare prototype`,
    benchmark: prototype,
    where: { pipeline, wal: 'sync', program: 'engine' },
    metric: 'ratio',
    atLeast,
  }));
}

/** The log alone, on its disk thread. */
function floorsOfTheLog(): Floor[] {
  const onThread = { disk: 'thread', pool: 'idle' };
  const blocks = { record: '1MiB-slot', outstanding: 8, ...onThread };
  const single = { record: '4KiB', outstanding: 1, ...onThread };
  const shares = { benchmark: walShares, where: { record: '1MiB-slot' } };
  return [
    {
      what: 'log of 1 MiB blocks, synced, to overwriting alone',
      benchmark: walAppend,
      where: blocks,
      metric: 'ofDisk',
      atLeast: 0.6,
    },
    {
      what: 'append of 4 KiB to durable, to the disk’s own sync', // half as fast: twice as long
      benchmark: walAppend,
      where: single,
      metric: 'ofDisk',
      atLeast: 0.5,
    },
    {
      what: 'records of 100 bytes, acknowledged one by one',
      benchmark: walRecords,
      where: { outstanding: 10_000, disk: 'thread' },
      metric: 'recordsPerSecond',
      atLeast: 2.7e6,
    },
    { ...shares, what: 'CRC of blocks', metric: 'crcBytesPerSecond', atLeast: 4e9 },
    { ...shares, what: 'framing of blocks', metric: 'framingShare', atMost: 0.02 },
    ...['1MiB', '4KiB'].map((record) => ({
      what: `scan of a log of ${record} records`,
      benchmark: walScan,
      where: { record, disk: 'thread' },
      metric: 'bytesPerSecond',
      atLeast: 2 ** 30,
    })),
  ];
}

/** The benchmarks that the floors need, each once. */
export function benchmarksOfFloors(): Benchmark[] {
  return [...new Set(FLOORS.map(({ benchmark }) => benchmark))];
}

/** Whether a point has to be measured: for a floor, or as the baseline of one. */
export function isNeeded(
  benchmark: Benchmark,
  point: Readonly<Record<string, AxisValue>>,
): boolean {
  return FLOORS.some((floor) => {
    if (floor.benchmark !== benchmark) return false;
    if (isAt(point, floor.where)) return true;
    const base = benchmark.baseline?.of(floor.where);
    return floor.metric === 'ratio' && base !== undefined && isAt(point, base);
  });
}

export interface FloorsReport {
  readonly text: string;
  readonly isMet: boolean;
}

/** A line per floor: what is wanted, the median, whether that is met, and the command. */
export function floorsReport(results: ReadonlyMap<string, BenchmarkResult>): FloorsReport {
  let isMet = true;
  const rows = FLOORS.map((floor) => {
    const measured = medianOf(floor, results.get(floor.benchmark.name)?.points ?? []);
    const verdict = verdictOf(floor, measured);
    if (verdict !== 'met') isMet = false;
    const shown = measured === undefined ? 'not measured' : shownValue(floor, measured);
    return [floor.what, wantedText(floor), shown, verdict, commandOf(floor)];
  });
  const head = ['floor', 'wanted', 'measured', '', 'command'];
  return { text: table([head, ...rows]).join('\n'), isMet };
}

function medianOf(floor: Floor, points: readonly PointResult[]): number | undefined {
  const found = points.find(({ point }) => isAt(point, floor.where));
  const spread = floor.metric === 'ratio' ? found?.ratio : found?.summary[floor.metric];
  return spread?.median;
}

function verdictOf(floor: Floor, value: number | undefined): 'met' | 'NOT MET' | '' {
  if (value === undefined) return '';
  const { atLeast = -Infinity, atMost = Infinity } = floor;
  return value >= atLeast && value <= atMost ? 'met' : 'NOT MET';
}

function wantedText(floor: Floor): string {
  const { atLeast, atMost } = floor;
  return atLeast === undefined
    ? `≤ ${shownValue(floor, atMost ?? Infinity)}`
    : `≥ ${shownValue(floor, atLeast)}`;
}

function shownValue({ benchmark, metric }: Floor, value: number): string {
  if (metric === 'ratio') return value.toFixed(2);
  const form = benchmark.metrics[metric];
  if (form === undefined) throw new Error(`${benchmark.name} does not measure ${metric}`);
  return `${numberText(value, form)} ${form.unit}`;
}

function commandOf({ benchmark, where, metric }: Floor): string {
  const wanted = metric === 'ratio' ? withBaseline(benchmark, where) : where;
  const points = Object.entries(wanted).map(([name, value]) => `${name}=${value}`);
  const narrowed = points.length === 0 ? '' : ` --where ${points.join(',')}`;
  const minutes = benchmark === memory ? ' --minutes 10' : '';
  return `npm run bench -- --only ${benchmark.name}${narrowed}${minutes}`;
}

/** A ratio needs the baseline too: what it differs in is left open. */
function withBaseline({ baseline }: Benchmark, where: Floor['where']): Floor['where'] {
  const base = baseline?.of(where) ?? where;
  return Object.fromEntries(Object.entries(where).filter(([name, value]) => base[name] === value));
}
