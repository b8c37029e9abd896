/** What surrounds the blocks of a receiver executor, moved by hand: its log, its driver, its life.
 * @module */
import type { BlockArena } from '../../src/blocks/block-arena.ts';
import { recordsOfBin } from '../../src/blocks/block-records.ts';
import { MillraceError } from '../../src/core/errors.ts';
import type { Lsn } from '../../src/core/ids.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import type { WalPosition } from '../../src/wal/pending-record.ts';
import type {
  AddOutcome,
  AnnouncementBatch,
  BlockAnnouncement,
  ReceiverLife,
} from '../../src/workers/protocol.ts';
import { LINES } from './block-samples.ts';

export function lifeOf(more: Partial<ReceiverLife> = {}): ReceiverLife {
  const incarnation = { epoch: 1, n: 1 };
  const place = { streamId: LINES, receiverIndex: 0, receiverCount: 1 };
  return { ...place, incarnation, lastPosition: {}, ...more };
}

/** Lets all work that needs no timer come to its end. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A receiver log whose appends are durable when the test says so. */
export class HandSlotLog {
  readonly slots: Uint8Array[] = [];
  readonly #waiting: { resolve: (at: WalPosition) => void; reject: (cause: Error) => void }[] = [];
  #lsn = 0;

  appendSlot(slot: Uint8Array): Promise<WalPosition> {
    this.slots.push(slot);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The oldest `count` appends are durable now. */
  sync(count = Infinity): void {
    for (const { resolve } of this.#waiting.splice(0, count)) {
      this.#lsn += 1;
      resolve({ lsn: this.#lsn as Lsn, segmentSeq: 1, offsetBytes: 4096 * this.#lsn });
    }
  }

  poison(): void {
    const cause = new MillraceError('WAL_POISONED', 'a sync failed');
    for (const { reject } of this.#waiting.splice(0)) reject(cause);
  }
}

/** The driver's end of the announcements. Adds all blocks at once, or as it is told. */
export class AnnounceDesk {
  readonly batches: AnnouncementBatch[] = [];
  /** Why the next blocks are refused. */
  refusal: string | undefined;
  #isHolding = false;
  #failure: Error | undefined;
  #held: (() => void)[] = [];

  readonly announce = async (batch: AnnouncementBatch): Promise<readonly AddOutcome[]> => {
    this.batches.push(batch);
    if (this.#isHolding) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.#failure !== undefined) throw this.#failure;
    const reason = this.refusal;
    return batch.blocks.map((): AddOutcome => {
      return reason === undefined ? { kind: 'added' } : { kind: 'refused', reason };
    });
  };

  /** Announcements from now on wait for `release`. */
  hold(): void {
    this.#isHolding = true;
  }

  /** Answers the oldest `count` announcements that wait. */
  release(count = Infinity): void {
    if (count === Infinity) this.#isHolding = false;
    for (const answer of this.#held.splice(0, count)) answer();
  }

  failWith(error: Error): void {
    this.#failure = error;
  }

  get blocks(): readonly BlockAnnouncement[] {
    return this.batches.flatMap(({ blocks }) => blocks);
  }

  /** Records of the announced blocks, one array per block. */
  records(arena: BlockArena): unknown[][] {
    return this.blocks.map((block) => recordsOf(arena, block));
  }
}

/** The records of an announced block, as a task reads them. */
function recordsOf(arena: BlockArena, { info, bytes }: BlockAnnouncement): unknown[] {
  const { offsetBytes, lengthBytes } = bytes;
  const bin = arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  const records: unknown[] = [];
  recordsOfBin(bin, info, msgpackCodec).forEach((record) => records.push(record));
  return records;
}
