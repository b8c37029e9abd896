/** Which plots there are, and how each comes out of the kept results. Pure.
 *
 * Whiskers are the least and the greatest sample of one run; nothing is put together from runs of
 * different days. @module */
import { diskText } from '../../src/cli/bench/disk-limit.ts';
import { environmentText } from '../../src/cli/bench/environment.ts';
import { spreadOf } from '../../src/cli/bench/statistics.ts';
import type { Spread } from '../../src/cli/bench/statistics.ts';
import { isAt } from '../benchmark.ts';
import type { BenchmarkResult, PointResult } from '../harness.ts';
import type { PeersResult } from '../peers/report.ts';
import type { Bar, BarChart } from './bar-chart.ts';

export interface Plot {
  /** Of the file, without its `.svg`. */
  readonly name: string;
  /** Name of the file with the results, without its `.json`. */
  readonly result: string;
  /** Writes that file. */
  readonly command: string;
  /** @param content of the file. */
  readonly chart: (content: unknown) => BarChart;
}

const MILLIONS = { unit: 'M/s', divisor: 1e6, digits: 2 };
const MILLISECONDS = { unit: 'ms', divisor: 1, digits: 1 };

export const PLOTS: readonly Plot[] = [
  peersPlot('peers-count', 'Filter that drops nothing + count, records of 100 bytes a second'),
  peersPlot(
    'peers-filter-count',
    'Filter that drops 9 of 10 + count, records of 100 bytes a second',
  ),
  peersPlot('peers-word-count', 'Word count, lines of about 20 words a second'),
  peersPlot('peers-records', 'Log alone: appended records of 100 bytes a second'),
  peersPlot('peers-blocks', 'Log alone: bytes a second in records of 1 MiB'),
  ownPlot('pipeline-throughput', 'log-cost', {
    title: 'What the log leaves of the speed (log off: 1)',
    scale: { unit: '×', divisor: 1, digits: 2 },
    bars: (points) => points.flatMap(shareBars),
  }),
  ownPlot('pipelines', 'operators', {
    title: 'CPU time a record, log synced',
    scale: { unit: 'ns', divisor: 1, digits: 0 },
    bars: (points) =>
      points
        .filter(({ point }) => isAt(point, { wal: 'sync' }))
        .flatMap((each) =>
          metricBars(each, String(each.point['pipeline']), { cpuNsPerRecord: '' }),
        ),
  }),
  ownPlot('ack-latency', 'ack-latency', {
    title: 'An HTTP client waits until its lines are durable and registered',
    scale: MILLISECONDS,
    bars: (points) =>
      points.flatMap((each) =>
        metricBars(each, `blocks of ${each.point['blockInterval']}`, {
          latencyMsP50: `${clients(each)}, half of all answers`,
          latencyMsP99: `${clients(each)}, 99 of 100`,
        }),
      ),
  }),
  ownPlot('batch-interval', 'batch-interval', {
    title: 'Short batch intervals: delay to the start, and processing',
    scale: MILLISECONDS,
    bars: (points) =>
      points.flatMap((each) =>
        metricBars(each, `a batch every ${each.point['batchIntervalMs']} ms`, {
          delayMsMedian: 'scheduling delay, median',
          processingMsMedian: 'processing, median',
        }),
      ),
  }),
];

function peersPlot(name: string, title: string): Plot {
  const workload = name.replace('peers-', '');
  return {
    name,
    result: name,
    command: `npm run bench:peers -- --workload ${workload} --keep`,
    chart: (content) => {
      const result = content as PeersResult;
      const isLarge = result.recordBytes > 1_000;
      const bytes = { unit: 'MB/s', divisor: 1e6 / result.recordBytes, digits: 0 };
      const scale = isLarge ? bytes : MILLIONS;
      return { title, ...scale, source: sourceOf(result), bars: contestantBars(result) };
    },
  };
}

/** Ours first, each of its levels once with the samples beside all peers, then the peers. */
function contestantBars({ pairs }: PeersResult): Bar[] {
  const ours = pairs.map((pair) => pair.ours);
  const own = [...new Set(ours.map(({ name }) => name))].map((label) => {
    const same = ours.filter(({ name }) => name === label);
    const samples = same.flatMap((each) => each.samples);
    const spread = spreadOf(samples.map(({ recordsPerSecond }) => recordsPerSecond));
    return { label, note: survived(same[0]?.guarantee.survives ?? ''), spread, isOurs: true };
  });
  const peers = pairs.map(({ peer }) => ({
    label: peer.name,
    note: survived(peer.guarantee.survives),
    spread: peer.spread,
    isOurs: false,
  }));
  return [...own, ...peers];
}

function survived(survives: string): string {
  return survives === 'if read again' ? 'lost, unless read again' : `survives ${survives}`;
}

function ownPlot(
  result: string,
  name: string,
  drawn: {
    readonly title: string;
    readonly scale: Pick<BarChart, 'unit' | 'divisor' | 'digits'>;
    bars(points: readonly PointResult[]): Bar[];
  },
): Plot {
  return {
    name,
    result,
    command: `npm run bench -- --only ${result} --keep`,
    chart: (content) => {
      const kept = content as BenchmarkResult;
      const source = sourceOf(kept);
      return { title: drawn.title, ...drawn.scale, source, bars: drawn.bars(kept.points) };
    },
  };
}

/** The ratio of a point to its baseline; baselines themselves have none. */
function shareBars({ point, ratio }: PointResult): Bar[] {
  if (ratio === undefined) return [];
  const note = `batches of ${point['batchInterval']}, blocks of ${point['blockInterval']}`;
  return [{ label: `${point['pipeline']}, ${point['wal']}`, note, spread: ratio, isOurs: true }];
}

/** A bar for each named metric that was measured. @param notes by metric. */
function metricBars(
  { summary }: PointResult,
  label: string,
  notes: Readonly<Record<string, string>>,
): Bar[] {
  return Object.entries(notes).flatMap(([metric, note], index) => {
    const spread: Spread | undefined = summary[metric];
    if (spread === undefined) return [];
    return [{ label, ...(note === '' ? {} : { note }), spread, isOurs: index === 0 }];
  });
}

function clients({ point }: PointResult): string {
  return point['clients'] === 1 ? '1 client' : `${point['clients']} clients`;
}

function sourceOf({ environment, disk }: Pick<PeersResult, 'environment' | 'disk'>): string[] {
  const alone = disk[0];
  const machine = environmentText(environment);
  return alone === undefined ? [machine] : [machine, diskText(alone)];
}
