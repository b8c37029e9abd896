/** Brings cut blocks of one executor to the driver: log (R1), announcement (R2), outcome (R3).
 *
 * One per receiver executor, shared by its receivers. A block's bytes are in flight from `push` to
 * its outcome; past `IN_FLIGHT_BYTES_MAX` the generators stop taking records, so a slow log pushes
 * back on the sources; so does a full disk, of the log or of the driver (`hold`). Blocks are
 * announced in log order; blocks of one sync share one message. The executor holds one arena
 * reference per block in flight; the driver takes it over with `added`.
 * @module */
import type { CutBlock } from '../blocks/block-writer.ts';
import type { BlockMeta } from '../blocks/block-layout.ts';
import { SLOT_HEADER_BYTES } from '../blocks/block-layout.ts';
import type { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo, DurabilityLevel, LogPosition } from '../blocks/block-ref.ts';
import { reached } from '../core/crash-point.ts';
import { toError } from '../core/errors.ts';
import { crc32 } from '../serde/crc32.ts';
import type { WriteAheadLog } from '../wal/write-ahead-log.ts';
import type { AddOutcome, BlockAnnouncement, DriverCallbacks } from './protocol.ts';

/** Bytes of blocks that may wait for log and driver before receivers are held back. */
export const IN_FLIGHT_BYTES_MAX: number = 48 * 1024 * 1024;

/** Who has no room: the executor's own log, or the driver's. */
export type Holder = 'log' | 'driver';

export type PushedBlock = CutBlock & BlockMeta;

interface Waiting {
  readonly announcement: BlockAnnouncement;
  readonly resolve: (outcome: AddOutcome) => void;
  readonly reject: (cause: Error) => void;
}

export interface BlockPusherOptions {
  readonly arena: BlockArena;
  readonly durability: DurabilityLevel;
  /** Absent with the log off. */
  readonly log?: { readonly wal: Pick<WriteAheadLog, 'appendSlot'>; readonly name: string };
  readonly announce: DriverCallbacks['announce'];
}

export class BlockPusher {
  readonly #options: BlockPusherOptions;
  readonly #inFlight = new Set<Promise<unknown>>();
  #inFlightBytes = 0;
  #announcementSeq = 0;
  #waiting: Waiting[] = [];
  #roomWaiters: (() => void)[] = [];
  readonly #heldBy = new Set<Holder>();
  blockCount = 0;
  recordCount = 0;

  constructor(options: BlockPusherOptions) {
    this.#options = options;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get isFull(): boolean {
    return this.#heldBy.size > 0 || this.#inFlightBytes >= IN_FLIGHT_BYTES_MAX;
  }

  /** Keeps the pusher full until the last holder lets go. Blocks that come all the same (records
   * that were taken before) are logged when there is room. */
  hold(holder: Holder, isHeld: boolean): void {
    if (isHeld) this.#heldBy.add(holder);
    else this.#heldBy.delete(holder);
    this.#wakeRoomWaiters();
  }

  /** Number of the last announcement that was sent. */
  get lastAnnouncementSeq(): number {
    return this.#announcementSeq;
  }

  /** Resolves when a block in flight has settled, or a holder has let go. */
  waitForRoom(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Logs and announces one block. Blocks keep the order of the calls.
   * @returns the driver's decision. @throws WAL_POISONED, or EXECUTOR_DIED when the driver is
   * gone. */
  push(block: PushedBlock): Promise<AddOutcome> {
    this.#inFlightBytes += block.slot.byteLength;
    const outcome = this.#logAndAnnounce(block);
    const settled = outcome.then(
      (decision) => this.#settle(block, decision.kind === 'added'),
      () => this.#settle(block, false),
    );
    this.#inFlight.add(settled);
    void settled.finally(() => this.#inFlight.delete(settled));
    return outcome;
  }

  /** Resolves when all blocks pushed so far have settled, well or badly. */
  async drain(): Promise<void> {
    await Promise.all(this.#inFlight);
  }

  async #logAndAnnounce(block: PushedBlock): Promise<AddOutcome> {
    const position = await this.#append(block);
    const { bytes, recordCount, codec } = block;
    const info: BlockInfo = {
      blockId: block.blockId,
      recordCount,
      codec,
      lengthBytes: bytes.lengthBytes,
      durability: this.#options.durability,
      ...(position === undefined ? {} : { position }),
      positions: block.positions,
      sourceIds: block.sourceIds,
      isBuffered: block.isBuffered,
    };
    return new Promise((resolve, reject) => {
      this.#waiting.push({ announcement: { info, bytes }, resolve, reject });
      // One message for all blocks whose sync ended together: their continuations run first.
      if (this.#waiting.length === 1) queueMicrotask(() => void this.#announceWaiting());
    });
  }

  async #append(block: PushedBlock): Promise<LogPosition | undefined> {
    const { log } = this.#options;
    if (log === undefined) return undefined;
    const { slot, payloadBytes } = block;
    const payload = slot.subarray(SLOT_HEADER_BYTES, SLOT_HEADER_BYTES + payloadBytes);
    const payloadCrc = crc32(payload);
    reached('R1.before');
    const at = await log.wal.appendSlot(slot, payloadBytes, payloadCrc);
    reached('R1.after');
    return { log: log.name, ...at, payloadBytes, payloadCrc };
  }

  async #announceWaiting(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#announcementSeq += 1;
    const blocks = batch.map(({ announcement }) => announcement);
    try {
      const outcomes = await this.#options.announce({ seq: this.#announcementSeq, blocks });
      batch.forEach(({ resolve }, index) => {
        resolve(outcomes[index] ?? { kind: 'refused', reason: 'the driver gave no answer' });
      });
    } catch (error) {
      for (const { reject } of batch) reject(toError(error));
    }
  }

  #settle(block: PushedBlock, isAdded: boolean): void {
    this.#inFlightBytes -= block.slot.byteLength;
    if (isAdded) {
      this.blockCount += 1;
      this.recordCount += block.recordCount;
    } else {
      this.#options.arena.drop(block.bytes.extentIndex);
    }
    this.#wakeRoomWaiters();
  }

  #wakeRoomWaiters(): void {
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const wake of waiters) wake();
  }
}
