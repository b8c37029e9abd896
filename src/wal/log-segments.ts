/** The files of one open log: the segment being written, the sealed ones before it, the spares.
 *
 *     sealed, oldest first            active            ready
 *     …0007.wal  …0008.wal            …0009.wal         spare-3.tmp  spare-4.tmp
 *       └── truncate ──► unlinked, or a spare again         └── roll ──► …000a.wal
 *
 * Rolls come from the group commit, one at a time, between two groups; truncations from anyone, one
 * after the other. Segments leave strictly oldest first, each removal durable before the next, so
 * that no crash can leave a hole in the log. A segment of an earlier open is unlinked and never
 * written again: an old process or thread may still hold it open.
 * @module */
import { join } from 'node:path';
import { assert } from '../core/assert.ts';
import { reached } from '../core/crash-point.ts';
import type { Lsn } from '../core/ids.ts';
import { openFirstSegment } from './first-segment.ts';
import type { WalPosition } from './pending-record.ts';
import type { ActiveSegment } from './segment-file.ts';
import { beginSegment, nameSegment } from './segment-file.ts';
import { segmentSalt } from './segment-header.ts';
import type { SegmentHeader } from './segment-header.ts';
import { freeSpareNumber, listLog, requireReadable } from './segment-list.ts';
import type { FoundSegment } from './segment-list.ts';
import type { Slab } from './slab.ts';
import type { Shortage } from './shortage.ts';
import { SparePool } from './spare-pool.ts';
import type { ResolvedWalOptions } from './wal-options.ts';

interface SealedSegment {
  readonly path: string;
  readonly baseLsn: Lsn;
  /** Made by this open, and of full length: fit to be a spare. */
  readonly isReusable: boolean;
}

interface Opened {
  readonly options: ResolvedWalOptions;
  readonly slab: Slab;
  readonly spares: SparePool;
  readonly active: ActiveSegment;
  readonly sealed: SealedSegment[];
}

export class LogSegments {
  readonly #options: ResolvedWalOptions;
  readonly #slab: Slab;
  readonly #spares: SparePool;
  readonly #sealed: SealedSegment[];
  #active: ActiveSegment;
  #truncating: Promise<unknown> = Promise.resolve();

  private constructor(opened: Opened) {
    this.#options = opened.options;
    this.#slab = opened.slab;
    this.#spares = opened.spares;
    this.#sealed = opened.sealed;
    this.#active = opened.active;
  }

  /** Makes the first segment of this open, after all that exist, with the carried records in it.
   * @param slab lent for headers and carried records; between groups it is free. */
  static async open(
    options: ResolvedWalOptions,
    slab: Slab,
  ): Promise<{ segments: LogSegments; carriedOver: readonly WalPosition[] }> {
    const { disk, clock, directory, mode, sparesMin, sparesReserved } = options;
    const { segmentBytes, isGrowing } = options;
    await disk.makeDirectory(directory);
    const listing = await listLog(disk, directory);
    const found = requireReadable(listing);
    const spares = new SparePool({
      disk,
      clock,
      directory,
      mode,
      sparesMin,
      sparesReserved,
      onShortage: options.onShortage,
      segmentBytes,
      isGrowing,
      firstNumber: freeSpareNumber(listing),
      leftovers: listing.spares.map((name) => join(directory, name)),
    });
    const newest = found.at(-1);
    await syncNewest(options, newest);
    await spares.removeLeftovers();
    const { active, carriedOver } = await openFirstSegment(options, { spares, slab, newest });
    const sealed = found.map(({ path, header: { baseLsn } }) => {
      return { path, baseLsn, isReusable: false };
    });
    spares.prepare();
    const segments = new LogSegments({ options, slab, spares, active, sealed });
    return { segments, carriedOver };
  }

  get active(): ActiveSegment {
    return this.#active;
  }

  /** Segment files, the active one included. */
  get count(): number {
    return this.#sealed.length + 1;
  }

  get spareCount(): number {
    return this.#spares.count;
  }

  get spareFailure(): Error | undefined {
    return this.#spares.failure;
  }

  /** Set while the disk is full and no spare is left but the reserve. */
  get shortage(): Shortage | undefined {
    return this.#spares.shortage;
  }

  /** Continues in the next segment. Everything up to `lastLsn` has been synced. Waits while the
   * disk is full. @returns false when the wait was given up: nothing has changed.
   * @throws {MillraceError} DISK_FULL or DISK_FAILED: the log must be poisoned. */
  async roll(lastLsn: Lsn): Promise<boolean> {
    const { disk, directory, mode, logId, epoch, segmentBytes, isGrowing } = this.#options;
    const old = this.#active;
    const seq = old.seq + 1;
    const spare = await this.#spares.take();
    if (spare === undefined) return false;
    const file = await disk.open(spare, mode);
    const header: SegmentHeader = {
      logId,
      epoch,
      seq,
      baseLsn: (lastLsn + 1) as Lsn,
      segmentBytes,
      isGrowing,
      previousLastLsn: lastLsn,
      durableLsn: lastLsn,
      previousHeaderCrc: old.headerCrc,
      salt: segmentSalt({ logId, epoch, seq }),
    };
    const next = await beginSegment(header, { file, directory }, this.#slab);
    await nameSegment(disk, next);
    const { path, baseLsn } = old;
    const isReusable = old.segmentBytes === segmentBytes && !isGrowing;
    this.#sealed.push({ path, baseLsn, isReusable });
    this.#active = next;
    await old.file.close();
    return true;
  }

  /** Frees sealed segments whose records are all below `lsn`, oldest first. @returns how many. */
  truncateBefore(lsn: Lsn): Promise<number> {
    const freed = this.#truncating.then(() => this.#truncate(lsn));
    this.#truncating = freed.catch(() => 0); // the caller of that truncation has the error
    return freed;
  }

  /** Gives the room of one spare back. @returns false when there is none. */
  releaseSpare(): Promise<boolean> {
    return this.#spares.release();
  }

  /** Ends waiting for room: the log is closing or poisoned. */
  giveUp(): void {
    this.#spares.giveUp();
  }

  /** Closes the active file. @param isTidy also removes the spares. */
  async close(isTidy: boolean): Promise<void> {
    await this.#truncating;
    await this.#spares.close(isTidy);
    await this.#active.file.close();
  }

  async #truncate(lsn: Lsn): Promise<number> {
    if (!this.#isOldestBelow(lsn)) return 0;
    let freed = 0;
    this.#spares.lookBack();
    reached('R9.before');
    while (this.#isOldestBelow(lsn)) {
      const oldest = this.#sealed.shift();
      assert(oldest !== undefined, 'there is no sealed segment to free');
      await this.#free(oldest);
      freed += 1;
    }
    reached('R9.after');
    await this.#spares.shrink();
    this.#spares.prepare(); // a full disk may have room again
    return freed;
  }

  /** The records of a segment end where ANY later one begins, not only the next: after the death of
   * a thread a log may go on from below a segment that was never announced. */
  #isOldestBelow(lsn: Lsn): boolean {
    if (this.#sealed.length === 0) return false;
    const laterBases = this.#sealed.slice(1).map(({ baseLsn }) => baseLsn);
    return Math.min(this.#active.baseLsn, ...laterBases) <= lsn;
  }

  async #free(segment: SealedSegment): Promise<void> {
    const { disk, directory } = this.#options;
    if (!segment.isReusable || !this.#spares.hasRoom) {
      await disk.unlink(segment.path);
      await disk.syncDirectory(directory);
      return;
    }
    const path = this.#spares.nextPath();
    await disk.rename(segment.path, path);
    // Before it can be written: else a crash might show a new header under the old name.
    await disk.syncDirectory(directory);
    this.#spares.offer(path);
  }
}

/** At the `flush` level a thread may have died with records in the page cache only; the header of
 * the new segment will say that everything below it is on the device, so it has to be. */
async function syncNewest(
  { disk }: ResolvedWalOptions,
  newest: FoundSegment | undefined,
): Promise<void> {
  if (newest === undefined) return;
  const file = await disk.open(newest.path, 'buffered');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
