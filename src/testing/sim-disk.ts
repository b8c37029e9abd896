/** A disk in memory that forgets what was not synced, tears writes, fills up, fails and dies.
 *
 *     SimDisk ─► SimProcess (the calls of one process) ─► SimFile
 *        └─► SimTree: directories and their names ─► SimInode: content ─► Survival: a power cut
 *
 * `crash` is a power cut; `kill` is the death of the process alone: the page cache and its dirt
 * stay. After both, calls of before never settle and old files are of no use. Every choice comes
 * from a seed. A failed sync loses data, and a second one succeeds and lies, as on Linux. A failed
 * sync of a directory leaves its changes pending: file systems stop altogether when their journal
 * fails. Calls take effect in the order in which they were made. @module */
import type { Random } from '../core/random.ts';
import { seededRandom } from '../core/random.ts';
import type { Disk, DiskFile, WriteMode } from '../wal/disk.ts';
import { randomSurvival } from './crash-survival.ts';
import type { CrashModel, Survival } from './crash-survival.ts';
import { FaultPlan } from './fault-plan.ts';
import type { CallKind, FaultEffect, FaultOrder } from './fault-plan.ts';
import { simError } from './sim-errors.ts';
import type { SimCall, SimMachine } from './sim-file.ts';
import type { FailedSyncPersonality, SimInode } from './sim-inode.ts';
import { SimProcess } from './sim-process.ts';
import { SimTree } from './sim-tree.ts';

export interface SimDiskOptions {
  /** What the device writes as one piece, unless it tears it. @defaultValue 512 */
  readonly sectorBytes?: 512 | 4096;
  /** @defaultValue 'keeps-new' */
  readonly afterFailedSync?: FailedSyncPersonality;
  /** Of the faults' own choices. @defaultValue 0 */
  readonly seed?: number;
}

/** How a file takes room: in whole pages. */
const PAGE_BYTES = 4096;

export class SimDisk implements Disk {
  readonly #options: Required<SimDiskOptions>;
  readonly #tree: SimTree;
  readonly #faults = new FaultPlan();
  readonly #random: Random;
  readonly #machine: SimMachine;
  #process: SimProcess;
  #life = 0;
  #isDead = false;
  #deathWatchers: (() => void)[] = [];
  #watcher: ((call: SimCall) => void) | undefined;
  #capacityBytes: number | undefined;
  /** Calls so far, by kind; `any` counts them all. */
  readonly counts: Record<CallKind, number> = noCounts();
  /** Calls that an order struck, oldest first. */
  readonly struckCalls: SimCall[] = [];
  /** Files whose syncs failed or lost something, by their names of then, oldest first. */
  readonly failedSyncs: string[] = [];

  constructor(options: SimDiskOptions = {}, tree?: SimTree) {
    const { sectorBytes = 512, afterFailedSync = 'keeps-new', seed = 0 } = options;
    this.#options = { sectorBytes, afterFailedSync, seed };
    this.#tree = tree ?? new SimTree(sectorBytes);
    this.#random = seededRandom(seed);
    this.#machine = {
      call: (call, act) => this.#call(call, act),
      roomFor: (inode, write) => this.#roomFor(inode, write),
      failSync: (inode, isLate) => {
        this.failedSyncs.push(this.#tree.linkedFiles().get(inode) ?? 'a file without a name');
        inode.failSync(this.#options.afterFailedSync, this.#random, isLate);
      },
      draw: (limit) => Math.floor(this.#random.next() * limit),
      sectorBytes,
    };
    this.#process = new SimProcess(this.#machine, this.#tree, this.#life);
  }

  /** Lets the `k`-th call of `kind` from now (1 is the next) fail, once. */
  failCall(kind: CallKind, k: number, effect: FaultEffect): void {
    this.order({ kind, k, effect, isSticky: false });
  }

  /** Lets every call of `kind` fail, from the next one on. */
  failAll(kind: CallKind, effect: FaultEffect): void {
    this.order({ kind, k: 1, effect, isSticky: true });
  }

  order(order: FaultOrder): void {
    this.#faults.add(order);
  }

  /** Forgets all orders. */
  heal(): void {
    this.#faults.clear();
  }

  /** Room for files with names, in whole pages; `undefined`, as at first, is without end. */
  setCapacity(bytes: number | undefined): void {
    this.#capacityBytes = bytes;
  }

  /** Room that files with names take. */
  get usedBytes(): number {
    let pages = 0;
    for (const { sizeBytes } of this.#tree.linkedFiles().keys()) pages += pagesOf(sizeBytes);
    return pages * PAGE_BYTES;
  }

  /** Clean pages leave the cache: what a failed sync left there is gone. */
  dropCaches(): void {
    for (const inode of this.#tree.linkedFiles().keys()) inode.dropCache();
  }

  /** Calls `watch` right before each call takes effect. */
  watch(watch: ((call: SimCall) => void) | undefined): void {
    this.#watcher = watch;
  }

  /** Resolves when an ordered crash happens, or has. Follow it with `crash`: until then no call
   * settles. */
  untilCrash(): Promise<void> {
    if (this.#isDead) return Promise.resolve();
    return new Promise((resolve) => this.#deathWatchers.push(resolve));
  }

  /** Power cut. */
  crash(random: Random, model: CrashModel): void {
    this.crashWith(randomSurvival(random, model));
  }

  /** Power cut whose outcome is chosen. */
  crashWith(survival: Survival): void {
    this.kill();
    this.#tree.crash(survival);
  }

  /** What a power cut now would decide about. */
  pendingCounts(): { readonly names: number; readonly sectors: number } {
    return this.#tree.pendingCounts();
  }

  /** A file whose path fits was written and not yet synced. */
  hasDirtIn(paths: RegExp): boolean {
    for (const [inode, path] of this.#tree.linkedFiles()) {
      if (inode.isDirty && paths.test(path)) return true;
    }
    return false;
  }

  /** Death of the process: what it had under way ends, the operating system lives on. */
  kill(): void {
    this.#life += 1;
    this.#isDead = false;
    this.#deathWatchers = [];
    this.heal();
    this.#process = new SimProcess(this.#machine, this.#tree, this.#life);
  }

  /** Another disk that holds what this one holds, its dirt included. No process is on it yet. */
  fork(): SimDisk {
    const copy = new SimDisk(this.#options, this.#tree.fork());
    copy.#capacityBytes = this.#capacityBytes;
    return copy;
  }

  /** This disk as one process sees it: after `kill` or `crash` none of its calls settles, also not
   * those that the process has not made yet. */
  attach(): Disk {
    return this.#process;
  }

  /** The bytes of a file as they are now, to be looked at or damaged (until the next crash). */
  contentOf(path: string): Uint8Array {
    return this.#tree.file(path, 'look').content();
  }

  /** Replaces a file's content, durably: rot, or a hand that shortened it. */
  overwrite(path: string, bytes: Uint8Array): void {
    this.#tree.file(path, 'overwrite').overwrite(bytes);
  }

  // The disk as the process of now sees it.

  makeDirectory(path: string): Promise<void> {
    return this.#process.makeDirectory(path);
  }

  list(directory: string): Promise<readonly string[] | undefined> {
    return this.#process.list(directory);
  }

  syncDirectory(path: string): Promise<void> {
    return this.#process.syncDirectory(path);
  }

  create(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#process.create(path, mode);
  }

  open(path: string, mode: WriteMode): Promise<DiskFile> {
    return this.#process.open(path, mode);
  }

  openForReading(path: string, mode?: WriteMode): Promise<DiskFile> {
    return this.#process.openForReading(path, mode);
  }

  readWhole(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    return this.#process.readWhole(path, bytesMax);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#process.rename(from, to);
  }

  unlink(path: string): Promise<void> {
    return this.#process.unlink(path);
  }

  removeTree(path: string): Promise<void> {
    return this.#process.removeTree(path);
  }

  supportsDirect(directory: string): Promise<boolean> {
    return this.#process.supportsDirect(directory);
  }

  allocateAligned(bytes: number): Uint8Array {
    return this.#process.allocateAligned(bytes);
  }

  /** What `act` does is done at once: a crash comes before or after it. */
  async #call<T>(call: SimCall, act: (fault?: FaultEffect) => T): Promise<T> {
    if (call.life !== this.#life) return new Promise(() => {});
    this.counts[call.kind] += 1;
    this.counts.any += 1;
    const fault = this.#faults.strike(call.kind);
    if (fault !== undefined) this.struckCalls.push(call);
    if (fault === 'crash') this.#die(call, act);
    await Promise.resolve();
    if (this.#isDead || call.life !== this.#life) return new Promise(() => {});
    this.#watcher?.(call);
    return act(fault);
  }

  /** The call in whose middle the machine stops may have had its effect, or not. */
  #die(call: SimCall, act: (fault?: FaultEffect) => unknown): void {
    if (call.kind === 'write' || this.#random.next() < 0.5) {
      try {
        act();
      } catch {
        // A call that would have failed has had no effect: nobody is left to hear of it.
      }
    }
    this.#isDead = true;
    for (const tell of this.#deathWatchers.splice(0)) tell();
  }

  #roomFor(inode: SimInode, write: { readonly atBytes: number; readonly bytes: number }): number {
    if (this.#capacityBytes === undefined) return write.bytes;
    const freeBytes = this.#capacityBytes - this.usedBytes;
    const roomEnd = pagesOf(inode.sizeBytes) * PAGE_BYTES + Math.max(0, freeBytes);
    const room = Math.min(write.bytes, roomEnd - write.atBytes);
    if (room <= 0 && write.bytes > 0) throw simError('ENOSPC', 'writev', 'the disk');
    return room;
  }
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

function noCounts(): Record<CallKind, number> {
  return {
    makeDirectory: 0,
    list: 0,
    create: 0,
    open: 0,
    read: 0,
    write: 0,
    sync: 0,
    syncDirectory: 0,
    rename: 0,
    unlink: 0,
    size: 0,
    close: 0,
    any: 0,
  };
}
