/** Where the blocks of unfinished batches are: the driver's hold on the arena, and what left it.
 *
 * One reference per registered block in the arena, given up when its batch is done, or before, when
 * its storage level lets it go and others need the room: blocks in a log are dropped, since
 * registered means that their log write has settled; blocks without a log are written to the spill
 * file first, and so are blocks of a log that has failed since. Tasks then read them back by
 * position. A block that a task reads (`pin`) stays.
 *
 *   keep ─► in the arena ─► on disk only ─► free         memory-and-disk: when room is wanted
 *              └──────────────────────────►              disk: as soon as nobody writes or reads it
 *
 * Blocks that came back from a log after a restart are never brought into the arena: a backlog may
 * be larger than memory. Written by the driver only. @module */
import { join } from 'node:path';
import type { BlockArena } from '../blocks/block-arena.ts';
import type { ArenaBytes, BlockInfo, BlockRef, LogBytes, SpilledBin } from '../blocks/block-ref.ts';
import type { SpillFile } from '../blocks/spill-file.ts';
import { assert } from '../core/assert.ts';
import { reached } from '../core/crash-point.ts';
import { toError } from '../core/errors.ts';
import { blockKey } from '../core/ids.ts';
import type { Lsn, StreamId } from '../core/ids.ts';
import type { StorageLevel } from '../core/storage-level.ts';
import { RECORD_HEADER_BYTES } from '../wal/record-header.ts';
import { segmentName } from '../wal/segment-name.ts';
import { evictionOrder } from './eviction-order.ts';
import type { Candidate, Run } from './eviction-order.ts';
import type { LogPlaces } from './log-places.ts';

/** Kept free, so that intake seldom has to wait: what comes in while the log syncs and the driver
 * looks, but never more than this part of the receivers' region. */
const RESERVE_BYTES = 16 * 1024 * 1024;
const RESERVE_SHARE_MAX = 1 / 4;
/** A wake-up that was lost is made up for after this. */
const DEMAND_RECHECK_MS = 500;

export interface BlockMemoryOptions {
  /** Where logs lie, and whether their disks have failed. Absent where there are none. */
  readonly logs?: Pick<LogPlaces, 'directoryOf' | 'hasFailed'>;
  /** The last LSN that recovery found in each log. */
  readonly lastLsn: ReadonlyMap<string, Lsn>;
  /** @defaultValue `memory` for all */
  readonly levelOf?: (streamId: StreamId) => StorageLevel;
  /** For blocks without a log; without it they stay in memory. */
  readonly spill?: SpillFile;
  /** The pipeline has one output: what was read is not read again. */
  readonly isReadOnce?: boolean;
  readonly warn?: (message: string) => void;
}

/** A block in the arena. */
interface Kept extends Candidate {
  readonly key: string;
  readonly block: BlockInfo;
  readonly bytes: ArenaBytes;
  pins: number;
  wasRead: boolean;
  isDone: boolean;
  mayLeave: boolean;
  /** Its copy on disk, where there is no log. */
  spilled: SpilledBin | undefined;
}

export class BlockMemory {
  readonly #arena: BlockArena;
  readonly #options: BlockMemoryOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #runs = new Map<number, Set<Kept>>();
  /** Blocks of this run that are only in their log, with their lengths. */
  readonly #logged = new Map<string, number>();
  /** Blocks that are only in the spill file. */
  readonly #spilled = new Map<string, SpilledBin>();
  readonly #reserveExtents: number;
  #bytesOnDisk = 0;
  #arrivals = 0;
  /** The longest run of extents that a receiver waits for. */
  #wantedExtents = 0;
  /** Blocks of level `disk` that no log has: each is to be written to the spill file. */
  readonly #toSpill = new Set<Kept>();
  #spilling: Promise<void> | undefined;
  /** What ended the spilling: a broken invariant. */
  #failure: Error | undefined;
  #hasWarned = false;
  #state: 'open' | 'closed' = 'open';

  constructor(arena: BlockArena, options: BlockMemoryOptions) {
    this.#arena = arena;
    this.#options = options;
    const { extentBytes, receiverExtents } = arena.handle;
    this.#reserveExtents = Math.min(
      Math.ceil(RESERVE_BYTES / extentBytes),
      Math.max(2, Math.floor(receiverExtents * RESERVE_SHARE_MAX)),
    );
  }

  /** Bytes of unfinished batches, of blocks without a batch, and of what windows have kept of this
   * run, that are on disk only. */
  get bytesOnDisk(): number {
    return this.#bytesOnDisk;
  }

  /** Makes room whenever a receiver finds none. Resolves after `close`.
   * @throws what broke meanwhile. */
  async serveDemand(): Promise<void> {
    while (this.#state === 'open') {
      const extents = await this.#arena.demand(DEMAND_RECHECK_MS);
      if (this.#failure !== undefined) throw this.#failure;
      this.#wantedExtents = Math.max(this.#wantedExtents, extents);
      if (this.#wantedExtents > 0) this.#makeRoom();
    }
  }

  /** No task may be running. */
  async close(): Promise<void> {
    this.#state = 'closed';
    this.#arena.wakeDemand();
    await this.#spilling;
    this.#options.spill?.close();
  }

  /** Takes over the executor's reference of a block that has been registered. */
  keep(block: BlockInfo, bytes: ArenaBytes): void {
    const key = blockKey(block.blockId);
    const level = this.#options.levelOf?.(block.blockId.streamId) ?? 'memory';
    const hasCopy = this.#isLogged(block);
    const mayLeave = level !== 'memory' && (hasCopy || this.#options.spill !== undefined);
    const kept: Kept = {
      key,
      block,
      bytes,
      mayLeave,
      arrival: this.#arrivals,
      pins: 0,
      wasRead: false,
      isDone: false,
      spilled: undefined,
    };
    this.#arrivals += 1;
    this.#kept.set(key, kept);
    const run = this.#runs.get(bytes.extentIndex);
    if (run === undefined) this.#runs.set(bytes.extentIndex, new Set([kept]));
    else run.add(kept);
    if (level === 'disk' && hasCopy) return this.#leave(kept);
    if (!mayLeave) return;
    if (level === 'disk') this.#toSpill.add(kept);
    this.#makeRoom();
  }

  /** Blocks that the last run has left: they wait on disk. */
  recovered(blocks: Iterable<BlockInfo>): void {
    for (const block of blocks) {
      if (this.locate(block)?.bytes.kind === 'log') {
        this.#setLogged(blockKey(block.blockId), block.lengthBytes);
      }
    }
  }

  /** The batch of these blocks is done, and only windows still look at them: from now on they may
   * leave memory, whatever their storage level is, and do so before all others. No task may read
   * them. */
  letGo(blocks: Iterable<BlockInfo>): void {
    for (const block of blocks) {
      const kept = this.#kept.get(blockKey(block.blockId));
      if (kept === undefined) continue;
      kept.isDone = true;
      kept.mayLeave = this.#isLogged(block) || this.#options.spill !== undefined;
    }
    this.#makeRoom();
  }

  /** Gives up a block for good. No task may read it. */
  free(block: BlockInfo): void {
    const key = blockKey(block.blockId);
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      assert(kept.pins === 0, `block ${key} was freed while a task reads it (I8)`);
      this.#dropFromArena(kept);
      if (kept.spilled !== undefined) this.#options.spill?.free(kept.spilled);
      return;
    }
    const loggedBytes = this.#logged.get(key);
    if (loggedBytes !== undefined) {
      this.#logged.delete(key);
      this.#bytesOnDisk -= loggedBytes;
    }
    const spilled = this.#spilled.get(key);
    if (spilled === undefined) return;
    this.#spilled.delete(key);
    this.#bytesOnDisk -= spilled.lengthBytes;
    this.#options.spill?.free(spilled);
  }

  /** Where a task finds the block now: in memory, else on disk. It may move until it is pinned.
   * @returns `undefined` when it was only ever in the memory of a process now dead. */
  locate(block: BlockInfo): BlockRef | undefined {
    const key = blockKey(block.blockId);
    const bytes =
      this.#kept.get(key)?.bytes ?? this.#spilled.get(key) ?? this.#logBytes(key, block);
    if (bytes === undefined) return undefined;
    const { recordCount, codec } = block;
    return { streamId: block.blockId.streamId, key, recordCount, codec, bytes };
  }

  /** A task begins to read a block: until `unpin` it stays where it is.
   * @returns where a task finds it. */
  pin(block: BlockInfo): BlockRef | undefined {
    const ref = this.locate(block);
    const kept = ref === undefined ? undefined : this.#kept.get(ref.key);
    if (kept !== undefined) kept.pins += 1;
    return ref;
  }

  /** @param refs that `pin` gave, once each; their task has ended. */
  unpin(refs: readonly BlockRef[]): void {
    for (const { key, bytes } of refs) {
      if (bytes.kind !== 'arena') continue;
      const kept = this.#kept.get(key);
      assert(kept !== undefined && kept.pins > 0, `block ${key} is not being read`);
      kept.pins -= 1;
      kept.wasRead = true;
      // Of level `memory` too: it is not read again, unless a task has to be tried again.
      if (this.#options.isReadOnce === true && this.#isLogged(kept.block)) kept.mayLeave = true;
    }
    this.#makeRoom();
  }

  /** Per run of extents, how many blocks are kept in it: what must survive a thread's death. */
  references(): Map<number, number> {
    return new Map([...this.#runs].map(([extentIndex, blocks]) => [extentIndex, blocks.size]));
  }

  #logBytes(key: string, block: BlockInfo): LogBytes | undefined {
    const { position } = block;
    if (position === undefined) return undefined;
    // Of an earlier run: a `flush` block may not have survived with its log.
    const { logs, lastLsn } = this.#options;
    if (!this.#logged.has(key) && position.lsn > (lastLsn.get(position.log) ?? 0)) return undefined;
    assert(logs !== undefined, 'a block has a log position and there is no log');
    return {
      kind: 'log',
      path: join(logs.directoryOf(position.log), segmentName(position.segmentSeq)),
      offsetBytes: position.offsetBytes + RECORD_HEADER_BYTES,
      lengthBytes: position.payloadBytes,
      crc: position.payloadCrc,
      lsn: position.lsn,
    };
  }

  #setLogged(key: string, lengthBytes: number): void {
    this.#logged.set(key, lengthBytes);
    this.#bytesOnDisk += lengthBytes;
  }

  /** In a log that can be relied on. One whose disk has failed may have it, and is not asked as
   * long as memory has it too. */
  #isLogged({ position }: BlockInfo): boolean {
    return position !== undefined && this.#options.logs?.hasFailed(position.log) !== true;
  }

  #isOnDisk({ block, spilled }: Kept): boolean {
    return spilled !== undefined || this.#isLogged(block);
  }

  /** From now on the block is on disk only. */
  #leave(kept: Kept): void {
    const { key, block, spilled } = kept;
    if (spilled !== undefined) {
      this.#spilled.set(key, spilled);
      this.#bytesOnDisk += spilled.lengthBytes;
    } else {
      assert(this.#isLogged(block), `block ${key} left memory and is nowhere else (I8)`);
      this.#setLogged(key, block.lengthBytes);
    }
    this.#dropFromArena(kept);
  }

  #dropFromArena(kept: Kept): void {
    const { extentIndex } = kept.bytes;
    this.#kept.delete(kept.key);
    this.#toSpill.delete(kept);
    const run = this.#runs.get(extentIndex);
    run?.delete(kept);
    if (run?.size === 0) this.#runs.delete(extentIndex);
    this.#arena.drop(extentIndex);
  }

  #hasRoom(reserveExtents: number): boolean {
    const { receiverExtents } = this.#arena.handle;
    if (receiverExtents - this.#arena.usedExtents('receivers') < reserveExtents) return false;
    if (this.#wantedExtents > 0 && !this.#arena.hasRun('receivers', this.#wantedExtents)) {
      return false;
    }
    this.#wantedExtents = 0;
    return true;
  }

  /** Drops what can go at once; what has to be written first follows in `#spillAll`. */
  #makeRoom(): void {
    if (this.#state === 'closed' || this.#failure !== undefined) return;
    if (!this.#hasRoom(this.#reserveExtents)) {
      for (const { blocks } of this.#victims()) {
        if (!blocks.every((kept) => this.#isOnDisk(kept))) continue;
        for (const kept of blocks) this.#leave(kept);
        // More than was missing: not every block that comes has to look for victims.
        if (this.#hasRoom(2 * this.#reserveExtents)) break;
      }
    }
    if (this.#options.spill === undefined || this.#spilling !== undefined) return;
    if (this.#nextToSpill() === undefined) return;
    this.#spilling = this.#spillAll()
      .catch((error: unknown) => {
        this.#failure = toError(error);
        this.#arena.wakeDemand();
      })
      .finally(() => {
        this.#spilling = undefined;
      });
  }

  #victims(): readonly Run<Kept>[] {
    const runs = [...this.#runs].map(([extentIndex, blocks]) => ({
      extentIndex,
      blocks: [...blocks],
      references: this.#arena.references(extentIndex),
    }));
    return evictionOrder(runs, this.#options.isReadOnce === true);
  }

  /** Blocks without a log that have to leave memory now: each of level `disk`, else one run. */
  #nextToSpill(): readonly Kept[] | undefined {
    for (const kept of this.#toSpill) if (kept.pins === 0) return [kept];
    if (this.#hasRoom(this.#reserveExtents)) return undefined;
    return this.#victims()[0]?.blocks;
  }

  /** One block at a time: the file is there to make room, not to be fast. */
  async #spillAll(): Promise<void> {
    for (let blocks = this.#nextToSpill(); blocks !== undefined; blocks = this.#nextToSpill()) {
      for (const kept of blocks) {
        if (!this.#isOnDisk(kept) && !(await this.#spill(kept))) return;
      }
      for (const kept of blocks) {
        // While it was written its batch may have begun, or ended.
        if (kept.pins === 0 && this.#kept.get(kept.key) === kept) this.#leave(kept);
      }
      if (this.#state === 'closed') return;
    }
  }

  /** @returns false when there is no room for it: it stays in memory, which then holds sources
   *   back. */
  async #spill(kept: Kept): Promise<boolean> {
    const { offsetBytes, lengthBytes } = kept.bytes;
    const { spill, warn } = this.#options;
    if (spill === undefined) return false;
    const bin = this.#arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    try {
      const writing = spill.write(bin);
      reached('spill');
      const spilled = await writing;
      this.#toSpill.delete(kept);
      if (this.#kept.get(kept.key) === kept) kept.spilled = spilled;
      else spill.free(spilled); // its batch has ended meanwhile
      this.#hasWarned = false;
      return true;
    } catch (error) {
      const reason = toError(error).message;
      if (!this.#hasWarned) warn?.(`${reason}; blocks stay in memory, which holds sources back`);
      this.#hasWarned = true;
      return false;
    }
  }
}
