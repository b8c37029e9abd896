/** Benchmark results as text and as files. @module */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diskText } from '../src/cli/bench/disk-limit.ts';
import { environmentText } from '../src/cli/bench/environment.ts';
import type { Spread } from '../src/cli/bench/statistics.ts';
import { table } from '../src/cli/bench/text-table.ts';
import { pointName } from './benchmark.ts';
import type { Benchmark, Metric } from './benchmark.ts';
import type { BenchmarkResult, PointResult } from './harness.ts';

/** A table with a line per point: the median of each metric, its range, and the ratio. */
export function resultText(benchmark: Benchmark, result: BenchmarkResult): string {
  const { environment, disk, points, loadAtEnd } = result;
  const rows = points.map((each) => rowOf(benchmark, each));
  return [
    `${benchmark.name}: ${benchmark.question}`,
    `${environmentText(environment)}, load after ${loadAtEnd}`,
    ...disk.map(diskText),
    ...table(rows),
    '',
  ].join('\n');
}

/** What a smoke run has to say. */
export function smokeText({ benchmark, points }: BenchmarkResult): string {
  return `${benchmark}: ${points.length} of ${points.length} points work, counts are right`;
}

function rowOf(benchmark: Benchmark, { point, summary, ratio }: PointResult): string[] {
  const cells = Object.entries(benchmark.metrics).map(([name, metric]) => {
    const spread = summary[name];
    return spread === undefined ? '' : spreadText(spread, metric);
  });
  if (benchmark.baseline === undefined) return [pointName(point), ...cells];
  const isBaseline = benchmark.baseline.of(point) === undefined;
  const compared = ratio === undefined ? '' : spreadText(ratio, { unit: '×', digits: 2 });
  return [pointName(point), ...cells, isBaseline ? 'baseline' : compared];
}

/** `5.20 M records/s [4.90 … 5.31]` */
function spreadText({ min, median, max }: Spread, metric: Metric): string {
  const [low, middle, high] = [min, median, max].map((value) => numberText(value, metric));
  return `${middle} ${metric.unit} [${low} … ${high}]`;
}

export function numberText(value: number, { digits, divisor = 1 }: Metric): string {
  return (value / divisor).toFixed(digits);
}

/** Writes `<name>.json` and returns its path. Six digits are more than any clock here is worth. */
export function writeResult(directory: string, result: { readonly benchmark: string }): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${result.benchmark}.json`);
  const round = (_key: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value;
  writeFileSync(path, `${JSON.stringify(result, round, 2)}\n`);
  return path;
}
