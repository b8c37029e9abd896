/** Whether batches keep up: the test behind the word *sustainable*. Pure.
 *
 * A pipeline that takes longer for a batch than the batch interval starts each one later than the
 * one before. So the scheduling delay is looked at: the median of the last third of the batches
 * against that of the first third. Medians, so that one late batch decides nothing; thirds, so that
 * a delay that goes up and comes down again counts as what it is.
 *
 * Where windows slide every few batches, those batches take longer than the others, and the ones
 * behind them start later, time and again: then both parts are whole slides.
 *
 *      growth a second = (median of the last third − median of the first) / time between them
 *
 * @module */
import { quantile } from '../bench/statistics.ts';

/** A batch that has been done. */
export interface BatchDelay {
  readonly batchTimeMs: number;
  readonly schedulingDelayMs: number;
}

/** Growth of this much is noise: a pipeline that is 3 % too slow falls behind by more. */
const GROWTH_MAX = 0.03;
/** Nor is a change of this much a trend, however short the sample: a thread that ran elsewhere. */
const CHANGE_MS_MAX = 20;
const BATCHES_MIN = 3;

/** `unknown`: too few batches to say. */
export type Growth = 'bounded' | 'growing' | 'unknown';

/** @param batches in order. @param slideBatches after so many the same work comes again. */
export function growthOf(batches: readonly BatchDelay[], slideBatches = 1): Growth {
  if (batches.length < Math.max(BATCHES_MIN, 2 * slideBatches)) return 'unknown';
  const slides = Math.max(1, Math.floor(batches.length / 3 / slideBatches));
  const length = slides * slideBatches;
  const first = middleOf(batches.slice(0, length));
  const last = middleOf(batches.slice(-length));
  const changeMs = last.delayMs - first.delayMs;
  const isNoise = changeMs <= CHANGE_MS_MAX || changeMs <= GROWTH_MAX * (last.atMs - first.atMs);
  return isNoise ? 'bounded' : 'growing';
}

function middleOf(batches: readonly BatchDelay[]): { atMs: number; delayMs: number } {
  return {
    atMs: quantile(
      batches.map(({ batchTimeMs }) => batchTimeMs),
      0.5,
    ),
    delayMs: quantile(
      batches.map(({ schedulingDelayMs }) => schedulingDelayMs),
      0.5,
    ),
  };
}
