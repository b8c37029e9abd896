/** Broken invariants. They are bugs of millrace: the thread dies, the driver stops, logs stay
 * whole.
 * @module */
import { MillraceError } from './errors.ts';

/** @throws {MillraceError} BROKEN_INVARIANT when `condition` does not hold. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new MillraceError('BROKEN_INVARIANT', message);
}

/** The value, which is known to be there. @throws {MillraceError} BROKEN_INVARIANT when it is
 * not. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) {
    throw new MillraceError('BROKEN_INVARIANT', `${what} is missing`);
  }
  return value;
}
