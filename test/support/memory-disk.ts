/** A disk in memory that forgets what was not synced, tears writes, fails and dies on order.
 *
 *     file:       cached content   ── sync ──►  durable content        in sectors of 512 bytes
 *     directory:  current names    ── syncDirectory ──►  durable names
 *
 * `crash` is a power cut: of each unsynced sector, by the seed, the new bytes, the old or a torn
 * mix survive; of the unsynced name changes a prefix (journal) or any subset (what POSIX allows).
 * `kill` is the death of the process alone: the cache and its dirt stay. After both, calls of
 * before never settle, and old files are of no use. A failed sync calls its pages clean without
 * having written them, so that a second sync succeeds and lies, as Linux does.
 * Names are durable at once only for directories. @module */
import { dirname } from 'node:path';
import { MillraceError } from '../../src/core/errors.ts';
import type { Random } from '../../src/core/random.ts';
import type { Disk, DiskFile, WriteMode } from '../../src/wal/disk.ts';

const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;

export type CallKind =
  | 'create'
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'syncDirectory'
  | 'rename'
  | 'unlink'
  | 'any';

/** What happens to a call. `short`: a write takes half; any other call fails. `crash`: it may have
 * had its effect or not, and nothing follows. */
export type FaultEffect = 'EIO' | 'ENOSPC' | 'short' | 'crash';

interface Fault {
  readonly kind: CallKind;
  readonly effect: FaultEffect;
  readonly isSticky: boolean;
  callsLeft: number;
}

/** How a power cut treats what was not synced. */
export type CrashModel = 'journal' | 'posix' | 'keep-all' | 'drop-all';

class Inode {
  cached = new Uint8Array(0);
  durable = new Uint8Array(0);
  readonly dirty = new Set<number>();

  write(bytes: Uint8Array, at: number): void {
    if (at + bytes.byteLength > this.cached.byteLength)
      this.cached = grown(this.cached, at + bytes.byteLength);
    this.cached.set(bytes, at);
    const last = Math.floor((at + bytes.byteLength - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(at / SECTOR_BYTES); sector <= last; sector += 1)
      this.dirty.add(sector);
  }

  sync(): void {
    this.durable = grown(this.durable, this.cached.byteLength);
    for (const sector of this.dirty) {
      const from = sector * SECTOR_BYTES;
      this.durable.set(this.cached.subarray(from, from + SECTOR_BYTES), from);
    }
    this.dirty.clear();
  }

  crash(random: Random, model: CrashModel): void {
    const isLonger = model === 'keep-all' || (model !== 'drop-all' && random.next() < 0.5);
    const length = isLonger ? this.cached.byteLength : this.durable.byteLength;
    const survived = grown(this.durable, length).slice(0, length);
    for (const sector of [...this.dirty].toSorted((a, b) => a - b)) {
      const from = sector * SECTOR_BYTES;
      if (from >= length) continue;
      const fresh = this.cached.subarray(from, Math.min(from + SECTOR_BYTES, length));
      survived.set(fresh.subarray(0, survivingBytes(fresh.byteLength, random, model)), from);
    }
    this.durable = survived;
    this.cached = survived.slice();
    this.dirty.clear();
  }
}

interface NameChange {
  readonly remove?: string;
  readonly add?: readonly [name: string, inode: Inode];
}

class Directory {
  current = new Map<string, Inode>();
  durable = new Map<string, Inode>();
  changes: NameChange[] = [];

  change(change: NameChange): void {
    this.changes.push(change);
    apply(this.current, change);
  }

  sync(): void {
    this.durable = new Map(this.current);
    this.changes = [];
  }

  crash(random: Random, model: CrashModel): void {
    const cut = Math.floor(random.next() * (this.changes.length + 1));
    for (const [index, change] of this.changes.entries()) {
      const isKept =
        model === 'keep-all' ||
        (model === 'journal' && index < cut) ||
        (model === 'posix' && random.next() < 0.5);
      if (isKept) apply(this.durable, change);
    }
    this.current = new Map(this.durable);
    this.changes = [];
  }
}

export class MemoryDisk implements Disk {
  readonly #directories = new Map<string, Directory>();
  readonly #faults: Fault[] = [];
  #generation = 0;
  #isDead = false;
  #deathWatchers: (() => void)[] = [];
  /** Calls so far, by kind. */
  readonly counts: Record<CallKind, number> = {
    create: 0,
    open: 0,
    read: 0,
    write: 0,
    sync: 0,
    syncDirectory: 0,
    rename: 0,
    unlink: 0,
    any: 0,
  };

  /** Lets the `k`-th call of `kind` from now (1 is the next) fail. */
  failCall(kind: CallKind, k: number, effect: FaultEffect): void {
    this.#faults.push({ kind, effect, callsLeft: k, isSticky: false });
  }

  /** Lets every call of `kind` fail, from the next one on. */
  failAll(kind: CallKind, effect: FaultEffect): void {
    this.#faults.push({ kind, effect, callsLeft: 1, isSticky: true });
  }

  /** Forgets all orders of `failCall`. */
  heal(): void {
    this.#faults.length = 0;
  }

  /** Resolves when an ordered crash happens, or has. Follow it with `crash`: until then no call
   * settles. */
  untilCrash(): Promise<void> {
    if (this.#isDead) return Promise.resolve();
    return new Promise((resolve) => this.#deathWatchers.push(resolve));
  }

  /** Power cut. */
  crash(random: Random, model: CrashModel): void {
    this.kill();
    const inodes = new Set<Inode>();
    for (const directory of this.#directories.values()) {
      for (const inode of directory.current.values()) inodes.add(inode);
      for (const inode of directory.durable.values()) inodes.add(inode);
      directory.crash(random, model);
    }
    for (const inode of inodes) inode.crash(random, model);
  }

  /** Death of the process: what it had under way ends, the operating system lives on. */
  kill(): void {
    this.#generation += 1;
    this.#isDead = false;
    this.#deathWatchers = [];
    this.heal();
  }

  /** This disk as one process sees it: after `kill` or `crash` none of its calls settles, also not
   * those that the process has not made yet. */
  attach(): Disk {
    const generation = this.#generation;
    const alive = <T>(call: () => Promise<T>): Promise<T> =>
      this.#generation === generation ? call() : new Promise(() => {});
    return {
      makeDirectory: (path) => alive(() => this.makeDirectory(path)),
      list: (directory) => alive(() => this.list(directory)),
      syncDirectory: (path) => alive(() => this.syncDirectory(path)),
      create: (path, mode) => alive(() => this.create(path, mode)),
      open: (path, mode) => alive(() => this.open(path, mode)),
      openForReading: (path) => alive(() => this.openForReading(path)),
      readWhole: (path, bytesMax) => alive(() => this.readWhole(path, bytesMax)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      unlink: (path) => alive(() => this.unlink(path)),
      removeTree: (path) => alive(() => this.removeTree(path)),
      supportsDirect: () => this.supportsDirect(),
      allocateAligned: (bytes) => this.allocateAligned(bytes),
    };
  }

  /** The bytes of a file as they are now, to be looked at or damaged. */
  contentOf(path: string): Uint8Array {
    return this.#inodeOf(path, 'look').cached;
  }

  /** Replaces a file's content, durably: rot, or a hand that shortened it. */
  overwrite(path: string, bytes: Uint8Array): void {
    const inode = this.#inodeOf(path, 'overwrite');
    inode.cached = bytes.slice();
    inode.durable = bytes.slice();
    inode.dirty.clear();
  }

  makeDirectory(path: string): Promise<void> {
    return this.#call('any', path, () => {
      if (!this.#directories.has(path)) this.#directories.set(path, new Directory());
    });
  }

  list(directory: string): Promise<readonly string[] | undefined> {
    return this.#call('any', directory, () => {
      const found = this.#directories.get(directory);
      if (found === undefined) return undefined;
      const inner = [...this.#directories.keys()].filter((path) => dirname(path) === directory);
      return [...found.current.keys(), ...inner.map(nameOf)].toSorted();
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#call('syncDirectory', path, () => this.#directoryOf(`${path}/x`).sync());
  }

  create(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#call('create', path, () => {
      const directory = this.#directoryOf(path);
      if (directory.current.has(nameOf(path))) throw failure('EEXIST', 'create', path);
      const inode = new Inode();
      directory.change({ add: [nameOf(path), inode] });
      return this.#fileOf(inode, path, mode);
    });
  }

  open(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#call('open', path, () => this.#fileOf(this.#inodeOf(path, 'open'), path, mode));
  }

  openForReading(path: string): Promise<DiskFile> {
    return this.open(path, 'buffered');
  }

  readWhole(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    return this.#call('read', path, () => {
      const cached = this.#directories.get(dirname(path))?.current.get(nameOf(path))?.cached;
      if (cached !== undefined && cached.byteLength > bytesMax)
        throw failure('EFBIG', 'read', path);
      return cached?.slice();
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', from, () => {
      const inode = this.#inodeOf(from, 'rename');
      this.#directoryOf(from).change({ remove: nameOf(from), add: [nameOf(to), inode] });
    });
  }

  unlink(path: string): Promise<void> {
    return this.#call('unlink', path, () => {
      const directory = this.#directoryOf(path);
      if (directory.current.has(nameOf(path))) directory.change({ remove: nameOf(path) });
    });
  }

  removeTree(path: string): Promise<void> {
    return this.#call('unlink', path, () => {
      for (const directory of this.#directories.keys()) {
        const isInside = directory === path || directory.startsWith(`${path}/`);
        if (isInside) this.#directories.delete(directory);
      }
    });
  }

  supportsDirect(): Promise<boolean> {
    return Promise.resolve(true);
  }

  allocateAligned(bytes: number): Uint8Array {
    return new Uint8Array(bytes);
  }

  #fileOf(inode: Inode, path: string, mode: WriteMode): DiskFile {
    const generation = this.#generation; // a file dies with the process that opened it
    const call = <T>(kind: CallKind, act: (fault?: FaultEffect) => T): Promise<T> =>
      this.#generation === generation ? this.#call(kind, path, act) : new Promise(() => {});
    const sync = (): Promise<void> =>
      call('sync', (fault) => {
        if (fault === undefined) inode.sync();
        else inode.dirty.clear();
      });
    return {
      path,
      async write(views, positionBytes) {
        if (mode === 'direct') checkAligned(views, positionBytes, path);
        const bytes = Buffer.concat(views);
        return call('write', (fault) => {
          const taken = fault === undefined ? bytes.byteLength : Math.floor(bytes.byteLength / 2);
          inode.write(bytes.subarray(0, taken), positionBytes);
          return taken;
        });
      },
      read(into, positionBytes) {
        return call('read', () => {
          const part = inode.cached.subarray(positionBytes, positionBytes + into.byteLength);
          into.set(part);
          return part.byteLength;
        });
      },
      sync,
      syncAll: sync,
      sizeBytes: () => call('any', () => inode.cached.byteLength),
      close: () => call('any', () => {}),
    };
  }

  /** Counts the call, lets time pass, and does it, or what was ordered instead. What `act` does is
   * done at once: a crash comes before or after it. A failing call has done half of its work. */
  async #call<T>(kind: CallKind, path: string, act: (fault?: FaultEffect) => T): Promise<T> {
    const generation = this.#generation;
    this.counts[kind] += 1;
    const fault = this.#dueFault(kind);
    if (fault === 'crash') {
      if (kind === 'write') act(fault); // its bytes may reach the device
      this.#isDead = true;
      for (const tell of this.#deathWatchers.splice(0)) tell();
    }
    await Promise.resolve();
    if (this.#isDead || this.#generation !== generation) return new Promise(() => {});
    const isFailing = fault !== undefined && !(fault === 'short' && kind === 'write');
    if (isFailing && (kind === 'write' || kind === 'sync')) act(fault);
    if (isFailing) throw failure(fault, kind, path);
    return act(fault);
  }

  #dueFault(kind: CallKind): FaultEffect | undefined {
    let due: FaultEffect | undefined;
    for (const fault of this.#faults) {
      if (fault.kind !== kind && fault.kind !== 'any') continue;
      fault.callsLeft -= 1;
      if (fault.callsLeft === 0 || (fault.callsLeft < 0 && fault.isSticky)) due = fault.effect;
    }
    return due;
  }

  #directoryOf(path: string): Directory {
    const directory = this.#directories.get(dirname(path));
    if (directory === undefined) throw failure('ENOENT', 'open', path);
    return directory;
  }

  #inodeOf(path: string, call: string): Inode {
    const inode = this.#directoryOf(path).current.get(nameOf(path));
    if (inode === undefined) throw failure('ENOENT', call, path);
    return inode;
  }
}

function apply(names: Map<string, Inode>, { remove, add }: NameChange): void {
  if (remove !== undefined) names.delete(remove);
  if (add !== undefined) names.set(add[0], add[1]);
}

/** How much of a dirty sector survives: all, nothing, or a torn part. */
function survivingBytes(length: number, random: Random, model: CrashModel): number {
  if (model === 'keep-all') return length;
  if (model === 'drop-all') return 0;
  const chance = random.next();
  if (chance < 0.4) return length;
  return chance < 0.8 ? 0 : Math.floor(random.next() * length);
}

function checkAligned(views: readonly Uint8Array[], positionBytes: number, path: string): void {
  const numbers = views.flatMap((view) => [view.byteOffset, view.byteLength]);
  const isAligned = [positionBytes, ...numbers].every((number) => number % PAGE_BYTES === 0);
  if (!isAligned) throw failure('EINVAL', 'write', path);
}

function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (bytes.byteLength >= length) return bytes;
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function failure(errno: string, call: string, path: string): MillraceError {
  const code = errno === 'ENOSPC' ? 'DISK_FULL' : 'DISK_FAILED';
  return new MillraceError(code, `${call} of ${path}: ${errno}`, {
    details: { path, call, errno },
  });
}
