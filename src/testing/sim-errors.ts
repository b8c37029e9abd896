/** Errors of the simulated disk, with the code and the errno that the real one would give.
 * @module */
import { MillraceError } from '../core/errors.ts';

export function simError(errno: string, call: string, path: string): MillraceError {
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'DISK_FULL' : 'DISK_FAILED';
  return new MillraceError(code, `${call} of ${path}: ${errno}`, {
    details: { path, call, errno },
  });
}
