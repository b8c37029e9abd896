/** Whether a lock file is still the one that this process took: the same inode under the same path.
 *
 * Whoever takes a checkpoint directory over puts another file in that place BEFORE it reads a log.
 * So a process that wrote and synced a record, and only then finds its lock file in place, knows
 * that every later owner will see the record; one that does not find it must not acknowledge. Call
 * it in any thread. Imports node:fs: one `stat` (2 µs, measured), at once and not on the pool,
 * because nothing may happen between the answer and its use.
 * @module */
import { fstatSync, statSync } from 'node:fs';
import { MillraceError } from '../core/errors.ts';

/** Structured-cloneable. The taker keeps the file open, so that its inode names no other file. */
export interface LockFile {
  /** Of the directory that it stands for. */
  readonly directory: string;
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/** The open file `fd`, which is, or was, at `path`. */
export function lockFileOf(fd: number, place: { directory: string; path: string }): LockFile {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { ...place, device: dev, inode: ino };
}

/** False as soon as another file, or none, is in its place; also when that cannot be told. */
export function isInPlace({ path, device, inode }: LockFile): boolean {
  try {
    const there = statSync(path, { bigint: true, throwIfNoEntry: false });
    return there !== undefined && there.ino === inode && there.dev === device;
  } catch {
    return false; // a parent that is gone, or no file any more: others could not see our lock
  }
}

/** Why this process may not go on; undefined while the directory is its own. */
export function whyLost(file: LockFile): MillraceError | undefined {
  if (isInPlace(file)) return undefined;
  return new MillraceError(
    'DIRECTORY_LOCKED',
    `${file.directory} does not belong to this process any more: its lock file ${file.path} was ` +
      'removed or replaced, or the directory was moved, and another process may have taken it ' +
      'over. Nothing more is acknowledged; what was acknowledged is kept',
    { details: { directory: file.directory, path: file.path } },
  );
}
