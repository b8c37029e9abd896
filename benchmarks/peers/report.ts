/** What a run of the peers says: one table, its notes, and the raw numbers. Pure. @module */
import { diskText } from '../../src/cli/bench/disk-limit.ts';
import type { DiskLimit } from '../../src/cli/bench/disk-limit.ts';
import { environmentText } from '../../src/cli/bench/environment.ts';
import type { Environment } from '../../src/cli/bench/environment.ts';
import { spreadOf } from '../../src/cli/bench/statistics.ts';
import type { Spread } from '../../src/cli/bench/statistics.ts';
import { table } from '../../src/cli/bench/text-table.ts';
import type { PairResult } from './pairs.ts';
import type { SampleLength, Workload } from './peer.ts';

export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

export interface PeersResult {
  /** Of the file in results/. */
  readonly benchmark: string;
  readonly workload: Workload;
  readonly environment: Environment;
  /** Before the first and after the last sample. */
  readonly disk: readonly DiskLimit[];
  readonly loadAtEnd: number;
  readonly repetitions: number;
  readonly sample: SampleLength;
  /** Bytes of a record. */
  readonly recordBytes: number;
  readonly pairs: readonly PairResult[];
}

const HEAD = [
  'workload',
  'peer',
  'peer’s rate',
  'of the disk',
  'ours beside it',
  'of the disk',
  'ours / peer',
  'survived by the peer’s',
  'by ours',
];

/** All workloads of one run. A second of a cold peer says nothing about its speed: a smoke run
 * tells only that all counts are right. */
export function peersText(
  results: readonly PeersResult[],
  skipped: readonly Skipped[],
  { isSmoke }: { readonly isSmoke: boolean },
): string {
  const absent = skipped.map(({ name, reason }) => `skipped: ${name} ${reason}`);
  if (isSmoke) return [...results.map(smokeLine), ...absent].join('\n');
  const rows = results.flatMap((result) => result.pairs.map((pair) => rowOf(result, pair)));
  return [
    ...results.flatMap(({ workload, environment, disk, loadAtEnd }) => [
      `${workload}: ${environmentText(environment)}, load after ${loadAtEnd}`,
      ...disk.map(diskText),
    ]),
    ...(rows.length === 0 ? [] : table([HEAD, ...rows])),
    ...(results.length === 0 ? [] : [othersText(results)]),
    ...absent,
    ...guaranteeLines(results),
    ...NOTES,
    '',
  ].join('\n');
}

/** Above a tenth of a core, look at ratios only, and above a half at nothing. */
function othersText(results: readonly PeersResult[]): string {
  const samples = results
    .flatMap(({ pairs }) => pairs)
    .flatMap(({ peer, ours }) => [...peer.samples, ...ours.samples]);
  const cores = samples.flatMap(({ otherCores }) => otherCores ?? []);
  if (cores.length === 0) return 'what else this machine did meanwhile is not known here';
  const { median, max } = spreadOf(cores);
  return `others used ${median.toFixed(2)} cores, at most ${max.toFixed(2)} during one sample`;
}

function smokeLine({ workload, pairs }: PeersResult): string {
  const names = pairs.map(({ peer }) => peer.name).join(', ');
  return `${workload}: ours and ${names} work, counts are right`;
}

const NOTES = [
  'Median [min … max] of the rounds. Ours / peer compares neighbours of one round only.',
  'records, blocks: peers acknowledge a whole group by adding to a counter; ours settles a promise',
  'for each record. Peers’ logs only grow; ours recycles its segments, as it does in an engine.',
  'count, filter-count, word-count: batches (Spark, ours) and windows (Flink) of one second.',
];

/** What each system does for what it promises, once for each. */
function guaranteeLines(results: readonly PeersResult[]): string[] {
  const pairs = results.flatMap((result) => result.pairs);
  const contestants = pairs.flatMap(({ peer, ours }) => [peer, ours]);
  return [...new Set(contestants.map(({ name, guarantee }) => `${name}: ${guarantee.how}`))];
}

function rowOf({ workload, disk, recordBytes }: PeersResult, pair: PairResult): string[] {
  const { peer, ours, ratio } = pair;
  const isLog = workload === 'records' || workload === 'blocks';
  const diskBytes = disk.reduce((sum, each) => sum + each.bytesPerSecond, 0) / disk.length;
  const ofDisk = ({ median }: Spread): string =>
    isLog ? ((median * recordBytes) / diskBytes).toFixed(2) : '';
  return [
    workload,
    peer.name,
    rateText(peer.spread, recordBytes),
    ofDisk(peer.spread),
    rateText(ours.spread, recordBytes),
    ofDisk(ours.spread),
    `${rangeText(ratio, 1)} ×`,
    peer.guarantee.survives,
    ours.guarantee.survives,
  ];
}

/** Small records by their number, large ones by their bytes. */
function rateText(spread: Spread, recordBytes: number): string {
  if (recordBytes < 1_000) return `${rangeText(spread, 1e6)} M/s`;
  return `${rangeText(spread, 1e6 / recordBytes, 0)} MB/s`;
}

/** `1.31 [1.20 … 1.40]` */
function rangeText({ min, median, max }: Spread, divisor: number, digits = 2): string {
  const [low, middle, high] = [min, median, max].map((value) => (value / divisor).toFixed(digits));
  return `${middle} [${low} … ${high}]`;
}
