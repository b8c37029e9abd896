/** A file system of a few MiB in memory, to be filled and emptied by tests. Needs the right to mount
 * (root, or a namespace of its own). @module */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 1024 * 1024;
const BALLAST = 'ballast';

/** False where tests of full disks have to be skipped. */
export const canMount: boolean = tryMount();

export class TinyDisk {
  readonly directory: string;

  /** @param directory the mount point; made when missing. */
  constructor(directory: string, sizeMib: number) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
    const mounted = mount(directory, sizeMib);
    if (mounted !== 0) throw new Error(`no file system of ${sizeMib} MiB at ${directory}`);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.directory);
    return bavail * bsize;
  }

  /** Takes all room but `leftBytes`. */
  fill(leftBytes = 0): void {
    const fd = openSync(join(this.directory, BALLAST), 'a');
    try {
      for (let bytes = this.freeBytes - leftBytes; bytes > 0; bytes -= MIB) {
        writeSync(fd, Buffer.alloc(Math.min(bytes, MIB)));
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error; // somebody was faster
    } finally {
      closeSync(fd);
    }
  }

  /** Gives back what `fill` has taken. */
  empty(): void {
    rmSync(join(this.directory, BALLAST), { force: true });
  }

  /** Also while somebody uses it: it goes with its last user. */
  close(): void {
    spawnSync('umount', ['-l', this.directory]);
  }
}

function mount(directory: string, sizeMib: number): number | null {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m`, 'tmpfs', directory]).status;
}

function tryMount(): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mount-'));
  const isMounted = mount(directory, 1) === 0;
  if (isMounted) spawnSync('umount', ['-l', directory]);
  rmSync(directory, { recursive: true });
  return isMounted;
}
