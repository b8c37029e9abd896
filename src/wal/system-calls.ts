/** Every call of node:fs that the engine makes on its own files, and the two ways to make it here.
 *
 *     pooledCall   on the thread pool of the process: does not block the caller, but waits behind
 *                  whatever else uses the pool's four threads (dns, zlib, crypto, users' files)
 *     makeCall     at once, on the thread that asks: what a disk thread does
 *
 * The engine's only importer of node:fs. Nothing is retried, offsets are always explicit: two
 * writes without one could interleave. A descriptor belongs to the thread that opened it: Node
 * closes it when that thread ends, and the number may then mean another file.
 * @module */
import fs from 'node:fs';
import { callbackify } from 'node:util';
import { MillraceError, toError } from '../core/errors.ts';
import type { FileSystemFacts } from './file-system-facts.ts';

export const O_CREAT: number = fs.constants.O_CREAT;
export const O_EXCL: number = fs.constants.O_EXCL;
export const O_RDONLY: number = fs.constants.O_RDONLY;
export const O_RDWR: number = fs.constants.O_RDWR;
/** 0 where there is no direct I/O; the types promise it everywhere, and only Linux has it. */
export const O_DIRECT: number = directFlag(fs.constants);

const FILE_PERMISSIONS = 0o644;

/** Takes at most 1024 views (IOV_MAX of Linux). @returns the bytes that the kernel took. */
type WriteCall = (fd: number, views: readonly Uint8Array[], positionBytes: number) => number;

/** What `readWhole` found: without `bytes` when they are more than was asked for. */
interface WholeFile {
  readonly sizeBytes: number;
  readonly bytes?: Uint8Array;
}

/** The calls by name. Some are several of the kernel's, because a message to a disk thread costs
 * its sender more than most calls cost the thread. Where one takes a path, it is the first argument
 * of `RunCall` too. */
export interface SystemCalls {
  open(path: string, flags: number): number;
  close(fd: number): void;
  writev: WriteCall;
  /** `writev`, and `fdatasync` when everything was taken. */
  writevSynced: WriteCall;
  read(fd: number, into: Uint8Array, positionBytes: number): number;
  fdatasync(fd: number): void;
  fsync(fd: number): void;
  /** @returns the length of the file. */
  fstat(fd: number): number;
  /** `fsync` of a directory, opened for it and closed again. */
  syncDirectory(path: string): void;
  /** All of a file, opened for it and closed again. A larger one is not read. */
  readWhole(path: string, bytesMax: number): WholeFile;
  stat(path: string): void;
  /** What file system a directory is on. */
  statfsType(directory: string): FileSystemFacts;
  mkdir(path: string): void;
  readdir(path: string): readonly string[];
  rename(from: string, to: string): void;
  unlink(path: string): void;
  /** A directory with all that is in it. */
  rm(path: string): void;
  /** @returns the free bytes of a file system; of one that has no size, infinitely many. */
  statfs(path: string): number;
}

export type CallName = keyof SystemCalls;
type Arguments<N extends CallName> = Parameters<SystemCalls[N]>;
type Result<N extends CallName> = ReturnType<SystemCalls[N]>;

/** Which call, on what, and its arguments. */
export interface CallOf<N extends CallName> {
  readonly name: N;
  /** Of the file that is meant, for messages. */
  readonly path: string;
  readonly args: Arguments<N>;
}

/** Makes one call somewhere. @throws {MillraceError} DISK_FULL, DISK_FAILED. */
export type RunCall = <N extends CallName>(call: CallOf<N>) => Promise<Result<N>>;

const syncCalls: SystemCalls = {
  open: (path, flags) => fs.openSync(path, flags, FILE_PERMISSIONS),
  close: (fd) => fs.closeSync(fd),
  writev: (fd, views, positionBytes) => fs.writevSync(fd, views, positionBytes),
  writevSynced(fd, views, positionBytes) {
    const takenBytes = fs.writevSync(fd, views, positionBytes);
    if (takenBytes === sumBytes(views)) fs.fdatasyncSync(fd);
    return takenBytes;
  },
  read: (fd, into, positionBytes) => fs.readSync(fd, into, 0, into.byteLength, positionBytes),
  fdatasync: (fd) => fs.fdatasyncSync(fd),
  fsync: (fd) => fs.fsyncSync(fd),
  fstat: (fd) => fs.fstatSync(fd).size,
  syncDirectory: (path) => withFile(path, (fd) => fs.fsyncSync(fd)),
  readWhole: (path, bytesMax) => withFile(path, (fd) => readFrom(fd, bytesMax)),
  stat: (path) => void fs.statSync(path),
  statfsType: (path) => ({ magic: fs.statfsSync(path).type, device: fs.statSync(path).dev }),
  mkdir: (path) => fs.mkdirSync(path),
  readdir: (path) => fs.readdirSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  unlink: (path) => fs.unlinkSync(path),
  rm: (path) => fs.rmSync(path, { recursive: true, force: true }),
  statfs: (path) => freeBytes(fs.statfsSync(path)),
};

function withFile<T>(path: string, use: (fd: number) => T): T {
  const fd = fs.openSync(path, O_RDONLY);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function readFrom(fd: number, bytesMax: number): WholeFile {
  const { size: sizeBytes } = fs.fstatSync(fd);
  if (sizeBytes > bytesMax) return { sizeBytes };
  const bytes = new Uint8Array(sizeBytes);
  let readBytes = 0;
  while (readBytes < sizeBytes) {
    const got = fs.readSync(fd, bytes, readBytes, sizeBytes - readBytes, readBytes);
    if (got === 0) break;
    readBytes += got;
  }
  return { sizeBytes, bytes: bytes.subarray(0, readBytes) };
}

/** The same on the pool of threads. */
async function withFilePooled<T>(
  path: string,
  use: (file: fs.promises.FileHandle) => Promise<T>,
): Promise<T> {
  const file = await fs.promises.open(path, O_RDONLY);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

function pooledSyncDirectory(path: string): Promise<void> {
  return withFilePooled(path, (directory) => directory.sync());
}

function pooledReadWhole(path: string, bytesMax: number): Promise<WholeFile> {
  return withFilePooled(path, async (file) => {
    const { size: sizeBytes } = await file.stat();
    if (sizeBytes > bytesMax) return { sizeBytes };
    return { sizeBytes, bytes: await file.readFile() };
  });
}

const syncDirectoryPooled = callbackify(pooledSyncDirectory);
const readWholePooled = callbackify(pooledReadWhole);

type Callback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;
type PooledCalls = {
  readonly [N in CallName]: (args: Arguments<N>, done: Callback<Result<N>>) => void;
};

const pooledCalls: PooledCalls = {
  open: ([path, flags], done) => fs.open(path, flags, FILE_PERMISSIONS, done),
  close: ([fd], done) => fs.close(fd, done),
  writev: ([fd, views, positionBytes], done) => fs.writev(fd, views, positionBytes, done),
  writevSynced([fd, views, positionBytes], done) {
    fs.writev(fd, views, positionBytes, (error, takenBytes) => {
      if (error || takenBytes < sumBytes(views)) done(error, takenBytes);
      else fs.fdatasync(fd, (syncError) => done(syncError, takenBytes));
    });
  },
  read: ([fd, into, positionBytes], done) =>
    fs.read(fd, into, 0, into.byteLength, positionBytes, done),
  fdatasync: ([fd], done) => fs.fdatasync(fd, done),
  fsync: ([fd], done) => fs.fsync(fd, done),
  fstat: ([fd], done) => fs.fstat(fd, (error, stats) => done(error, error ? 0 : stats.size)),
  syncDirectory: ([path], done) => syncDirectoryPooled(path, done),
  readWhole: ([path, bytesMax], done) => readWholePooled(path, bytesMax, done),
  stat: ([path], done) => fs.stat(path, (error) => done(error)),
  statfsType([path], done) {
    fs.statfs(path, (error, found) => {
      if (error) done(error);
      else fs.stat(path, (failed, at) => done(failed, factsOf(found, failed ? undefined : at)));
    });
  },
  mkdir: ([path], done) => fs.mkdir(path, done),
  readdir: ([path], done) => fs.readdir(path, done),
  rename: ([from, to], done) => fs.rename(from, to, done),
  unlink: ([path], done) => fs.unlink(path, done),
  rm: ([path], done) => fs.rm(path, { recursive: true, force: true }, done),
  statfs: ([path], done) =>
    fs.statfs(path, (error, stats) => done(error, error ? 0 : freeBytes(stats))),
};

/** Makes the call and returns when the kernel has. @throws as `RunCall`. */
export function makeCall<N extends CallName>({ name, path, args }: CallOf<N>): Result<N> {
  const run = syncCalls[name] as (...given: Arguments<N>) => Result<N>;
  try {
    return run(...args);
  } catch (thrown) {
    throw diskError(thrown, name, path);
  }
}

export const pooledCall: RunCall = <N extends CallName>({ name, path, args }: CallOf<N>) =>
  new Promise<Result<N>>((resolve, reject) => {
    pooledCalls[name](args, (error, value) => {
      if (error) reject(diskError(error, name, path));
      else resolve(value as Result<N>);
    });
  });

/** The errno of a failed call; `undefined` for any other error. */
export function errnoOf(thrown: unknown): string | undefined {
  const errno = thrown instanceof MillraceError ? thrown.details['errno'] : undefined;
  return typeof errno === 'string' ? errno : undefined;
}

export function sumBytes(views: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const view of views) bytes += view.byteLength;
  return bytes;
}

function factsOf({ type }: fs.StatsFs, at: fs.Stats | undefined): FileSystemFacts {
  return { magic: type, device: at?.dev ?? 0 };
}

/** A file system without a size says 0 of 0. */
function freeBytes({ blocks, bavail, bsize }: fs.StatsFs): number {
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

function directFlag(constants: { readonly O_DIRECT?: number }): number {
  return constants.O_DIRECT ?? 0;
}

/** Whose failure names the one of their calls that failed. */
const PARTS: ReadonlySet<CallName> = new Set(['syncDirectory', 'readWhole']);

function diskError(thrown: unknown, name: CallName, path: string): MillraceError {
  const cause = toError(thrown);
  const errno = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  const isFull = errno === 'ENOSPC' || errno === 'EDQUOT';
  const call = PARTS.has(name) ? ((cause as NodeJS.ErrnoException).syscall ?? name) : name;
  return new MillraceError(
    isFull ? 'DISK_FULL' : 'DISK_FAILED',
    isFull
      ? `no room on the device for ${path} (${call}: ${errno}): free some space`
      : `${call} of ${path} failed: ${errno}`,
    { cause, details: { path, call, errno } },
  );
}
