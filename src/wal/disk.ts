/** The engine's whole view of a file system. One real binding (node-disk.ts), which makes its calls
 * on the process's thread pool or on a thread of its own (disk-thread.ts); others for tests.
 *
 * Everything durable goes through here, so that a simulated disk can drop what was not synced.
 * Paths are absolute. No method retries; every failure rejects with MillraceError DISK_FAILED, or
 * DISK_FULL for ENOSPC and EDQUOT, with the path, the call and the errno in `details`.
 * @module */

/** How the bytes of a file reach the device. `direct` needs aligned memory, offsets and lengths. */
export type WriteMode = 'buffered' | 'direct';

export interface DiskFile {
  readonly path: string;
  /** Writes all views one after the other at `positionBytes`.
   * @returns the number of bytes that the kernel took; less than asked for is a FAILED write. */
  write(views: readonly Uint8Array[], positionBytes: number): Promise<number>;
  /** `write`, then `sync` when all of it was taken, in one call: for the disk's thread that is one
   * message instead of two. A disk without it is asked for the two. @returns as `write`. */
  writeSynced?(views: readonly Uint8Array[], positionBytes: number): Promise<number>;
  /** Reads up to `into.byteLength` bytes. @returns the count; short only at the end of the file. */
  read(into: Uint8Array, positionBytes: number): Promise<number>;
  /** fdatasync: content and a changed size are on the device when it resolves; names are not. */
  sync(): Promise<void>;
  /** fsync: as `sync`, and all metadata of the file. */
  syncAll(): Promise<void>;
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface Disk {
  /** Creates the directory and its missing parents, each new entry made durable (parent fsync). */
  makeDirectory(path: string): Promise<void>;
  /** Names of the entries, sorted; `undefined` when there is no such directory. */
  list(directory: string): Promise<readonly string[] | undefined>;
  /** fsync of a directory: names created, renamed or removed in it are durable when it resolves. */
  syncDirectory(path: string): Promise<void>;
  /** Creates a new empty file. Rejects when it exists. */
  create(path: string, mode: WriteMode): Promise<DiskFile>;
  /** Opens an existing file for reading and writing. */
  open(path: string, mode: WriteMode): Promise<DiskFile>;
  /** Opens an existing file for reading. @param mode `direct`: past the page cache where the file
   * system can, with memory, offsets and lengths of whole pages; only the last page of the file
   * may be asked for beyond its end. @defaultValue `buffered` */
  openForReading(path: string, mode?: WriteMode): Promise<DiskFile>;
  /** The whole file, or `undefined` when it does not exist. @param bytesMax refuse larger files. */
  readWhole(path: string, bytesMax: number): Promise<Uint8Array | undefined>;
  /** Atomic; replaces an existing target. Durable only after `syncDirectory` of the parent. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; no error when it is gone already. */
  unlink(path: string): Promise<void>;
  /** Removes a directory and everything in it; no error when it is gone already. */
  removeTree(path: string): Promise<void>;
  /** Room for new files of this user, in bytes; absent where nobody can tell. A quota may leave
   * less, so a file that needs room may find it full all the same. */
  freeBytes?(directory: string): Promise<number>;
  /** True when `direct` writes work in this directory (tried with a file of its own). */
  supportsDirect(directory: string): Promise<boolean>;
  /** Zero-filled memory whose start is aligned to 4096 bytes, fit for `direct` writes. */
  allocateAligned(bytes: number): Uint8Array;
}

/** A disk that somebody opened, and closes after all files on it. */
export interface OpenedDisk {
  readonly disk: Disk;
  close(): Promise<void>;
}
