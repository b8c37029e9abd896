/** One disk over two places: every change is made in both, at the same time.
 *
 *     write, sync, rename … ─┬─► <first directory>/driver-log/…      done when BOTH are done,
 *                            └─► <second directory>/driver-log/…     failed when one has failed
 *
 * Paths are those of the first place; the second has the same tree below its own directory, and a
 * path there means the same entry. What a caller acknowledges after a sync is in both, and either
 * one is enough to recover. A place that fails is not gone on without: the error names it, its
 * caller poisons the log. Reads come from one place, by default the first; `readFrom` sets it for
 * each entry of the directory, while a start has not made the two equal yet (home-copies.ts of the
 * driver). Both calls of a pair are waited for, also when one has failed: memory that is still
 * being written is nobody's to reuse.
 * @module */
import { dirname, isAbsolute, join, relative } from 'node:path';
import { MillraceError } from '../core/errors.ts';
import type { Disk, DiskFile, WriteMode } from './disk.ts';
import { sumBytes } from './system-calls.ts';

/** One of the two places. */
export interface Copy {
  readonly disk: Disk;
  /** Absolute. */
  readonly directory: string;
}

export type Copies = readonly [Copy, Copy];
export type CopyIndex = 0 | 1;

export class MirroredDisk implements Disk {
  readonly #copies: Copies;
  readonly #readSides = new Map<string, CopyIndex>();
  #readSide: CopyIndex = 0;
  /** Whether a place takes direct writes; asked once, when it matters first. */
  readonly #direct: (Promise<boolean> | undefined)[] = [];

  constructor(copies: Copies) {
    this.#copies = copies;
  }

  /** From now on reads come from `side`: of one entry of the directory (`driver-log`, `MANIFEST`),
   * or of all that have no choice of their own. */
  readFrom(side: CopyIndex, entry?: string): void {
    if (entry === undefined) this.#readSide = side;
    else this.#readSides.set(entry, side);
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#both(path, ({ disk }, at) => disk.makeDirectory(at));
  }

  /** Of the directory itself: the entries as they are read, each from its place. */
  async list(directory: string): Promise<readonly string[] | undefined> {
    if (this.#entryOf(directory) !== '') return this.#read(directory, (disk, at) => disk.list(at));
    const lists = await this.#both(directory, ({ disk }, at) => disk.list(at));
    if (lists.every((names) => names === undefined)) return undefined;
    const names = new Set(lists.flatMap((each) => each ?? []));
    return [...names].filter((name) => lists[this.#sideOf(name)]?.includes(name)).toSorted();
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#both(path, ({ disk }, at) => disk.syncDirectory(at));
  }

  create(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#openBoth(path, async (copy, at, index) =>
      copy.disk.create(at, await this.#modeOf(index, mode)),
    );
  }

  open(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#openBoth(path, async (copy, at, index) =>
      copy.disk.open(at, await this.#modeOf(index, mode)),
    );
  }

  openForReading(path: string, mode?: WriteMode): Promise<DiskFile> {
    return this.#read(path, (disk, at) => disk.openForReading(at, mode));
  }

  readWhole(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    return this.#read(path, (disk, at) => disk.readWhole(at, bytesMax));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#both(from, ({ disk }, at, index) => disk.rename(at, this.#place(to, index)));
  }

  async unlink(path: string): Promise<void> {
    await this.#both(path, ({ disk }, at) => disk.unlink(at));
  }

  async removeTree(path: string): Promise<void> {
    await this.#both(path, ({ disk }, at) => disk.removeTree(at));
  }

  /** In the place that has less. */
  async freeBytes(directory: string): Promise<number> {
    const free = await this.#both(directory, async ({ disk }, at) => disk.freeBytes?.(at));
    return Math.min(...free.map((bytes) => bytes ?? Number.POSITIVE_INFINITY));
  }

  /** True when one of the places takes them: aligned memory does the other no harm. */
  async supportsDirect(): Promise<boolean> {
    return (await this.#supportsDirect(0)) || this.#supportsDirect(1);
  }

  allocateAligned(bytes: number): Uint8Array {
    return this.#copies[0].disk.allocateAligned(bytes);
  }

  async #modeOf(index: CopyIndex, mode: WriteMode): Promise<WriteMode> {
    return mode === 'direct' && (await this.#supportsDirect(index)) ? 'direct' : 'buffered';
  }

  #supportsDirect(index: CopyIndex): Promise<boolean> {
    const { disk, directory } = this.#copies[index];
    return (this.#direct[index] ??= disk.supportsDirect(directory));
  }

  async #openBoth(
    path: string,
    open: (copy: Copy, at: string, index: CopyIndex) => Promise<DiskFile>,
  ): Promise<DiskFile> {
    const opened: DiskFile[] = [];
    try {
      const files = await this.#both(path, async (copy, at, index) => {
        const file = await open(copy, at, index);
        opened.push(file);
        return file;
      });
      return new MirroredFile(files, this.#sideOf(this.#entryOf(path)));
    } catch (thrown) {
      await Promise.allSettled(opened.map((file) => file.close()));
      throw thrown;
    }
  }

  #both<T>(
    path: string,
    run: (copy: Copy, at: string, index: CopyIndex) => Promise<T>,
  ): Promise<readonly [T, T]> {
    const [first, second] = this.#copies;
    return settleBoth(run(first, this.#place(path, 0), 0), run(second, this.#place(path, 1), 1));
  }

  #read<T>(path: string, run: (disk: Disk, at: string) => Promise<T>): Promise<T> {
    const side = this.#sideOf(this.#entryOf(path));
    return run(this.#copies[side].disk, this.#place(path, side));
  }

  #sideOf(entry: string): CopyIndex {
    return this.#readSides.get(entry) ?? this.#readSide;
  }

  /** First part of the path below the directory; empty for the directory itself. */
  #entryOf(path: string): string {
    return this.#inside(path).replace(/\/.*$/s, '');
  }

  #place(path: string, index: CopyIndex): string {
    return join(this.#copies[index].directory, this.#inside(path));
  }

  /** Also of a path in the second place: a file that was read there says so, and errors name it. */
  #inside(path: string): string {
    for (const { directory } of this.#copies) {
      const inside = relative(directory, path);
      if (!inside.startsWith('..') && !isAbsolute(inside)) return inside;
    }
    throw new MillraceError(
      'BROKEN_INVARIANT',
      `${path} is not below ${this.#copies[0].directory}: it has no second place`,
    );
  }
}

class MirroredFile implements DiskFile {
  readonly path: string;
  readonly #files: readonly [DiskFile, DiskFile];
  readonly #readFile: DiskFile;

  constructor(files: readonly [DiskFile, DiskFile], readSide: CopyIndex) {
    this.path = files[0].path;
    this.#files = files;
    this.#readFile = files[readSide];
  }

  /** @throws {MillraceError} DISK_FULL when a place took less than all of it: a count for both
   *   would not tell which. */
  async write(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    return this.#whole(views, await this.#both((file) => file.write(views, positionBytes)));
  }

  /** Neither place waits for the other between its write and its sync. @throws as `write`. */
  async writeSynced(views: readonly Uint8Array[], positionBytes: number): Promise<number> {
    return this.#whole(
      views,
      await this.#both((file) => writeSyncedOf(file, views, positionBytes)),
    );
  }

  read(into: Uint8Array, positionBytes: number): Promise<number> {
    return this.#readFile.read(into, positionBytes);
  }

  async sync(): Promise<void> {
    await this.#both((file) => file.sync());
  }

  async syncAll(): Promise<void> {
    await this.#both((file) => file.syncAll());
  }

  sizeBytes(): Promise<number> {
    return this.#readFile.sizeBytes();
  }

  async close(): Promise<void> {
    await this.#both((file) => file.close());
  }

  #whole(views: readonly Uint8Array[], taken: readonly [number, number]): number {
    const askedBytes = sumBytes(views);
    for (const [index, bytes] of taken.entries()) {
      if (bytes < askedBytes) throw fullPlace(this.#files[index as CopyIndex], askedBytes, bytes);
    }
    return askedBytes;
  }

  #both<T>(run: (file: DiskFile) => Promise<T>): Promise<readonly [T, T]> {
    return settleBoth(run(this.#files[0]), run(this.#files[1]));
  }
}

async function writeSyncedOf(
  file: DiskFile,
  views: readonly Uint8Array[],
  positionBytes: number,
): Promise<number> {
  if (file.writeSynced !== undefined) return file.writeSynced(views, positionBytes);
  const taken = await file.write(views, positionBytes);
  if (taken === sumBytes(views)) await file.sync();
  return taken;
}

/** Waits for both, then tells the first failure; of two the one that is no shortage of room, which
 * callers may take for a reason to try again. */
async function settleBoth<T>(first: Promise<T>, second: Promise<T>): Promise<readonly [T, T]> {
  const [one, other] = await Promise.allSettled([first, second]);
  if (one.status === 'rejected' && other.status === 'rejected') {
    throw isShortage(one.reason) ? other.reason : one.reason;
  }
  if (one.status === 'rejected') throw one.reason;
  if (other.status === 'rejected') throw other.reason;
  return [one.value, other.value];
}

function isShortage(reason: unknown): boolean {
  return reason instanceof MillraceError && reason.code === 'DISK_FULL';
}

function fullPlace({ path }: DiskFile, asked: number, taken: number): MillraceError {
  return new MillraceError(
    'DISK_FULL',
    `a write to ${path} took ${taken} of ${asked} bytes: the disk of ${dirname(path)} is ` +
      'full, or it fails',
    { details: { path, call: 'write', asked, taken } },
  );
}
