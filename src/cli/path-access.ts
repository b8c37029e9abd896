/** What a path is and whether this process may use it, asked before anything is begun. The answer
 * is for messages: what is done later can fail all the same, and says so then. @module */
import { accessSync, constants, statSync } from 'node:fs';

/** Behind links too. Not what cannot be seen for want of a file on the way.
 * @throws the system's error, when the way itself is closed. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** @returns false also for what is not there. */
export function mayAccess(path: string, how: 'read' | 'write'): boolean {
  try {
    accessSync(path, how === 'read' ? constants.R_OK : constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
