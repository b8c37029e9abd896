/** What one engine's life has shown of one setting, and what it is worked out from. Pure.
 *
 * Latency is from when a record came to when its batch was done. No record carries its time, so it
 * is worked out for records that come evenly: on average one waits half a block interval until its
 * block is cut, half a batch interval until its batch, and then for the batch to be done.
 *
 *      p50 = (block interval + batch interval) / 2 + (end of the batch − batch time)
 *      max =  block interval + batch interval      + the same
 *
 * Both take the median batch for p50 and the slowest one for max. What the log's syncs add to the
 * wait for the block is not in it. @module */
import type { Completion, CellSample } from '../bench/cell-sample.ts';
import { speedBetween } from '../bench/cell-sample.ts';
import { quantile } from '../bench/statistics.ts';
import { growthOf } from './delay-growth.ts';
import type { Growth } from './delay-growth.ts';
import type { Setting } from './setting.ts';
import type { Outcome } from './standings.ts';

/** A batch that was done in the measured time. */
export interface DoneBatch extends Completion {
  readonly batchTimeMs: number;
  readonly schedulingDelayMs: number;
  readonly processingMs: number;
}

/** Shares of what each could do at most, 0 to 1. */
export interface TuneLoad {
  /** Time in which a batch was running. */
  readonly tasks: number;
  /** Of the receivers' threads, the busiest one's time. */
  readonly receiver: number;
  /** Time that the busiest log was writing and syncing. */
  readonly disk: number;
  /** Time of the driver's thread. */
  readonly driver: number;
  /** CPU time of the engine, of that which others left. */
  readonly cores: number;
}

export interface TuneSample extends Pick<CellSample, 'engineCores' | 'otherCores'> {
  /** What all receivers together were allowed; absent: no limit. */
  readonly wantedRate?: number;
  readonly recordsPerSecond: number;
  readonly cpuNsPerRecord: number;
  readonly growth: Growth;
  readonly latencyMs: { readonly p50: number; readonly max: number };
  readonly schedulingDelayMs: number;
  readonly processingMs: number;
  readonly batchCount: number;
  /** That reached outputs, of a second. */
  readonly outputRecordsPerSecond: number;
  readonly load: TuneLoad;
  /** Whoever gives the records could give more. */
  readonly isSourceEndless: boolean;
  /** From `store` to its acknowledgement; with `--lines` only. */
  readonly ackMs?: { readonly p50: number; readonly p99: number };
}

/** Share of a limit from which on it is called the bound. */
export const BOUND_SHARE = 0.75;
/** Less than this share of a wanted rate is not that rate. */
const HELD_SHARE = 0.95;

export type SpeedAndDelay = Pick<
  TuneSample,
  | 'recordsPerSecond'
  | 'cpuNsPerRecord'
  | 'growth'
  | 'latencyMs'
  | 'schedulingDelayMs'
  | 'processingMs'
  | 'batchCount'
>;

/** @param batches in order; the first one only begins the time.
 * @param run `slideBatches`: of the longest slide of a window.
 * @returns `undefined` when these are too few. */
export function speedAndDelay(
  batches: readonly DoneBatch[],
  setting: Setting,
  { wantedRate, slideBatches }: { readonly wantedRate?: number; readonly slideBatches: number },
): SpeedAndDelay | undefined {
  const speed = speedBetween(batches);
  if (speed === undefined) return undefined;
  const { blockIntervalMs, batchIntervalMs } = setting;
  const spanMs = blockIntervalMs + batchIntervalMs;
  const ends = batches.map((each) => each.schedulingDelayMs + each.processingMs);
  const median = (valueOf: (batch: DoneBatch) => number): number =>
    quantile(batches.map(valueOf), 0.5);
  return {
    ...speed,
    // At a rate what came counts; how evenly batches end says nothing of it.
    recordsPerSecond: wantedRate === undefined ? speed.recordsPerSecond : arrivalRate(batches),
    growth: growthOf(batches, slideBatches),
    latencyMs: { p50: spanMs / 2 + quantile(ends, 0.5), max: spanMs + quantile(ends, 1) },
    schedulingDelayMs: median((batch) => batch.schedulingDelayMs),
    processingMs: median((batch) => batch.processingMs),
    batchCount: batches.length,
  };
}

/** By batch times: what a batch has came since the batch time before. */
function arrivalRate(batches: readonly DoneBatch[]): number {
  const [first, ...rest] = batches;
  const last = rest.at(-1);
  if (first === undefined || last === undefined) return 0;
  const records = rest.reduce((sum, { recordCount }) => sum + recordCount, 0);
  return records / ((last.batchTimeMs - first.batchTimeMs) / 1_000);
}

/** What the search is told of a sample. */
export function outcomeOf(sample: TuneSample): Outcome {
  const { recordsPerSecond, latencyMs, wantedRate, growth } = sample;
  const isReached = wantedRate === undefined || recordsPerSecond >= HELD_SHARE * wantedRate;
  return {
    recordsPerSecond,
    latencyMs: latencyMs.p50,
    isHeld: isReached && growth === 'bounded',
    isSourceBound: isSourceBound(sample),
  };
}

/** The engine could have taken more: nothing of it was at its limit, and nothing piled up. Not when
 * the source is known to give whatever is taken, nor when a rate was asked for and reached. */
export function isSourceBound(sample: TuneSample): boolean {
  const { isSourceEndless, growth, load, wantedRate, recordsPerSecond } = sample;
  if (isSourceEndless || growth === 'growing') return false;
  if (wantedRate !== undefined && recordsPerSecond >= HELD_SHARE * wantedRate) return false;
  return busiest(load).share < BOUND_SHARE;
}

/** What is nearest to its limit. */
export function busiest(load: TuneLoad): {
  readonly name: keyof TuneLoad;
  readonly share: number;
} {
  const names: readonly (keyof TuneLoad)[] = ['tasks', 'receiver', 'disk', 'driver', 'cores'];
  return names
    .map((name) => ({ name, share: load[name] }))
    .reduce((most, each) => (each.share > most.share ? each : most));
}
