/** The shared memory that holds blocks, shuffle pieces and results, and who holds which part of it.
 *
 * One page-aligned shared memory of fixed size, divided into extents. Extents [0, receiverExtents)
 * are for blocks, the rest for tasks, so that a full intake can never keep a batch from finishing.
 * A second shared buffer is the table, all 32-bit integers, used only by Atomics:
 *
 *   [0] generation: rises at every release; receivers that found no room wait on it
 *   [1 + 3i] owner of extent i: 0 free, else the id of the thread or task that acquired it
 *   [2 + 3i] references: 1 for the acquirer while it fills the extent, 1 for each block in it
 *   [3 + 3i] run: how many extents this acquisition spans, in its first extent only
 *   [1 + 3n] wanted, n being the number of extents: the longest run that a receiver asked for and
 *            did not get since the driver looked; the driver waits on it, to make room
 *
 * An extent changes owner only by compare-and-swap from 0, so two threads never get the same one.
 * After the death of a thread the driver sets the counts right (`reclaim`), from its own books and
 * only after the thread's `exit`. Knows nothing of blocks, batches or logs. @module */
import { assert } from '../core/assert.ts';
import { MillraceError } from '../core/errors.ts';
import { allocateSharedPages } from '../core/shared-memory.ts';
import { atomicWaits } from '../core/shared-waits.ts';
import type { SharedWaits } from '../core/shared-waits.ts';

export type ArenaRegion = 'receivers' | 'tasks';

/** What a thread needs to attach. Structured-cloneable. */
export interface ArenaHandle {
  readonly memory: SharedArrayBuffer;
  readonly table: SharedArrayBuffer;
  readonly extentBytes: number;
  readonly extentCount: number;
  readonly receiverExtents: number;
}

const GENERATION = 0;
const CELLS = 3;
const EXTENT_BYTES_MAX = 1024 * 1024;
const EXTENT_BYTES_MIN = 64 * 1024;
/** Below this many extents, extents get smaller before the arena gets fewer of them. */
const EXTENTS_WANTED = 64;
/** Share of the arena that blocks may fill; tasks have the rest, and spill to files past it. */
const RECEIVER_SHARE = 0.75;

/** How a memory is divided. */
export type ArenaLayout = Pick<ArenaHandle, 'extentBytes' | 'extentCount' | 'receiverExtents'>;

/** What `BlockArena.create` makes of so many bytes.
 * @throws {MillraceError} OPTIONS_INVALID: less than one extent. */
export function arenaLayout(bytes: number): ArenaLayout {
  const extentBytes = extentBytesFor(bytes);
  const extentCount = Math.floor(bytes / extentBytes);
  return {
    extentBytes,
    extentCount,
    receiverExtents: Math.floor(extentCount * RECEIVER_SHARE),
  };
}

export class BlockArena {
  readonly handle: ArenaHandle;
  /** The whole memory. Offsets of references count from its start. */
  readonly bytes: Buffer;
  readonly #table: Int32Array;
  readonly #waits: SharedWaits;
  #hint: Record<ArenaRegion, number>;

  private constructor(handle: ArenaHandle, waits: SharedWaits) {
    this.handle = handle;
    this.#waits = waits;
    this.bytes = Buffer.from(handle.memory);
    this.#table = new Int32Array(handle.table);
    this.#hint = { receivers: 0, tasks: handle.receiverExtents };
  }

  /** Driver: makes the memory. @param bytes the `memory` option, at least 16 extents of 64 KiB. */
  static create(bytes: number): BlockArena {
    const layout = arenaLayout(bytes);
    const { extentBytes, extentCount } = layout;
    assert(extentCount >= 16, `an arena of ${bytes} bytes is too small`);
    const handle = {
      memory: allocateSharedPages(extentCount * extentBytes),
      table: new SharedArrayBuffer(4 * (2 + CELLS * extentCount)),
      ...layout,
    };
    return new BlockArena(handle, atomicWaits);
  }

  /** Executor: the driver's arena, seen from another thread. */
  static attach(handle: ArenaHandle, waits: SharedWaits = atomicWaits): BlockArena {
    return new BlockArena(handle, waits);
  }

  /** Largest run of extents that one acquisition may ask for: a quarter of the region. */
  runExtentsMax(region: ArenaRegion): number {
    const [first, end] = this.#range(region);
    return Math.max(1, Math.floor((end - first) / 4));
  }

  /** Takes `extents` neighbouring extents with one reference, for the caller.
   * @param owner positive id of the acquiring thread or task.
   * @returns the index of the first one, or `undefined` when there is no such run now. */
  acquire(region: ArenaRegion, owner: number, extents: number): number | undefined {
    const [first, end] = this.#range(region);
    const hint = this.#hint[region];
    const wanted = { owner, extents };
    const index = this.#take(hint, end, wanted) ?? this.#take(first, end, wanted);
    if (index === undefined) {
      if (region === 'receivers') this.#askFor(extents);
      return undefined;
    }
    this.#hint[region] = index + extents < end ? index + extents : first;
    Atomics.store(this.#table, refsCell(index), 1);
    Atomics.store(this.#table, runCell(index), extents);
    return index;
  }

  /** References to a run. When all of them are the caller's own, nobody else can add one. */
  references(index: number): number {
    return Atomics.load(this.#table, refsCell(index));
  }

  /** True when `extents` neighbouring extents are free now. Others may take them at any time. */
  hasRun(region: ArenaRegion, extents: number): boolean {
    const [first, end] = this.#range(region);
    let free = 0;
    for (let index = first; index < end && free < extents; index += 1) {
      free = Atomics.load(this.#table, ownerCell(index)) === 0 ? free + 1 : 0;
    }
    return free >= extents;
  }

  /** Driver: the longest run of extents that receivers asked for in vain since the last call, after
   * waiting for one, at most `limitMs`. 0: nobody asked. */
  async demand(limitMs: number): Promise<number> {
    const cell = wantedCell(this.handle.extentCount);
    await this.#waits.wait(this.#table, cell, { seen: 0, limitMs });
    return Atomics.exchange(this.#table, cell, 0);
  }

  /** Ends a wait in `demand`. */
  wakeDemand(): void {
    this.#waits.notify(this.#table, wantedCell(this.handle.extentCount));
  }

  /** One more reference to a run that the caller holds already. */
  hold(index: number): void {
    const before = Atomics.add(this.#table, refsCell(index), 1);
    assert(before > 0, `extent ${index} was held after it was freed (I8)`);
  }

  /** One reference less; the last one frees the run and wakes who waits for room. */
  drop(index: number): void {
    const before = Atomics.sub(this.#table, refsCell(index), 1);
    assert(before > 0, `extent ${index} was freed twice (I8)`);
    if (before === 1) this.#free(index);
  }

  /** Driver, after a thread's `exit`: keeps of its extents only what the driver's books still use.
   * @param references per run of extents, how many of its blocks the driver knows and needs. */
  reclaim(owner: number, references: ReadonlyMap<number, number>): void {
    for (let index = 0; index < this.handle.extentCount; index += 1) {
      if (Atomics.load(this.#table, ownerCell(index)) !== owner) continue;
      const run = Atomics.load(this.#table, runCell(index));
      if (run === 0) {
        // The thread died between taking the extent and writing its run.
        this.#giveBack(index, index + 1);
        this.#wakeWaiting();
        continue;
      }
      const needed = references.get(index) ?? 0;
      Atomics.store(this.#table, refsCell(index), needed);
      if (needed === 0) this.#free(index);
      index += run - 1;
    }
  }

  /** Resolves when something was freed since `generation()` gave `seen`, or after `limitMs`. */
  async waitForRoom(seen: number, limitMs: number): Promise<void> {
    await this.#waits.wait(this.#table, GENERATION, { seen, limitMs });
  }

  /** Rises with every release. Read it before the attempt whose failure leads to waiting. */
  generation(): number {
    return Atomics.load(this.#table, GENERATION);
  }

  /** Extents in use, for statistics and for telling when intake must pause. */
  usedExtents(region: ArenaRegion): number {
    const [first, end] = this.#range(region);
    let used = 0;
    for (let index = first; index < end; index += 1) {
      if (Atomics.load(this.#table, ownerCell(index)) !== 0) used += 1;
    }
    return used;
  }

  #range(region: ArenaRegion): readonly [first: number, end: number] {
    const { receiverExtents, extentCount } = this.handle;
    return region === 'receivers' ? [0, receiverExtents] : [receiverExtents, extentCount];
  }

  #take(
    from: number,
    end: number,
    { owner, extents }: { readonly owner: number; readonly extents: number },
  ): number | undefined {
    let taken = 0;
    for (let index = from; index < end; index += 1) {
      if (Atomics.compareExchange(this.#table, ownerCell(index), 0, owner) === 0) {
        taken += 1;
        if (taken === extents) return index - extents + 1;
      } else {
        this.#giveBack(index - taken, index);
        taken = 0;
      }
    }
    this.#giveBack(end - taken, end);
    return undefined;
  }

  #askFor(extents: number): void {
    const cell = wantedCell(this.handle.extentCount);
    let seen = Atomics.load(this.#table, cell);
    while (seen < extents) {
      const before = Atomics.compareExchange(this.#table, cell, seen, extents);
      if (before === seen) break;
      seen = before;
    }
    this.#waits.notify(this.#table, cell);
  }

  #giveBack(from: number, end: number): void {
    for (let index = from; index < end; index += 1) {
      Atomics.store(this.#table, ownerCell(index), 0);
    }
  }

  #free(index: number): void {
    const run = Atomics.exchange(this.#table, runCell(index), 0);
    assert(run > 0, `extent ${index} is not the start of a run`);
    this.#giveBack(index, index + run);
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    Atomics.add(this.#table, GENERATION, 1);
    this.#waits.notify(this.#table, GENERATION);
  }
}

function extentBytesFor(bytes: number): number {
  let extentBytes = EXTENT_BYTES_MAX;
  while (extentBytes > EXTENT_BYTES_MIN && bytes / extentBytes < EXTENTS_WANTED) extentBytes /= 2;
  if (bytes < extentBytes) {
    throw new MillraceError('OPTIONS_INVALID', `memory of ${bytes} bytes is too small`);
  }
  return extentBytes;
}

function ownerCell(index: number): number {
  return 1 + CELLS * index;
}

function refsCell(index: number): number {
  return 2 + CELLS * index;
}

function runCell(index: number): number {
  return 3 + CELLS * index;
}

function wantedCell(extentCount: number): number {
  return 1 + CELLS * extentCount;
}
