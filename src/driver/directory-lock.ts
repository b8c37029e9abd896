/** One process per checkpoint directory (I9). Imports node:fs: the lock lives in a file descriptor
 * of this thread, which the `Disk` interface does not show.
 *
 * The kernel's way: `flock -n 3` (util-linux or busybox) runs for a moment with our descriptor of
 * the file LOCK. The lock belongs to the open file, which we keep, not to the helper: the kernel
 * drops it when this process ends, by whatever death (3.6 ms, measured). Where `flock` is missing
 * or the file system cannot lock: owner-file.ts. Both ways publish first and then look at the
 * other, so that two processes that use different ways never both succeed.
 *
 * Call it in the main thread only: descriptors of a worker thread are closed when it ends.
 * LOCK names its owner as JSON, is empty when free, and is never removed.
 * @module */
import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { MillraceError, toError } from '../core/errors.ts';
import { currentOwner, formatOwner, isAlive, parseOwner } from './lock-owner.ts';
import type { LockOwner } from './lock-owner.ts';
import { ownerFileHolder, releaseOwnerFile, takeOwnerFile } from './owner-file.ts';

/** When another process has the lock, both kinds of flock end with this status and say nothing. */
const FLOCK_HELD_STATUS = 1;

export interface DirectoryLock {
  readonly directory: string;
  /** Lets other processes in; they may at once. A second call does nothing. */
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
    if (error instanceof MillraceError) throw error;
    const cause = toError(error);
    throw new MillraceError('DISK_FAILED', `cannot lock ${directory}: ${cause.message}`, {
      cause,
      details: { path },
    });
  }
}

/** @returns the descriptor that holds the lock; undefined when the kernel's way does not work. */
async function lockByKernel(path: string, command: string): Promise<number | undefined> {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    const outcome = await runFlock(command, fd);
    if (outcome === 'locked' && isStillThere(path, fd)) return fd;
    const owner = outcome === 'held' ? parseOwner(readFileSync(fd, 'utf8')) : undefined;
    closeSync(fd);
    if (outcome === 'unsupported') return undefined;
    if (outcome === 'held') throw locked(join(path, '..'), owner);
    // Locked a file that somebody removed meanwhile: others would lock the new one.
  }
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

function isStillThere(path: string, fd: number): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const ours = fstatSync(fd);
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}

function keepKernelLock(directory: string, fd: number): DirectoryLock {
  writeOwner(fd, formatOwner(currentOwner()));
  const other = ownerFileHolder(directory);
  if (other?.kind === 'held') {
    freeDescriptor(fd);
    throw locked(directory, other.owner, other.path);
  }
  return releasable(directory, () => freeDescriptor(fd));
}

function lockByOwnerFile(directory: string): DirectoryLock {
  const taken = takeOwnerFile(directory, currentOwner());
  if (taken.kind === 'held') throw locked(directory, taken.owner, taken.path);
  const kernelOwner = parseOwner(readFileSync(join(directory, 'LOCK'), 'utf8'));
  if (kernelOwner !== undefined && isAlive(kernelOwner)) {
    releaseOwnerFile(taken.path);
    throw locked(directory, kernelOwner);
  }
  return releasable(directory, () => releaseOwnerFile(taken.path));
}

function releasable(directory: string, free: () => void): DirectoryLock {
  let isHeld = true;
  return {
    directory,
    async release() {
      if (!isHeld) return;
      isHeld = false;
      free();
    },
  };
}

function writeOwner(fd: number, text: string): void {
  ftruncateSync(fd, 0);
  writeSync(fd, text, 0);
}

function freeDescriptor(fd: number): void {
  ftruncateSync(fd, 0);
  closeSync(fd);
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
