/** A write that took fewer bytes than it was given. A full disk shows like this too: the kernel
 * takes what fits and reports no error until the next call, and the sync after it succeeds.
 * @module */
import { MillraceError } from '../core/errors.ts';

export function shortWrite(path: string, asked: number, taken: number): MillraceError {
  return new MillraceError(
    'DISK_FAILED',
    `a write to ${path} took ${taken} of ${asked} bytes: the disk is full, or it fails`,
    { details: { path, call: 'write', asked, taken } },
  );
}
