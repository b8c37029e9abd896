/** The report in words: what the log costs here and why, and when not to believe it. Pure: every
 * sentence comes from the numbers. @module */
import { resolveOptions } from '../../core/options.ts';
import { bySetting } from './bench-report.ts';
import type { BenchReport, CellResult } from './bench-report.ts';
import { settingText } from './cell.ts';
import { msText } from './ms-text.ts';
import { quantile } from './statistics.ts';

/** Share of a limit from which on it is called the bound. */
const BOUND_SHARE = 0.75;

/** One paragraph, about the setting in which the log has most to do: where records come fastest
 * without it, or with it when it was always on. */
export function explain(report: BenchReport): string {
  const setting = hardestSetting(report);
  const off = setting.find(({ cell }) => cell.wal === 'off');
  const logged = setting.filter(({ cell }) => cell.wal !== 'off');
  const [any] = setting;
  if (any === undefined) return 'Nothing was measured.';
  const speeds = [
    ...(off === undefined ? [] : [`without a log ${speedText(off)} go through`]),
    ...logged.map(costText),
  ];
  const sentences = [`With ${settingText(any.cell)}: ${speeds.join('; ')}.`];
  const strictest = logged.find(({ cell }) => cell.wal === 'sync') ?? logged.at(-1) ?? any;
  sentences.push(boundSentence(strictest, report));
  sentences.push(ackSentence(strictest, report));
  return sentences.join(' ');
}

function hardestSetting({ cells }: BenchReport): readonly CellResult[] {
  const settings = [...bySetting(cells).values()];
  const bytesPerSecond = (results: readonly CellResult[]): number => {
    const base = results.find(({ cell }) => cell.wal === 'off') ?? results[0];
    return base === undefined ? 0 : base.recordsPerSecond.median * base.cell.recordBytes;
  };
  return settings.toSorted((a, b) => bytesPerSecond(b) - bytesPerSecond(a))[0] ?? [];
}

function costText(result: CellResult): string {
  const { cost, cell, samples } = result;
  const level =
    cell.wal === 'flush'
      ? 'with a log that is handed to the operating system (flush)'
      : 'with a log that is on the device before anything is acknowledged (sync)';
  const speed = `${level} ${speedText(result)}`;
  if (cost === undefined) return speed;
  const { median, min, max } = cost.speedPercent;
  const range = samples.length < 2 ? '' : ` (${min.toFixed(0)} to ${max.toFixed(0)} % by round)`;
  const change =
    median >= 0 ? `${median.toFixed(0)} % less` : `${(-median).toFixed(0)} % more, which is noise`;
  const added = Math.round(cost.cpuNsPerRecord);
  const cpu = added > 0 ? `${added} ns of CPU a record more` : 'no more CPU a record';
  return `${speed}, ${change}${range}, and ${cpu}`;
}

function speedText({ recordsPerSecond }: CellResult): string {
  return `${(recordsPerSecond.median / 1e6).toFixed(2)} M records/s`;
}

export interface Load {
  /** Bytes of the log over what the disk alone overwrites. */
  readonly disk: number;
  /** Cores that the engine used, over those that the others left. */
  readonly cores: number;
  /** Of the busiest receiver's thread. */
  readonly receiver: number;
}

/** How near the limits a cell came. */
function loadOf({ samples }: CellResult, { disk, environment }: BenchReport): Load {
  const median = (values: readonly number[]): number => quantile(values, 0.5);
  const diskLimit = median(disk.map(({ bytesPerSecond }) => bytesPerSecond));
  const shares = samples.map(({ engineCores, otherCores }) => {
    const left = Math.max(environment.cores - otherCores, environment.cores / 4);
    return Math.min(1, engineCores / left);
  });
  return {
    disk: median(samples.map(({ logBytesPerSecond }) => logBytesPerSecond)) / diskLimit,
    cores: median(shares),
    receiver: median(samples.map(({ receiverBusyShare }) => receiverBusyShare)),
  };
}

function boundSentence(result: CellResult, report: BenchReport): string {
  const { disk, cores, receiver } = loadOf(result, report);
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
  const facts =
    `The log wrote at ${percent(disk)} of what the disk alone overwrites with syncs, the engine ` +
    `used ${percent(cores)} of the cores that were free, and its busiest receiver thread was ` +
    `busy for ${percent(receiver)} of the time`;
  return `${facts}: ${boundText({ disk, cores, receiver })}.`;
}

export function boundText({ disk, cores, receiver }: Load): string {
  if (Math.max(disk, cores, receiver) < BOUND_SHARE) {
    return 'none of the three was at its limit, so that waiting for each other is what bounds it';
  }
  if (disk >= cores && disk >= receiver) {
    return 'the disk bounds it, and a faster one would help';
  }
  return cores >= receiver
    ? 'the processor bounds it, not the disk; what the log costs is its CPU'
    : 'one thread bounds it, not the disk; more receivers may help';
}

function ackSentence(result: CellResult, { disk }: BenchReport): string {
  const { ackMs } = result;
  const syncMs = quantile(
    disk.map(({ syncMsP50 }) => syncMsP50),
    0.5,
  );
  return (
    `At half of its speed an acknowledgement took ${msText(ackMs.p50.median)} ms at the median ` +
    `and ${msText(ackMs.p99.median)} ms at p99: a call waits ${blockWaitText(result)}, and a ` +
    `synced write of 4 KiB takes ${msText(syncMs)} ms on this disk alone.`
  );
}

/** A block is cut by its interval, or sooner when it is full. */
function blockWaitText({ cell, recordsPerSecond }: CellResult): string {
  const { blockBytesMax } = resolveOptions({ module: { name: 'bench' } });
  const { receivers, recordBytes, blockIntervalMs } = cell;
  const bytesPerMs = (recordsPerSecond.median * recordBytes) / 2 / receivers / 1_000;
  const fillMs = blockBytesMax / bytesPerMs;
  return fillMs < blockIntervalMs
    ? `up to ${msText(fillMs)} ms until its block is full, which is sooner than the block interval`
    : `up to ${blockIntervalMs} ms for its block, which is the block interval`;
}

/** Shares above which a doubt is told. */
const SPREAD_MAX = 0.15;
const OTHERS_MAX = 0.1;
const DISK_CHANGE_MAX = 1.3;
const HELD_MIN = 0.9;

/** Why these numbers may be wrong. Never empty: what was looked at is told too. */
export function doubtsOf(report: BenchReport): string[] {
  const { cells, environment, disk, isSmoke, repetitions, wantedRepetitions } = report;
  const doubts: string[] = [];
  if (isSmoke) doubts.push('A smoke run: it shows that everything works, and no speed.');
  if (repetitions < wantedRepetitions) {
    doubts.push(`The budget was spent after ${repetitions} of ${wantedRepetitions} rounds.`);
  }
  if (repetitions < 3) {
    doubts.push('Fewer than three samples of a cell say little of how much they vary.');
  }
  doubts.push(...spreadDoubts(cells));
  const others = Math.max(...cells.flatMap(({ samples }) => samples.map((s) => s.otherCores)));
  if (others > OTHERS_MAX * environment.cores) {
    doubts.push(
      `Something else used up to ${others.toFixed(1)} of ${environment.cores} cores: look at CPU ` +
        'a record and at ratios, or measure again on a quiet machine.',
    );
  }
  if (environment.load > environment.cores / 4) {
    doubts.push(`The load average was ${environment.load} before the first sample.`);
  }
  const speeds = disk.map(({ bytesPerSecond }) => bytesPerSecond);
  if (Math.max(...speeds) > DISK_CHANGE_MAX * Math.min(...speeds)) {
    doubts.push('The disk alone was not the same before and after: other work, or a full cache.');
  }
  if (environment.fileSystem === 'tmpfs') doubts.push('The directory is memory, not a disk.');
  if (cells.some(({ samples }) => samples.some((s) => s.halfHeldShare < HELD_MIN))) {
    doubts.push(
      'Half of the full speed could not be held everywhere: those ack times are too long.',
    );
  }
  if (doubts.length > 0) return doubts;
  return [
    `Nothing speaks against these numbers: samples of a cell lie within ${100 * SPREAD_MAX} %, ` +
      'nothing else ran, and the disk was the same before and after.',
  ];
}

function spreadDoubts(cells: readonly CellResult[]): string[] {
  const wide = cells.filter(({ recordsPerSecond: { min, median, max } }) => {
    return max - min > SPREAD_MAX * median;
  });
  if (wide.length === 0) return [];
  const [widest = 0] = wide
    .map(({ recordsPerSecond: { min, median, max } }) => (max - min) / median)
    .toSorted((a, b) => b - a);
  return [
    `Samples of ${wide.length} of ${cells.length} cells differ by more than ` +
      `${100 * SPREAD_MAX} %, up to ${(100 * widest).toFixed(0)} %: a difference between cells ` +
      'that is smaller than that means nothing.',
  ];
}
