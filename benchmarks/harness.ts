/** Runs a benchmark in rounds over all its points (src/cli/bench/rounds.ts), and compares within a
 * round only.
 *
 * Owns the scratch directory of each sample. A sample that fails ends the run: a benchmark that
 * cannot count right has nothing to say about speed. @module */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { measureDiskLimit } from '../src/cli/bench/disk-limit.ts';
import type { DiskLimit } from '../src/cli/bench/disk-limit.ts';
import { loadAverage, readEnvironment } from '../src/cli/bench/environment.ts';
import type { Environment } from '../src/cli/bench/environment.ts';
import { inRound } from '../src/cli/bench/rounds.ts';
import { spreadOf } from '../src/cli/bench/statistics.ts';
import type { Spread } from '../src/cli/bench/statistics.ts';
import { pointName } from './benchmark.ts';
import type { Benchmark, Point, Sample } from './benchmark.ts';

export interface PointResult {
  readonly point: Point;
  /** In the order in which they were taken. */
  readonly samples: readonly Sample[];
  readonly summary: Readonly<Record<string, Spread>>;
  /** To the baseline, each sample to the one of its own round. */
  readonly ratio?: Spread;
}

export interface BenchmarkResult {
  readonly benchmark: string;
  readonly question: string;
  readonly environment: Environment;
  /** Of the disk under the scratch directory, before the first and after the last sample. */
  readonly disk: readonly DiskLimit[];
  /** One minute's load average after the last sample; it counts the benchmark itself. */
  readonly loadAtEnd: number;
  readonly points: readonly PointResult[];
}

export interface RunOptions {
  readonly points: readonly Point[];
  readonly repetitions: number;
  readonly seconds: number;
  readonly isSmoke: boolean;
  /** Where samples may write; made and removed as needed. */
  readonly scratch: string;
  /** Hears of each sample, for a progress line. */
  readonly onSample: (text: string) => void;
}

export async function runBenchmark(
  benchmark: Benchmark,
  options: RunOptions,
): Promise<BenchmarkResult> {
  const { points, repetitions, isSmoke, scratch } = options;
  mkdirSync(scratch, { recursive: true });
  const environment = await readEnvironment(scratch);
  const disk = [await measureDiskLimit(scratch, { isSmoke })];
  const samples = new Map<string, Sample[]>(points.map((point) => [pointName(point), []]));
  for (let round = 0; round < repetitions; round += 1) {
    for (const point of inRound(points, round)) {
      const name = pointName(point);
      options.onSample(`${benchmark.name} ${round + 1}/${repetitions} ${name}`);
      samples.get(name)?.push(await takeSample(benchmark, point, options));
    }
  }
  if (!isSmoke) disk.push(await measureDiskLimit(scratch, { isSmoke }));
  return {
    benchmark: benchmark.name,
    question: benchmark.question,
    environment,
    disk,
    loadAtEnd: loadAverage(),
    points: points.map((point) => summarize(benchmark, point, samples)),
  };
}

async function takeSample(
  benchmark: Benchmark,
  point: Point,
  { seconds, isSmoke, scratch }: RunOptions,
): Promise<Sample> {
  const directory = join(scratch, benchmark.name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  try {
    return await benchmark.measure(point, { directory, seconds, isSmoke });
  } catch (error) {
    throw new Error(`${benchmark.name} at ${pointName(point)} failed`, { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function summarize(
  benchmark: Benchmark,
  point: Point,
  all: ReadonlyMap<string, readonly Sample[]>,
): PointResult {
  const samples = all.get(pointName(point)) ?? [];
  const summary: Record<string, Spread> = {};
  for (const metric of Object.keys(benchmark.metrics)) {
    const values = samples.flatMap((sample) => sample[metric] ?? []);
    if (values.length > 0) summary[metric] = spreadOf(values);
  }
  const ratios = ratiosOf(benchmark, point, all);
  return {
    point,
    samples,
    summary,
    ...(ratios.length === 0 ? {} : { ratio: spreadOf(ratios) }),
  };
}

function ratiosOf(
  { baseline }: Benchmark,
  point: Point,
  all: ReadonlyMap<string, readonly Sample[]>,
): number[] {
  const base = baseline?.of(point);
  if (baseline === undefined || base === undefined) return [];
  const baseSamples = all.get(pointName(base)) ?? [];
  return (all.get(pointName(point)) ?? []).flatMap((sample, round) => {
    const value = sample[baseline.metric];
    const baseValue = baseSamples[round]?.[baseline.metric];
    return value === undefined || baseValue === undefined ? [] : [value / baseValue];
  });
}
