/** Directories whose entries survive a power cut: creating them, and syncing what was renamed.
 *
 * A name is on the device only after its directory was fsynced, so a new directory costs an fsync
 * of its parent. For sinks, which open files of their own; the engine's files go through
 * wal/disk.ts.
 * @module */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Creates the directory and its missing parents; all new names are durable when it resolves.
 * No error when it exists. @param path absolute. */
export async function makeDirectoryDurable(path: string): Promise<void> {
  if (await isDirectory(path)) {
    // It may be new: a process that made it and died here has not synced its name. One level is
    // enough, because a directory gets its first entry only when its own name is durable.
    return syncReadable(dirname(path));
  }
  const parent = dirname(path);
  if (parent !== resolve(path)) await makeDirectoryDurable(parent);
  await mkdir(path, { recursive: true });
  await syncDirectory(parent);
}

/** fsync of a directory: names created, renamed or removed in it are durable when it resolves. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** A directory that this user may not read is none that an earlier run made something in. */
async function syncReadable(path: string): Promise<void> {
  try {
    await syncDirectory(path);
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function errnoOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
