/** Codes of errors that a history expects when its machine is in trouble. @module */
import { MillraceError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';

/** What a store may reject with while nothing is wrong but the machine: it is tried again. */
export const STORE_REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'RECEIVER_STOPPED',
  'BLOCK_REFUSED',
  'WAL_POISONED',
  'WAL_CLOSED',
  'DISK_FULL',
  'DISK_FAILED',
  'EXECUTOR_DIED',
]);

/** What a run may end with when its disk fails. */
export const DISK_ENDINGS: ReadonlySet<ErrorCode> = new Set([
  'DISK_FAILED',
  'DISK_FULL',
  'WAL_POISONED',
  'WAL_CORRUPT', // a read of acknowledged bytes that fails
  'CHECKPOINT_CORRUPT',
]);

/** The code of what ended a run; of a task that failed, of what it met on the disk in each of its
 * tries, where that is what failed. */
export function codeOf(failure: Error): ErrorCode | undefined {
  if (!(failure instanceof MillraceError)) return undefined;
  return failure.code === 'TASK_FAILED' && failure.cause instanceof MillraceError
    ? failure.cause.code
    : failure.code;
}
