/** A lock without the kernel's help, for machines without `flock`: a numbered file that names its
 * owner. Imports node:fs: it must not wait for a disk, and its files are not data of the log.
 *
 *      LOCK.1 → LOCK.2 → LOCK.3      the highest number counts; the others are history
 *
 * Whoever finds the owner of number n gone, or n released, links a finished file as number n + 1:
 * `link` fails when the name exists, so of several processes that saw the same only one succeeds.
 * The highest file is never removed, only marked as released, so a number is never won twice.
 * @module */
import { linkSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatOwner, isAlive, parseOwner } from './lock-owner.ts';
import type { LockOwner } from './lock-owner.ts';

const NAME = /^LOCK\.(\d{1,9})$/;
const RELEASED = 'released\n';

export type OwnerFileOutcome =
  | { readonly kind: 'taken'; readonly path: string }
  /** `owner` is undefined when the file cannot be read as one. */
  | { readonly kind: 'held'; readonly path: string; readonly owner: LockOwner | undefined };

/** Takes the lock if nobody alive has it. @throws errors of node:fs as they are. */
export function takeOwnerFile(directory: string, self: LockOwner): OwnerFileOutcome {
  const temporaryPath = join(directory, temporaryName(self));
  writeFileSync(temporaryPath, formatOwner(self));
  try {
    for (;;) {
      const current = currentOwnerFile(directory);
      if (current.holder !== undefined) return current.holder;
      const path = join(directory, `LOCK.${current.number + 1}`);
      if (!linkIfFree(temporaryPath, path)) continue; // another process was faster: look again
      removeOlder(directory, current.number);
      return { kind: 'taken', path };
    }
  } finally {
    unlinkSync(temporaryPath);
  }
}

/** Who holds the directory by an owner file, if anybody does. */
export function ownerFileHolder(directory: string): OwnerFileOutcome | undefined {
  return currentOwnerFile(directory).holder;
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
