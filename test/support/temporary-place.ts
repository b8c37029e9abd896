/** Where the tests of this machine put their files: a local file system, if it has one.
 *
 * Runs once before all suites. What is tested refuses a checkpoint directory behind a network, and
 * what is in front of the temporary directory of a container or a virtual machine may be just that.
 * @module */
import { accessSync, constants, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { recogniseFileSystem } from '../../src/wal/file-system.ts';

const ROOM_BYTES = 1024 * 1024 * 1024;

export default async function chooseTemporaryPlace(): Promise<void> {
  if (await isLocal(tmpdir())) return;
  for (const directory of ['/var/tmp', '/dev/shm']) {
    if (!isUsable(directory) || !(await isLocal(directory))) continue;
    process.env['TMPDIR'] = directory;
    return;
  }
}

async function isLocal(directory: string): Promise<boolean> {
  return (await recogniseFileSystem(directory)).kind !== 'network';
}

function isUsable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false;
  }
}
