/** One process per checkpoint directory (I9). Imports node:fs: the lock lives in a file descriptor
 * of this thread, which the `Disk` interface does not show.
 *
 * The kernel's way: `flock -n 3` (util-linux or busybox) runs for a moment with our descriptor of
 * the file LOCK. The lock belongs to the open file, which we keep, not to the helper: the kernel
 * drops it when this process ends, by whatever death (3.6 ms, measured). Where `flock` is missing
 * or the file system cannot lock: owner-file.ts. Both ways publish first and then look at the
 * other, so that two processes that use different ways never both succeed.
 *
 * A lock can be lost all the same: somebody removes or replaces its file, moves the directory, or
 * puts a backup in its place. So the owner keeps the file open and looks, at every write and sync,
 * whether it is still in its place (wal/lock-file.ts); whoever takes over puts another one there
 * before it reads anything, also in place of an owner that it only believes to be dead.
 *
 * Call it in the main thread only: descriptors of a worker thread are closed when it ends. Children
 * of this process do not inherit the descriptor (O_CLOEXEC), only the helper does.
 * LOCK names its owner as JSON, is empty when free, and is never absent once it was there.
 * @module */
import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { MillraceError, toError } from '../core/errors.ts';
import { isInPlace, lockFileOf, whyLost } from '../wal/lock-file.ts';
import type { LockFile } from '../wal/lock-file.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from './lock-owner.ts';
import type { LockOwner } from './lock-owner.ts';
import { disownStaleFile, ownerFileHolder, releaseOwnerFile, takeOwnerFile } from './owner-file.ts';

/** When another process has the lock, both kinds of flock end with this status and say nothing. */
const FLOCK_HELD_STATUS = 1;
/** How often LOCK may be replaced between opening and locking it. */
const LOCK_TRIES_MAX = 100;

export interface DirectoryLock {
  readonly directory: string;
  /** What shows that the directory is still ours: for `ownedDisk`, in any thread. */
  readonly file: LockFile;
  /** The error to end with when it is not; undefined while it is, and after `release`. */
  whyLost(): MillraceError | undefined;
  /** Lets other processes in; they may at once. A second call does nothing.
   * @throws {MillraceError} DISK_FAILED: the lock ends with this process at the latest. */
  release(): Promise<void>;
}

export interface DirectoryLockOptions {
  /** Program that locks descriptor 3. @defaultValue `flock` */
  readonly flockCommand?: string;
}

/** Takes the lock of an existing directory, for as long as this process lives or until `release`.
 * @throws {MillraceError} DIRECTORY_LOCKED when another process, or this one, has it; DISK_FAILED
 *   when neither way of locking works there. */
export async function lockDirectory(
  directory: string,
  options: DirectoryLockOptions = {},
): Promise<DirectoryLock> {
  const path = join(directory, 'LOCK');
  try {
    const fd = await lockByKernel(path, options.flockCommand ?? 'flock');
    return fd === undefined ? lockByOwnerFile(directory) : keepKernelLock(directory, fd);
  } catch (error) {
    throw diskFailure(`cannot lock ${directory}`, path, error);
  }
}

function diskFailure(what: string, path: string, thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  const cause = toError(thrown);
  return new MillraceError('DISK_FAILED', `${what}: ${cause.message}`, {
    cause,
    details: { path },
  });
}

/** @returns the descriptor that holds the lock; undefined when the kernel's way does not work. */
async function lockByKernel(path: string, command: string): Promise<number | undefined> {
  const directory = dirname(path);
  for (let tries = 0; tries < LOCK_TRIES_MAX; tries += 1) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    const outcome = await runFlock(command, fd);
    if (outcome === 'locked' && isInPlace(lockFileOf(fd, { directory, path }))) return fd;
    const owner = outcome === 'held' ? parseOwner(readFileSync(fd, 'utf8')) : undefined;
    closeSync(fd);
    if (outcome === 'unsupported') return undefined;
    if (outcome === 'held') throw locked(directory, owner);
    // Locked a file that somebody replaced meanwhile: others would lock the new one.
  }
  throw locked(directory, undefined); // somebody else starts there again and again
}

type FlockOutcome = 'locked' | 'held' | 'unsupported';

function runFlock(command: string, fd: number): Promise<FlockOutcome> {
  return new Promise((resolve, reject) => {
    const helper = spawn(command, ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
    let complaint = '';
    helper.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    helper.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') resolve('unsupported');
      else reject(error);
    });
    helper.once('close', (status) => {
      if (status === 0) resolve('locked');
      else if (status === FLOCK_HELD_STATUS && complaint === '') resolve('held');
      else resolve('unsupported'); // a file system without locks, or another kind of flock
    });
  });
}

function keepKernelLock(directory: string, fd: number): DirectoryLock {
  try {
    writeOwner(fd, formatOwner(currentOwner()));
    const other = ownerFileHolder(directory);
    if (other?.kind === 'held') throw locked(directory, other.owner, other.path);
    disownStaleFile(directory);
  } catch (error) {
    freeDescriptor(fd);
    throw error;
  }
  const file = lockFileOf(fd, { directory, path: join(directory, 'LOCK') });
  return releasable(file, () => freeDescriptor(fd));
}

function lockByOwnerFile(directory: string): DirectoryLock {
  const taken = takeOwnerFile(directory, currentOwner());
  if (taken.kind === 'held') throw locked(directory, taken.owner, taken.path);
  const { fd, path } = taken;
  try {
    disownStaleLock(directory);
  } catch (error) {
    releaseOwnerFile(path);
    closeSync(fd);
    throw error;
  }
  const file = lockFileOf(fd, { directory, path });
  return releasable(file, () => {
    // One that is not ours any more is another process's lock.
    if (isInPlace(file)) releaseOwnerFile(path);
    closeSync(fd);
  });
}

/** Another LOCK in the place of one whose owner is gone for good: should it live after all, it
 * notices. Others who lock by the kernel see our owner file, which is there already. */
function disownStaleLock(directory: string): void {
  const path = join(directory, 'LOCK');
  const text = readFileSync(path, 'utf8');
  if (text === '') return;
  const owner = parseOwner(text);
  if (owner !== undefined && isAlive(owner)) throw locked(directory, owner);
  const temporaryPath = `${path}.${process.pid}.tmp`;
  writeFileSync(temporaryPath, '');
  renameSync(temporaryPath, path);
}

function releasable(file: LockFile, free: () => void): DirectoryLock {
  let isHeld = true;
  return {
    directory: file.directory,
    file,
    whyLost: () => (isHeld ? whyLost(file) : undefined),
    async release() {
      if (!isHeld) return;
      isHeld = false;
      try {
        free();
      } catch (error) {
        throw diskFailure(`cannot give the lock of ${file.directory} back`, file.path, error);
      }
    },
  };
}

/** In place, and only then cut: a full disk may not give back the block that cutting frees. */
function writeOwner(fd: number, text: string): void {
  writeSync(fd, text, 0);
  ftruncateSync(fd, Buffer.byteLength(text));
}

function freeDescriptor(fd: number): void {
  try {
    ftruncateSync(fd, 0);
  } finally {
    closeSync(fd);
  }
}

function locked(directory: string, owner: LockOwner | undefined, file?: string): MillraceError {
  const who = owner === undefined ? 'another process' : `process ${owner.pid}`;
  const isForeign = file !== undefined && owner?.namespace !== currentOwner().namespace;
  const hint = isForeign
    ? `; if that process ran in a container that is gone for good, remove ${file}`
    : '';
  return new MillraceError(
    'DIRECTORY_LOCKED',
    `${directory} is in use by ${who}: stop it first, or choose another directory${hint}`,
    { details: { directory, ...(owner === undefined ? {} : { ownerPid: owner.pid }) } },
  );
}
