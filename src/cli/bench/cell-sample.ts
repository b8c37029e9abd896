/** What one engine's life has shown of one cell, and what it is worked out from. Pure. @module */
import { quantile } from './statistics.ts';

export interface AckTimes {
  /** Calls of `store`. */
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface CellSample {
  /** Through the whole pipeline, at full speed. */
  readonly recordsPerSecond: number;
  /** Of the engine's process, all threads. */
  readonly cpuNsPerRecord: number;
  /** CPU time of the engine's process over the time that went by. */
  readonly engineCores: number;
  /** The same of everything else on the machine. */
  readonly otherCores: number;
  /** Of the receivers' threads, the busiest one's share of the time. */
  readonly receiverBusyShare: number;
  /** Written to the receivers' logs; 0 with the log off. */
  readonly logBytesPerSecond: number;
  /** At full speed, of the receivers' logs; bounds: LATENCY_BOUNDS_MS. */
  readonly syncCounts: readonly number[];
  /** Milliseconds from `store` to its acknowledgement, at half of the full speed. */
  readonly ackMs: AckTimes;
  /** Records at half speed over what they should have been: below 1 it could not be held. */
  readonly halfHeldShare: number;
}

/** A moment of a run: sums since its start. */
export interface Moment {
  readonly atMs: number;
  readonly engineCpuMs: number;
  readonly machineCpuMs: number;
  readonly logBytes: number;
  readonly syncCounts: readonly number[];
}

/** A completed batch. */
export interface Completion {
  readonly atMs: number;
  readonly recordCount: number;
  /** Of the engine's process, since its start. */
  readonly engineCpuMs: number;
}

export type Speed = Pick<CellSample, 'recordsPerSecond' | 'cpuNsPerRecord'>;

/** Speed between the first completion and the last one of a batch with records: batches run one
 * after the other, so what was completed between two of them was done between them.
 * @returns `undefined` when fewer than two batches with records came after the first completion. */
export function speedBetween(completions: readonly Completion[]): Speed | undefined {
  const lastIndex = completions.findLastIndex(({ recordCount }) => recordCount > 0);
  const [first, ...rest] = completions.slice(0, lastIndex + 1);
  const last = rest.at(-1);
  const filled = rest.filter(({ recordCount }) => recordCount > 0);
  if (first === undefined || last === undefined || filled.length < 2) return undefined;
  const records = filled.reduce((sum, { recordCount }) => sum + recordCount, 0);
  return {
    recordsPerSecond: records / ((last.atMs - first.atMs) / 1_000),
    cpuNsPerRecord: ((last.engineCpuMs - first.engineCpuMs) * 1e6) / records,
  };
}

export type Costs = Pick<
  CellSample,
  'engineCores' | 'otherCores' | 'logBytesPerSecond' | 'syncCounts'
>;

export function costsBetween(from: Moment, to: Moment): Costs {
  const ms = to.atMs - from.atMs;
  const engineMs = to.engineCpuMs - from.engineCpuMs;
  return {
    engineCores: engineMs / ms,
    otherCores: Math.max(0, to.machineCpuMs - from.machineCpuMs - engineMs) / ms,
    logBytesPerSecond: (to.logBytes - from.logBytes) / (ms / 1_000),
    syncCounts: to.syncCounts.map((count, index) => count - (from.syncCounts[index] ?? 0)),
  };
}

/** @param ackMs one or more. */
export function ackTimes(ackMs: readonly number[]): AckTimes {
  const at = (q: number): number => quantile(ackMs, q);
  return { count: ackMs.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}
