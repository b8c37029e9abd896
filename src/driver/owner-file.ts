/** A lock without the kernel's help, for machines without `flock`: a numbered file that names its
 * owner. Imports node:fs: it must not wait for a disk, and its files are not data of the log.
 *
 *      LOCK.1 → LOCK.2 → LOCK.3      the highest number counts; the others are history
 *
 * Whoever finds the owner of number n gone, or n released, links a finished file as number n + 1:
 * `link` fails when the name exists, so of several processes that saw the same only one succeeds.
 * The highest file is never removed, only marked as released, so a number is never won twice.
 * @module */
import {
  closeSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { formatOwner, isAlive, parseOwner } from './lock-owner.ts';
import type { LockOwner } from './lock-owner.ts';

const NAME = /^LOCK\.(\d{1,9})$/;
const RELEASED = 'released\n';

export type OwnerFileOutcome =
  /** `fd` is the open file; who took it closes it, after giving the lock up. */
  | { readonly kind: 'taken'; readonly path: string; readonly fd: number }
  /** `owner` is undefined when the file cannot be read as one. */
  | { readonly kind: 'held'; readonly path: string; readonly owner: LockOwner | undefined };

/** Takes the lock if nobody alive has it. @throws errors of node:fs as they are. */
export function takeOwnerFile(directory: string, self: LockOwner): OwnerFileOutcome {
  const temporaryPath = join(directory, temporaryName(self));
  const fd = openSync(temporaryPath, 'w', 0o644);
  let outcome: OwnerFileOutcome | undefined;
  try {
    writeFileSync(fd, formatOwner(self));
    outcome = linkNext(directory, { temporaryPath, fd });
    return outcome;
  } finally {
    unlinkSync(temporaryPath);
    if (outcome?.kind !== 'taken') closeSync(fd);
  }
}

/** Earlier files are removed before this returns: an owner that was taken for dead and is not finds
 * its file gone before anybody reads a log. */
function linkNext(
  directory: string,
  finished: { readonly temporaryPath: string; readonly fd: number },
): OwnerFileOutcome {
  for (;;) {
    const current = currentOwnerFile(directory);
    if (current.holder !== undefined) return current.holder;
    const path = join(directory, `LOCK.${current.number + 1}`);
    if (!linkIfFree(finished.temporaryPath, path)) continue; // another one was faster: look again
    removeOlder(directory, current.number);
    return { kind: 'taken', path, fd: finished.fd };
  }
}

/** Who holds the directory by an owner file, if anybody does. */
export function ownerFileHolder(directory: string): OwnerFileOutcome | undefined {
  return currentOwnerFile(directory).holder;
}

/** Marks the highest file as released when its owner is gone for good. One that was taken for dead
 * and is not finds another file in the place of its own. */
export function disownStaleFile(directory: string): void {
  const { number, holder } = currentOwnerFile(directory);
  if (number > 0 && holder === undefined) releaseOwnerFile(join(directory, `LOCK.${number}`));
}

/** Gives up what `takeOwnerFile` has taken. */
export function releaseOwnerFile(path: string): void {
  const temporaryPath = `${path}.${process.pid}.tmp`;
  writeFileSync(temporaryPath, RELEASED);
  renameSync(temporaryPath, path);
}

function currentOwnerFile(directory: string): { number: number; holder?: OwnerFileOutcome } {
  for (;;) {
    const number = Math.max(0, ...numbersIn(directory));
    if (number === 0) return { number };
    const path = join(directory, `LOCK.${number}`);
    const text = readIfThere(path);
    if (text === undefined) continue; // a newer one came, and this one went
    if (text === RELEASED) return { number };
    const owner = parseOwner(text);
    if (owner !== undefined && !isAlive(owner)) return { number };
    return { number, holder: { kind: 'held', path, owner } };
  }
}

/** Unlike that of any other process that sees this directory. */
function temporaryName({ pid, startTicks, namespace }: LockOwner): string {
  return `LOCK.${pid}-${startTicks}-${namespace.replaceAll(/\D/g, '')}.tmp`;
}

function linkIfFree(existingPath: string, path: string): boolean {
  try {
    linkSync(existingPath, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function removeOlder(directory: string, number: number): void {
  for (const old of numbersIn(directory)) {
    if (old <= number) rmSync(join(directory, `LOCK.${old}`), { force: true });
  }
}

function numbersIn(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => Number(NAME.exec(name)?.[1] ?? 0))
    .filter((number) => number > 0);
}
