/** Writes a whole file so that after a crash either the old content is there or the new one.
 *
 *      create <name>.tmp → write → fsync → close → rename to <name> → fsync of the directory
 *
 * Knows nothing of what the bytes mean. Never retries: after a failure the state of the directory
 * is open (the new name may or may not be durable), and the caller has to give up on it.
 * @module */
import { join } from 'node:path';
import type { Disk, DiskFile } from '../wal/disk.ts';
import { shortWrite } from '../wal/short-write.ts';

/** Ends the name of a file that is not finished. */
export const TEMPORARY_SUFFIX: string = '.tmp';

export interface FileTarget {
  readonly disk: Disk;
  /** Exists. */
  readonly directory: string;
  readonly name: string;
}

/** Content and name are durable when it resolves. One call at a time for each target.
 * @throws {MillraceError} DISK_FAILED, DISK_FULL: the old content, if any, is still readable. */
export async function replaceFile(
  { disk, directory, name }: FileTarget,
  views: readonly Uint8Array[],
): Promise<void> {
  const path = join(directory, name);
  const temporaryPath = path + TEMPORARY_SUFFIX;
  await disk.unlink(temporaryPath); // of a process that died on the way
  try {
    await writeDurably(disk, temporaryPath, views);
    await disk.rename(temporaryPath, path);
  } catch (error) {
    // Best effort, for the room it takes: the next call or start removes it too.
    await disk.unlink(temporaryPath).catch(() => undefined);
    throw error;
  }
  await disk.syncDirectory(directory);
}

async function writeDurably(disk: Disk, path: string, views: readonly Uint8Array[]): Promise<void> {
  const askedBytes = views.reduce((sum, view) => sum + view.byteLength, 0);
  const file = await disk.create(path, 'buffered');
  try {
    const taken = await file.write(views, 0);
    // A full disk takes what fits and says so only at the next call: this one's error is the one
    // to tell. Nothing of the file counts before it is whole.
    if (taken < askedBytes) await writeRest(file, Buffer.concat(views).subarray(taken), taken);
    await file.syncAll();
  } finally {
    await file.close();
  }
}

async function writeRest(file: DiskFile, rest: Uint8Array, positionBytes: number): Promise<void> {
  const taken = await file.write([rest], positionBytes);
  if (taken !== rest.byteLength) throw shortWrite(file.path, rest.byteLength, taken);
}
