/** The options of a run in memory, and their one error when they are wrong.
 * @module */
import { parseDuration } from '../../core/duration.ts';
import type { Duration } from '../../core/duration.ts';
import { toError } from '../../core/errors.ts';
import type { OptionCheck } from '../../dstream/option-check.ts';
import type { BatchRecords } from './inline-inputs.ts';

export interface RunShape {
  /** How many batches to run; those for which there are no records are empty.
   * @defaultValue as many as the longest input has */
  readonly batches?: number;
  /** What `count`, `reduceByKey` and the like spread over, as `executors` of a real run, 1 … 4,096.
   * @defaultValue 2 */
  readonly partitions?: number;
  /** Into how many contiguous partitions the records of a batch are cut, 1 … 4,096.
   * @defaultValue 2 */
  readonly inputPartitions?: number;
}

export interface TestStreamOptions extends RunShape {
  /** Distance of two batch times; the first one is one interval. @defaultValue 1 second */
  readonly batchInterval?: Duration;
}

/** All options of a run, each with a value. */
export interface ResolvedShape {
  readonly batches: number;
  readonly partitions: number;
  readonly inputPartitions: number;
}

const PARTITIONS_MAX = 4_096;
const BATCHES_MAX = 1_000_000;
const INTERVAL_MS_MAX = 24 * 60 * 60 * 1000;

export const SHAPE_KEYS = ['batches', 'partitions', 'inputPartitions'] as const;

/** @param longest batches of the longest input. */
export function resolveShape(
  check: OptionCheck,
  given: Readonly<Record<string, unknown>>,
  longest: number,
): ResolvedShape {
  const { batches = longest, partitions = 2, inputPartitions = 2 } = given;
  const spread = { min: 1, max: PARTITIONS_MAX };
  return {
    batches: check.integer('batches', batches, { min: 0, max: BATCHES_MAX }),
    partitions: check.integer('partitions', partitions, spread),
    inputPartitions: check.integer('inputPartitions', inputPartitions, spread),
  };
}

/** A batch interval in whole milliseconds, at least one. */
export function checkInterval(check: OptionCheck, given: unknown): number {
  try {
    const ms = parseDuration(given as Duration);
    check.require(ms >= 1 && ms <= INTERVAL_MS_MAX, 'batchInterval must be 1 ms to 24 hours');
    return ms;
  } catch (error) {
    check.require(false, `batchInterval: ${toError(error).message}`);
    return 0;
  }
}

/** Adds a problem unless these are arrays of records, one for each batch. */
export function checkBatches(check: OptionCheck, name: string, batches: unknown): BatchRecords {
  const isSound = Array.isArray(batches) && batches.every((batch) => Array.isArray(batch));
  check.require(isSound, `${name} must be an array with an array of records for each batch`);
  return isSound ? (batches as BatchRecords) : [];
}
