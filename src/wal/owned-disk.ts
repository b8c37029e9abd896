/** A disk that serves its process only while the checkpoint directory belongs to it (I9).
 *
 *      create, open, write, rename, unlink …    refused when it does not
 *      sync                                     fails when it does not any more AFTER the sync
 *
 * The second rule is the one that keeps promises: an acknowledgement follows a sync of the driver
 * log, and whoever takes the directory over takes its lock before it reads a log. A sync that ended
 * while the directory was still ours is therefore one that the next owner sees. The first rule
 * keeps a process that was stopped for hours from renaming and removing files of the next owner.
 * Reading is nobody's harm and not looked at.
 * @module */
import type { Disk, DiskFile } from './disk.ts';
import { whyLost } from './lock-file.ts';
import type { LockFile } from './lock-file.ts';

/** @param lock taken by this process. @throws MillraceError DIRECTORY_LOCKED, from every call that
 *   would change something. */
export function ownedDisk(disk: Disk, lock: LockFile): Disk {
  const owned = new Owned(lock);
  const freeBytes = disk.freeBytes?.bind(disk);
  return {
    ...(freeBytes === undefined ? {} : { freeBytes }),
    list: (directory) => disk.list(directory),
    openForReading: (path, mode) => disk.openForReading(path, mode),
    readWhole: (path, bytesMax) => disk.readWhole(path, bytesMax),
    allocateAligned: (bytes) => disk.allocateAligned(bytes),
    makeDirectory: (path) => owned.before(() => disk.makeDirectory(path)),
    rename: (from, to) => owned.before(() => disk.rename(from, to)),
    unlink: (path) => owned.before(() => disk.unlink(path)),
    removeTree: (path) => owned.before(() => disk.removeTree(path)),
    supportsDirect: (directory) => owned.before(() => disk.supportsDirect(directory)),
    syncDirectory: (path) => owned.through(() => disk.syncDirectory(path)),
    create: (path, mode) =>
      owned.before(async () => ownedFile(await disk.create(path, mode), owned)),
    open: (path, mode) => owned.before(async () => ownedFile(await disk.open(path, mode), owned)),
  };
}

class Owned {
  readonly #lock: LockFile;

  constructor(lock: LockFile) {
    this.#lock = lock;
  }

  async before<T>(run: () => Promise<T>): Promise<T> {
    this.#check();
    return run();
  }

  async through<T>(run: () => Promise<T>): Promise<T> {
    const done = await run();
    this.#check();
    return done;
  }

  #check(): void {
    const error = whyLost(this.#lock);
    if (error !== undefined) throw error;
  }
}

function ownedFile(file: DiskFile, owned: Owned): DiskFile {
  const writeSynced = file.writeSynced?.bind(file);
  return {
    ...(writeSynced === undefined
      ? {}
      : {
          writeSynced: (views: readonly Uint8Array[], positionBytes: number) =>
            owned.before(() => owned.through(() => writeSynced(views, positionBytes))),
        }),
    path: file.path,
    write: (views, positionBytes) => owned.before(() => file.write(views, positionBytes)),
    read: (into, positionBytes) => file.read(into, positionBytes),
    sync: () => owned.through(() => file.sync()),
    syncAll: () => owned.through(() => file.syncAll()),
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  };
}
