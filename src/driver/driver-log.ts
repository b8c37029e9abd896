/** The driver log and its mirror: events in the one, witnesses of them in the other.
 *
 *     append ─► driver-log: write, sync ─► driver-log-mirror: "n is durable", sync ─► resolve
 *                                          └── only for allocations
 *
 * A log cannot witness its own last group: rot there looks like a torn write. What a receiver log
 * says of the driver log comes a group later. So the mirror, a log of watermarks and nothing else,
 * says it before anybody acts on an allocation. It is written strictly AFTER the sync of what it
 * witnesses: the other way round a power cut between the two would make a torn write look like
 * damage. Appends resolve in call order: those behind an allocation wait for its witness, or the
 * state would be ahead of its LSN. Why: docs/decisions/0009-two-copies.md.
 * @module */
import type { Lsn } from '../core/ids.ts';
import type { WalPosition } from '../wal/pending-record.ts';
import type { Shortage } from '../wal/shortage.ts';
import type { WalOptions } from '../wal/wal-options.ts';
import { WriteAheadLog } from '../wal/write-ahead-log.ts';
import type { EventLog } from './block-tracker.ts';

/** One page a witness: 255 of them, then the next file. */
const MIRROR_SEGMENT_BYTES_MAX = 1024 * 1024;

export interface MirrorPlace {
  readonly directory: string;
  /** As of WalOptions. */
  readonly baseLsn: Lsn;
  /** Begin it anew: it holds nothing that the events do not say themselves. */
  readonly isDamaged: boolean;
}

export class DriverLog implements EventLog {
  readonly #events: WriteAheadLog;
  readonly #mirror: WriteAheadLog;
  /** The latest mirrored append. */
  #mirrored: Promise<unknown> = Promise.resolve();

  private constructor(events: WriteAheadLog, mirror: WriteAheadLog) {
    this.#events = events;
    this.#mirror = mirror;
  }

  /** Opens both, the events first: from then on the header of their new segment witnesses what the
   * records of the old mirror did, which the new mirror makes void.
   * @throws as WriteAheadLog.open. */
  static async open(options: WalOptions, mirror: MirrorPlace): Promise<DriverLog> {
    const events = await WriteAheadLog.open(options);
    try {
      if (mirror.isDamaged) await options.disk.removeTree(mirror.directory);
      const { disk, clock, logId, epoch, mode, isGrowing = false, onPoison } = options;
      const opened = await WriteAheadLog.open({
        disk,
        clock,
        logId,
        epoch,
        mode,
        isGrowing,
        durability: 'sync',
        ...(onPoison === undefined ? {} : { onPoison }),
        directory: mirror.directory,
        baseLsn: mirror.isDamaged ? (1 as Lsn) : mirror.baseLsn,
        segmentBytes: mirrorSegmentBytes(options.segmentBytes),
        // Its only records are of allocations, which empty a full disk: nobody to hold back for it.
        sparesMin: 1,
      });
      return new DriverLog(events, opened);
    } catch (error) {
      await events.close();
      throw error;
    }
  }

  /** As of WriteAheadLog, of the events. */
  get shortage(): Shortage | undefined {
    return this.#events.shortage;
  }

  /** As of WriteAheadLog, of both. */
  giveUpWaiting(): void {
    this.#events.giveUpWaiting();
    this.#mirror.giveUpWaiting();
  }

  /** As of WriteAheadLog, of the events: the mirror keeps its one. */
  releaseSpare(): Promise<boolean> {
    return this.#events.releaseSpare();
  }

  /** Highest LSN whose sync has returned: what receiver logs may witness. */
  get durableLsn(): Lsn {
    return this.#events.durableLsn;
  }

  append(payload: Uint8Array, isMirrored = false): Promise<WalPosition> {
    const appended = this.#append(payload, { isMirrored, earlier: this.#mirrored });
    if (isMirrored) {
      this.#mirrored = appended;
      appended.catch(() => undefined); // its caller has the error, and so has each later append
    }
    return appended;
  }

  /** Frees segments with only records below `lsn`, and witnesses that later ones have replaced. */
  async truncateBefore(lsn: Lsn): Promise<number> {
    const freed = await this.#events.truncateBefore(lsn);
    await this.#mirror.truncateBefore(this.#mirror.durableLsn);
    return freed;
  }

  /** Closes both, whatever one of them says. @throws what it says. */
  async close(): Promise<void> {
    try {
      await this.#events.close();
    } finally {
      await this.#mirror.close();
    }
  }

  async #append(
    payload: Uint8Array,
    order: { readonly isMirrored: boolean; readonly earlier: Promise<unknown> },
  ): Promise<WalPosition> {
    const at = await this.#events.append(payload);
    await order.earlier;
    if (order.isMirrored) await this.#mirror.witnessPeer(at.lsn);
    return at;
  }
}

/** Length of the mirror's segments. @param segmentBytes of the driver log's. */
export function mirrorSegmentBytes(segmentBytes: number): number {
  return Math.min(segmentBytes, MIRROR_SEGMENT_BYTES_MAX);
}
