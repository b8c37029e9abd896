/** What a run has found, as plain data: the content of `--json`, and what table, words and page are
 * made from. Pure. @module */
import { LATENCY_BOUNDS_MS } from '../../wal/latency-window.ts';
import { cellText, settingText } from './cell.ts';
import type { Cell } from './cell.ts';
import type { CellSample } from './cell-sample.ts';
import type { DiskLimit } from './disk-limit.ts';
import type { Environment } from './environment.ts';
import { spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';

export interface CellResult {
  readonly cell: Cell;
  /** In the order of rounds. */
  readonly samples: readonly CellSample[];
  readonly recordsPerSecond: Spread;
  readonly cpuNsPerRecord: Spread;
  readonly ackMs: { readonly p50: Spread; readonly p90: Spread; readonly p99: Spread };
  /** Of all samples together; absent where nothing was synced. */
  readonly syncMs?: { readonly p50: number; readonly p99: number };
  /** What the log costs, against the same cell with the log off; absent there, and where no such
   * cell was measured. */
  readonly cost?: LogCost;
}

export interface LogCost {
  /** Of the speed, in percent, each sample against that of its own round. Below 0: faster. */
  readonly speedPercent: Spread;
  /** CPU time a record that the log adds, in nanoseconds. */
  readonly cpuNsPerRecord: number;
}

/** How long syncs took, in all cells of one level together. */
export interface SyncHistogram {
  readonly wal: Cell['wal'];
  /** Upper ends of the buckets in milliseconds; the last count has none. */
  readonly boundsMs: readonly number[];
  readonly counts: readonly number[];
}

export interface BenchReport {
  readonly format: 'millrace-bench-wal';
  readonly version: 1;
  readonly directory: string;
  readonly environment: Environment;
  /** One minute's load average after the last sample; it counts the measurement itself. */
  readonly loadAtEnd: number;
  /** Before the first and after the last sample. */
  readonly disk: readonly DiskLimit[];
  readonly isSmoke: boolean;
  readonly secondsPerSample: number;
  readonly batchIntervalMs: number;
  /** Of each cell; fewer than wanted when the budget was spent. */
  readonly repetitions: number;
  readonly wantedRepetitions: number;
  readonly cells: readonly CellResult[];
  readonly syncs: readonly SyncHistogram[];
}

export interface Measured extends Omit<
  BenchReport,
  'format' | 'version' | 'cells' | 'syncs' | 'repetitions'
> {
  /** By `cellText`, in the order of rounds. */
  readonly samples: ReadonlyMap<string, readonly CellSample[]>;
  readonly order: readonly Cell[];
}

/** @param measured at least one sample of each cell. */
export function reportOf({ samples, order, ...rest }: Measured): BenchReport {
  const of = (cell: Cell): readonly CellSample[] => samples.get(cellText(cell)) ?? [];
  return {
    format: 'millrace-bench-wal',
    version: 1,
    ...rest,
    repetitions: Math.min(...order.map((cell) => of(cell).length)),
    cells: order.map((cell) => resultOf(cell, of(cell), of({ ...cell, wal: 'off' }))),
    syncs: syncsOf(order, of),
  };
}

function resultOf(
  cell: Cell,
  samples: readonly CellSample[],
  without: readonly CellSample[],
): CellResult {
  const spread = (valueOf: (sample: CellSample) => number): Spread =>
    spreadOf(samples.map(valueOf));
  const cpuNsPerRecord = spread((sample) => sample.cpuNsPerRecord);
  const counts = sumOf(samples.map(({ syncCounts }) => syncCounts));
  const cost = cell.wal === 'off' ? undefined : costOf(samples, without);
  return {
    cell,
    samples,
    recordsPerSecond: spread((sample) => sample.recordsPerSecond),
    cpuNsPerRecord,
    ackMs: {
      p50: spread(({ ackMs }) => ackMs.p50),
      p90: spread(({ ackMs }) => ackMs.p90),
      p99: spread(({ ackMs }) => ackMs.p99),
    },
    ...(counts.some((count) => count > 0)
      ? { syncMs: { p50: quantileOfCounts(counts, 0.5), p99: quantileOfCounts(counts, 0.99) } }
      : {}),
    ...(cost === undefined ? {} : { cost }),
  };
}

/** Sample by sample: what the machine did in a round, it did to both. */
function costOf(
  samples: readonly CellSample[],
  without: readonly CellSample[],
): LogCost | undefined {
  const pairs = samples.flatMap((sample, round) => {
    const base = without[round];
    return base === undefined ? [] : [{ sample, base }];
  });
  if (pairs.length === 0) return undefined;
  const percents = pairs.map(
    ({ sample, base }) => 100 * (1 - sample.recordsPerSecond / base.recordsPerSecond),
  );
  const added = pairs.map(({ sample, base }) => sample.cpuNsPerRecord - base.cpuNsPerRecord);
  return { speedPercent: spreadOf(percents), cpuNsPerRecord: spreadOf(added).median };
}

function syncsOf(
  order: readonly Cell[],
  of: (cell: Cell) => readonly CellSample[],
): SyncHistogram[] {
  const levels = [...new Set(order.map(({ wal }) => wal))];
  return levels.flatMap((wal) => {
    const ofLevel = order.filter((cell) => cell.wal === wal).flatMap(of);
    const counts = sumOf(ofLevel.map(({ syncCounts }) => syncCounts));
    const isEmpty = counts.every((count) => count === 0);
    return isEmpty ? [] : [{ wal, boundsMs: LATENCY_BOUNDS_MS, counts }];
  });
}

function sumOf(all: readonly (readonly number[])[]): number[] {
  return Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, (_, index) =>
    all.reduce((sum, counts) => sum + (counts[index] ?? 0), 0),
  );
}

const LONGEST_MS = LATENCY_BOUNDS_MS.at(-1) ?? Infinity;

/** Upper end of the bucket in which the share `q` of all is reached: at most a fifth too long; what
 * is longer than the last bound counts as that. @param counts not all 0. */
export function quantileOfCounts(counts: readonly number[], q: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let passed = 0;
  for (const [index, count] of counts.entries()) {
    passed += count;
    if (count > 0 && passed >= q * total) return LATENCY_BOUNDS_MS[index] ?? LONGEST_MS;
  }
  return LONGEST_MS;
}

/** Cells that differ in the log alone, by setting, in order. */
export function bySetting(cells: readonly CellResult[]): Map<string, CellResult[]> {
  const settings = new Map<string, CellResult[]>();
  for (const each of cells) {
    const name = settingText(each.cell);
    const known = settings.get(name);
    if (known === undefined) settings.set(name, [each]);
    else known.push(each);
  }
  return settings;
}
