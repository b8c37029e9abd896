/** The locks of a checkpoint directory and of its second copy, held as one.
 *
 * Either directory may be started alone by somebody else, so both are locked, and a run that has
 * lost one of them has lost both: it acknowledges nothing more (I9).
 * @module */
import type { LockFile } from '../wal/lock-file.ts';
import { lockDirectory } from './directory-lock.ts';
import type { DirectoryLock } from './directory-lock.ts';

export interface HomeLock extends DirectoryLock {
  /** Of the second copy, if there is one. */
  readonly mirrorFile?: LockFile;
}

/** Takes the locks of existing directories. @throws as `lockDirectory`; then it holds none. */
export async function lockHome(first: string, second: string | undefined): Promise<HomeLock> {
  const lock = await lockDirectory(first);
  if (second === undefined) return lock;
  try {
    return joined(lock, await lockDirectory(second));
  } catch (error) {
    // What went wrong first is what has to be told.
    await lock.release().catch(() => undefined);
    throw error;
  }
}

function joined(lock: DirectoryLock, second: DirectoryLock): HomeLock {
  return {
    directory: lock.directory,
    file: lock.file,
    mirrorFile: second.file,
    whyLost: () => lock.whyLost() ?? second.whyLost(),
    async release() {
      try {
        await second.release();
      } finally {
        await lock.release();
      }
    },
  };
}
