/** The real disk: what a `Disk` promises, put together from single calls of the operating system.
 *
 * How a call is made is somebody else's business (`RunCall`): on the thread pool of the process
 * (`nodeDisk`, for readers and tools), or on a thread of its own (disk-thread.ts, for what others
 * wait for). Raw file descriptors, always explicit offsets. Nothing is retried.
 * @module */
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { MillraceError } from '../core/errors.ts';
import { allocatePages } from '../core/shared-memory.ts';
import { DIRECT_REFUSALS, openPastCache } from './cache-bypass.ts';
import type { Disk, DiskFile, WriteMode } from './disk.ts';
import type { FileSystemFacts } from './file-system-facts.ts';
import {
  O_CREAT,
  O_DIRECT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  errnoOf,
  pooledCall,
  sumBytes,
} from './system-calls.ts';
import type { RunCall } from './system-calls.ts';

/** More memory regions than this in one call are refused by the kernel (IOV_MAX on Linux). */
const VECTORS_MAX = 1024;
const PROBE_BYTES = 4096;
/** Offsets and lengths past the cache are multiples of it at least. */
const SECTOR_BYTES = 512;

export type AllocatePages = (bytes: number) => ArrayBuffer | SharedArrayBuffer;

let probeCount = 0;

/** A disk whose calls are made by `run`.
 * @param allocate zero-filled memory of at least so many bytes that starts on a page. */
export function diskOver(run: RunCall, allocate: AllocatePages): Disk {
  return { ...directories(run), ...files(run), ...directAccess(run, allocate) };
}

/** On the thread pool of the process: for readers and tools, for nothing that is waited for. */
export const nodeDisk: Disk = diskOver(pooledCall, allocatePages);

type DirectoryCalls = Pick<
  Disk,
  'makeDirectory' | 'list' | 'syncDirectory' | 'rename' | 'unlink' | 'removeTree' | 'freeBytes'
>;

function directories(run: RunCall): DirectoryCalls {
  return {
    async makeDirectory(path) {
      const { missing, existing } = await splitPath(run, path);
      await syncEntryOf(run, existing);
      for (const directory of missing) {
        await unless('EEXIST', run({ name: 'mkdir', path: directory, args: [directory] }));
        const parent = dirname(directory);
        await run({ name: 'syncDirectory', path: parent, args: [parent] });
      }
    },
    async list(path) {
      const names = await unless('ENOENT', run({ name: 'readdir', path, args: [path] }));
      return names?.toSorted();
    },
    syncDirectory: (path) => run({ name: 'syncDirectory', path, args: [path] }),
    rename: (from, to) => run({ name: 'rename', path: from, args: [from, to] }),
    unlink: (path) => unless('ENOENT', run({ name: 'unlink', path, args: [path] })),
    removeTree: (path) => run({ name: 'rm', path, args: [path] }),
    freeBytes: (path) => run({ name: 'statfs', path, args: [path] }),
  };
}

function files(run: RunCall): Pick<Disk, 'create' | 'open' | 'openForReading' | 'readWhole'> {
  return {
    create: (path, mode) => openFile(run, path, O_RDWR | O_CREAT | O_EXCL | modeFlag(mode)),
    open: (path, mode) => openFile(run, path, O_RDWR | modeFlag(mode)),
    openForReading(path, mode) {
      const open = (isDirect: boolean): Promise<NodeFile> =>
        openFile(run, path, O_RDONLY | modeFlag(isDirect ? 'direct' : 'buffered'));
      return mode === 'direct' ? openPastCache(open) : open(false);
    },
    async readWhole(path, bytesMax) {
      const args: [string, number] = [path, bytesMax];
      const found = await unless('ENOENT', run({ name: 'readWhole', path, args }));
      if (found !== undefined && found.bytes === undefined) {
        throw tooLarge(path, found.sizeBytes, bytesMax);
      }
      return found?.bytes;
    },
  };
}

function directAccess(
  run: RunCall,
  allocate: AllocatePages,
): Pick<Disk, 'supportsDirect' | 'allocateAligned'> {
  const allocateAligned = (bytes: number): Uint8Array => new Uint8Array(allocate(bytes), 0, bytes);
  return {
    async supportsDirect(directory) {
      if (O_DIRECT === 0) return false;
      probeCount += 1;
      const path = join(directory, `.direct-probe-${process.pid}-${threadId}-${probeCount}.tmp`);
      const remove = (): Promise<void> =>
        unless('ENOENT', run({ name: 'unlink', path, args: [path] }));
      await remove(); // left over by an earlier process of this number
      try {
        return await tryDirect(run, path, allocateAligned(PROBE_BYTES));
      } finally {
        await remove();
      }
    },
    allocateAligned,
  };
}

/** What the kernel says of the file system of an existing directory. */
export function statFileSystem(directory: string): Promise<FileSystemFacts> {
  return pooledCall({ name: 'statfsType', path: directory, args: [directory] });
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #run: RunCall;
  readonly #fd: number;

  constructor(run: RunCall, path: string, fd: number) {
    this.path = path;
    this.#run = run;
    this.#fd = fd;
  }

  async write(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    if (views.length <= VECTORS_MAX) return this.#writev('writev', views, positionBytes);
    let writtenBytes = 0;
    for (let first = 0; first < views.length; first += VECTORS_MAX) {
      const part = views.slice(first, first + VECTORS_MAX);
      const taken = await this.#writev('writev', part, positionBytes + writtenBytes);
      writtenBytes += taken;
      if (taken < sumBytes(part)) break;
    }
    return writtenBytes;
  }

  async writeSynced(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    if (views.length <= VECTORS_MAX) return this.#writev('writevSynced', views, positionBytes);
    const taken = await this.write(views, positionBytes);
    if (taken === sumBytes(views)) await this.sync();
    return taken;
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    const { path } = this;
    let readBytes = 0;
    while (readBytes < into.byteLength) {
      const rest = into.subarray(readBytes);
      const args = [this.#fd, rest, positionBytes + readBytes] as const;
      const got = await this.#run({ name: 'read', path, args: [...args] });
      readBytes += got;
      // The rest of a file that was read past the cache could not be asked for.
      if (got === 0 || got % SECTOR_BYTES !== 0) break;
    }
    return readBytes;
  }

  sync(): Promise<void> {
    return this.#run({ name: 'fdatasync', path: this.path, args: [this.#fd] });
  }

  syncAll(): Promise<void> {
    return this.#run({ name: 'fsync', path: this.path, args: [this.#fd] });
  }

  sizeBytes(): Promise<number> {
    return this.#run({ name: 'fstat', path: this.path, args: [this.#fd] });
  }

  close(): Promise<void> {
    return this.#run({ name: 'close', path: this.path, args: [this.#fd] });
  }

  #writev(
    name: 'writev' | 'writevSynced',
    views: readonly Uint8Array[],
    positionBytes: number,
  ): Promise<number> {
    return this.#run({ name, path: this.path, args: [this.#fd, views, positionBytes] });
  }
}

async function openFile(run: RunCall, path: string, flags: number): Promise<NodeFile> {
  return new NodeFile(run, path, await run({ name: 'open', path, args: [path, flags] }));
}

function modeFlag(mode: WriteMode): number {
  return mode === 'direct' ? O_DIRECT : 0;
}

/** The part of `path` that exists, and the directories below it that do not, outermost first. */
async function splitPath(
  run: RunCall,
  path: string,
): Promise<{ existing: string; missing: string[] }> {
  const missing: string[] = [];
  for (let directory = path; ; directory = dirname(directory)) {
    const found = run({ name: 'stat', path: directory, args: [directory] }).then(() => true);
    if ((await unless('ENOENT', found)) === true) {
      return { existing: directory, missing: missing.toReversed() };
    }
    missing.push(directory);
  }
}

/** An earlier run may have made `directory` and died before its entry was durable. */
async function syncEntryOf(run: RunCall, directory: string): Promise<void> {
  // A parent we may not even read was not made by us: its entries are somebody else's.
  const parent = dirname(directory);
  await unless('EACCES', run({ name: 'syncDirectory', path: parent, args: [parent] }));
}

function tooLarge(path: string, sizeBytes: number, bytesMax: number): MillraceError {
  return new MillraceError(
    'DISK_FAILED',
    `${path} has ${sizeBytes} bytes, more than the ${bytesMax} it may have`,
    { details: { path, call: 'read', sizeBytes, bytesMax } },
  );
}

async function tryDirect(run: RunCall, path: string, page: Uint8Array): Promise<boolean> {
  try {
    const file = await openFile(run, path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT);
    try {
      const isWritten = (await file.write([page], 0)) === page.byteLength;
      return isWritten && (await file.read(page, 0)) === page.byteLength;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (DIRECT_REFUSALS.has(errnoOf(thrown))) return false;
    throw thrown;
  }
}

/** Takes one errno as success without a value. */
async function unless<T>(errno: string, call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (thrown) {
    if (errnoOf(thrown) === errno) return undefined;
    throw thrown;
  }
}
