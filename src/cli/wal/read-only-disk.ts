/** A disk on which nothing can be changed: what the tools that only look are given.
 *
 * Reads go to the disk underneath and are counted; every call that could write is refused before it
 * reaches it. So "read-only" does not rest on the care of what runs on top. @module */
import { MillraceError } from '../../core/errors.ts';
import type { Disk, DiskFile } from '../../wal/disk.ts';

/** @param onRead told how many bytes each read got. */
export function readOnlyDisk(disk: Disk, onRead: (bytes: number) => void = () => {}): Disk {
  return {
    list: (directory) => disk.list(directory),
    readWhole: (path, bytesMax) => disk.readWhole(path, bytesMax),
    openForReading: async (path, mode) =>
      readOnlyFile(await disk.openForReading(path, mode), onRead),
    allocateAligned: (bytes) => disk.allocateAligned(bytes),
    supportsDirect: () => Promise.resolve(false), // finding out takes a file
    makeDirectory: (path) => refuse('make', path),
    syncDirectory: (path) => refuse('sync', path),
    create: (path) => refuse('create', path),
    open: (path) => refuse('open for writing', path),
    rename: (from) => refuse('rename', from),
    unlink: (path) => refuse('remove', path),
    removeTree: (path) => refuse('remove', path),
  };
}

function readOnlyFile(file: DiskFile, onRead: (bytes: number) => void): DiskFile {
  const { path } = file;
  return {
    path,
    read: async (into, positionBytes) => {
      const bytes = await file.read(into, positionBytes);
      onRead(bytes);
      return bytes;
    },
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
    write: () => refuse('write', path),
    sync: () => refuse('sync', path),
    syncAll: () => refuse('sync', path),
  };
}

function refuse(what: string, path: string): Promise<never> {
  const message = `a tool that only reads tried to ${what} ${path}`;
  return Promise.reject(new MillraceError('BROKEN_INVARIANT', message, { details: { path } }));
}
