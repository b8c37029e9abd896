/** Files in which rows wait for the commit of their batch: their names, and what earlier starts
 * left of them. Nothing in them is synced, and nothing is worth anything after a crash.
 * @module */
import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MillraceError, toError } from '../core/errors.ts';
import type { SinkOwner } from '../dstream/sink.ts';

/** Eight digits that stand for an output and where it goes. */
export function stagingDigits({ logId, outputId }: SinkOwner, place: string): string {
  const hash = createHash('sha256').update(`${logId}\n${outputId}\n${place}`);
  return hash.digest('hex').slice(0, 8);
}

/** Removes whatever begins with `prefix`, an absolute path. */
export async function removeStaged(prefix: string): Promise<void> {
  for (const name of await readdir(dirname(prefix))) {
    if (!name.startsWith(basename(prefix))) continue;
    await rm(join(dirname(prefix), name), { recursive: true, force: true });
  }
}

/** A failed write of rows, in an executor. */
export function notStaged(error: unknown): MillraceError {
  const cause = toError(error);
  return new MillraceError('OUTPUT_FAILED', `rows could not be staged: ${cause.message}`, {
    cause,
  });
}
