/** The real disk: raw file descriptors of node:fs, asynchronous calls, always explicit offsets.
 *
 * The engine's only importer of node:fs. Calls run on the thread pool of the process, never on the
 * caller's event loop. Nothing is retried. Descriptors opened in a worker thread are closed by
 * Node when the thread ends. A write without an offset is never made: two of them could interleave.
 * @module */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { MillraceError, toError } from '../core/errors.ts';
import { allocatePages } from '../core/shared-memory.ts';
import type { Disk, DiskFile, WriteMode } from './disk.ts';

/** More memory regions than this in one call are refused by the kernel (IOV_MAX on Linux). */
const VECTORS_MAX = 1024;
const PROBE_BYTES = 4096;
/** What file systems without direct I/O answer to opening with O_DIRECT or to using it. */
const DIRECT_REFUSALS: ReadonlySet<unknown> = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']);
const { O_CREAT, O_EXCL, O_RDONLY, O_RDWR } = fs.constants;
/** O_DIRECT, which the types promise everywhere and only Linux has. */
const DIRECT_FLAG = flagOf(fs.constants);

type Callback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

let probeCount = 0;

export const nodeDisk: Disk = {
  async makeDirectory(path) {
    const { missing, existing } = await splitPath(path);
    await syncEntryOf(existing);
    for (const directory of missing) {
      await call<void>('mkdir', directory, (done) => fs.mkdir(directory, ignoring('EEXIST', done)));
      await nodeDisk.syncDirectory(dirname(directory));
    }
  },

  async list(directory) {
    const names = await call<string[] | undefined>('readdir', directory, (done) =>
      fs.readdir(directory, ignoring('ENOENT', done)),
    );
    return names?.toSorted();
  },

  async syncDirectory(path) {
    const fd = await openFd(path, O_RDONLY);
    try {
      await call<void>('fsync', path, (done) => fs.fsync(fd, done));
    } finally {
      await closeFd(path, fd);
    }
  },

  async create(path, mode) {
    return new NodeFile(path, await openFd(path, O_RDWR | O_CREAT | O_EXCL | modeFlag(mode)));
  },

  async open(path, mode) {
    return new NodeFile(path, await openFd(path, O_RDWR | modeFlag(mode)));
  },

  async openForReading(path) {
    return new NodeFile(path, await openFd(path, O_RDONLY));
  },

  async readWhole(path, bytesMax) {
    const fd = await call<number | undefined>('open', path, (done) =>
      fs.open(path, O_RDONLY, ignoring('ENOENT', done)),
    );
    if (fd === undefined) return undefined;
    const file = new NodeFile(path, fd);
    try {
      return await readAll(file, bytesMax);
    } finally {
      await file.close();
    }
  },

  rename(from, to) {
    return call<void>('rename', from, (done) => fs.rename(from, to, done));
  },

  unlink(path) {
    return call<void>('unlink', path, (done) => fs.unlink(path, ignoring('ENOENT', done)));
  },

  removeTree(path) {
    return call<void>('rm', path, (done) => fs.rm(path, { recursive: true, force: true }, done));
  },

  async supportsDirect(directory) {
    if (DIRECT_FLAG === 0) return false;
    probeCount += 1;
    const path = join(directory, `.direct-probe-${process.pid}-${threadId}-${probeCount}.tmp`);
    await nodeDisk.unlink(path); // left over by an earlier process of this number
    try {
      return await tryDirect(path);
    } finally {
      await nodeDisk.unlink(path);
    }
  },

  allocateAligned(bytes) {
    return new Uint8Array(allocatePages(bytes), 0, bytes);
  },
};

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #fd: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  async write(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    let writtenBytes = 0;
    for (let first = 0; first < views.length; first += VECTORS_MAX) {
      const part = views.length <= VECTORS_MAX ? views : views.slice(first, first + VECTORS_MAX);
      const askedBytes = part.reduce((sum, view) => sum + view.byteLength, 0);
      const position = positionBytes + writtenBytes;
      const taken = await call<number>('writev', this.path, (done) =>
        fs.writev(this.#fd, part, position, done),
      );
      writtenBytes += taken;
      if (taken < askedBytes) break;
    }
    return writtenBytes;
  }

  async read(into: Uint8Array, positionBytes: number): Promise<number> {
    let readBytes = 0;
    while (readBytes < into.byteLength) {
      const from = readBytes;
      const got = await call<number>('read', this.path, (done) =>
        fs.read(this.#fd, into, from, into.byteLength - from, positionBytes + from, done),
      );
      if (got === 0) break;
      readBytes += got;
    }
    return readBytes;
  }

  sync(): Promise<void> {
    return call<void>('fdatasync', this.path, (done) => fs.fdatasync(this.#fd, done));
  }

  syncAll(): Promise<void> {
    return call<void>('fsync', this.path, (done) => fs.fsync(this.#fd, done));
  }

  async sizeBytes(): Promise<number> {
    const stats = await call<fs.Stats>('fstat', this.path, (done) => fs.fstat(this.#fd, done));
    return stats.size;
  }

  close(): Promise<void> {
    return closeFd(this.path, this.#fd);
  }
}

function modeFlag(mode: WriteMode): number {
  return mode === 'direct' ? DIRECT_FLAG : 0;
}

function flagOf(constants: { readonly O_DIRECT?: number }): number {
  return constants.O_DIRECT ?? 0;
}

function openFd(path: string, flags: number): Promise<number> {
  return call<number>('open', path, (done) => fs.open(path, flags, 0o644, done));
}

function closeFd(path: string, fd: number): Promise<void> {
  return call<void>('close', path, (done) => fs.close(fd, done));
}

/** The part of `path` that exists, and the directories below it that do not, outermost first. */
async function splitPath(path: string): Promise<{ existing: string; missing: string[] }> {
  const missing: string[] = [];
  for (let directory = path; ; directory = dirname(directory)) {
    const found = await call<fs.Stats | undefined>('stat', directory, (done) =>
      fs.stat(directory, ignoring('ENOENT', done)),
    );
    if (found !== undefined) return { existing: directory, missing: missing.toReversed() };
    missing.push(directory);
  }
}

/** An earlier run may have made `directory` and died before its entry was durable. */
async function syncEntryOf(directory: string): Promise<void> {
  try {
    await nodeDisk.syncDirectory(dirname(directory));
  } catch (thrown) {
    // A parent we may not even read was not made by us: its entries are somebody else's.
    const isForeign = thrown instanceof MillraceError && thrown.details['errno'] === 'EACCES';
    if (!isForeign) throw thrown;
  }
}

async function readAll(file: NodeFile, bytesMax: number): Promise<Uint8Array> {
  const sizeBytes = await file.sizeBytes();
  if (sizeBytes > bytesMax) {
    throw new MillraceError(
      'DISK_FAILED',
      `${file.path} has ${sizeBytes} bytes, more than the ${bytesMax} it may have`,
      { details: { path: file.path, call: 'read', sizeBytes, bytesMax } },
    );
  }
  const bytes = new Uint8Array(sizeBytes);
  return bytes.subarray(0, await file.read(bytes, 0));
}

async function tryDirect(path: string): Promise<boolean> {
  try {
    const file = await nodeDisk.create(path, 'direct');
    try {
      const page = nodeDisk.allocateAligned(PROBE_BYTES);
      const isWritten = (await file.write([page], 0)) === PROBE_BYTES;
      return isWritten && (await file.read(page, 0)) === PROBE_BYTES;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (thrown instanceof MillraceError && DIRECT_REFUSALS.has(thrown.details['errno'])) {
      return false;
    }
    throw thrown;
  }
}

/** One call of node:fs as a promise; its error says what was done to which path. */
function call<T>(name: string, path: string, run: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => {
      if (error) reject(diskError(error, name, path));
      else resolve(value as T);
    });
  });
}

/** A callback that takes one errno as success without a value. */
function ignoring<T>(errno: string, done: Callback<T>): Callback<T> {
  return (error, value) => {
    if (error?.code === errno) done(null);
    else done(error, value);
  };
}

function diskError(thrown: NodeJS.ErrnoException, name: string, path: string): MillraceError {
  const errno = thrown.code ?? 'unknown';
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new MillraceError(
    isFull ? 'DISK_FULL' : 'DISK_FAILED',
    isFull
      ? `no room on the device for ${path} (${name}: ${errno}): free some space`
      : `${name} of ${path} failed: ${errno}`,
    { cause: toError(thrown), details: { path, call: name, errno } },
  );
}
