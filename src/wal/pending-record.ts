/** Records that wait to be written, in call order. Owned by one group commit.
 *
 * A queue that gives its memory back: records leave in whole groups, and what is left moves to the
 * front. Bytes are counted as they will stand on disk, roughly (without page padding).
 * @module */
import type { Lsn } from '../core/ids.ts';
import { RECORD_HEADER_BYTES, RECORD_TYPES, readUint64, writeUint64 } from './record-header.ts';
import type { RecordType } from './record-header.ts';

/** Where a record stands. */
export interface WalPosition {
  readonly lsn: Lsn;
  readonly segmentSeq: number;
  /** Of the 32-byte record header in the segment file. */
  readonly offsetBytes: number;
}

/** What a record is, apart from its bytes. */
export interface RecordShape {
  readonly type: RecordType;
  /** Its group is synced whatever the durability level. */
  readonly isForced: boolean;
  /** Its bytes are a slot: header room, payload and zeros, page-aligned, written in place. Else
   * they are the payload, which is copied, and whose CRC is computed then. */
  readonly slot: SlotContent | undefined;
}

/** Of a slot, as its owner says. */
export interface SlotContent {
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

/** Tells whoever waits for a record: where it stands, or, by a rejected promise, why it does not.
 * One function of a promise and not both, for the same reason as `Records`. */
export type Settle = (outcome: WalPosition | Promise<never>) => void;

export interface PendingRecord {
  readonly shape: RecordShape;
  readonly bytes: Uint8Array;
  /** Called once, in the order of the appends. */
  readonly settle: Settle | undefined;
}

/** A payload of the log's user; one object for all of them. */
export const PLAIN_PAYLOAD: RecordShape = {
  type: RECORD_TYPES.payload,
  isForced: false,
  slot: undefined,
};

/** An empty record that ends the log. */
export function closedRecord(settle: Settle): PendingRecord {
  const shape = { type: RECORD_TYPES.closed, isForced: true, slot: undefined };
  return { shape, bytes: new Uint8Array(0), settle };
}

/** A record that witnesses `peerLsn` of the peer log. */
export function watermarkRecord(peerLsn: Lsn, isForced: boolean, settle?: Settle): PendingRecord {
  const bytes = Buffer.alloc(8);
  writeUint64(bytes, peerLsn, 0);
  return { shape: { type: RECORD_TYPES.watermark, isForced, slot: undefined }, bytes, settle };
}

/** What a watermark record's payload says. */
export function witnessedPeer(payload: Uint8Array): Lsn {
  return readUint64(Buffer.from(payload.buffer, payload.byteOffset, 8), 0) as Lsn;
}

/** Records in order, as columns: ten thousand small ones may wait, and an object for each, alive
 * for a group or two, is what the garbage collector would be busy with. The objects that go in and
 * come out live for a moment only, so that the compiler leaves them out. */
export class Records {
  readonly #shapes: RecordShape[];
  readonly #bytes: Uint8Array[];
  readonly #settles: (Settle | undefined)[];

  constructor(
    shapes: RecordShape[] = [],
    bytes: Uint8Array[] = [],
    settles: (Settle | undefined)[] = [],
  ) {
    this.#shapes = shapes;
    this.#bytes = bytes;
    this.#settles = settles;
  }

  get length(): number {
    return this.#shapes.length;
  }

  push({ shape, bytes, settle }: PendingRecord): void {
    this.#shapes.push(shape);
    this.#bytes.push(bytes);
    this.#settles.push(settle);
  }

  /** @param index below `length`. */
  at(index: number): PendingRecord {
    return {
      shape: this.#shapes[index] as RecordShape,
      bytes: this.#bytes[index] as Uint8Array,
      settle: this.#settles[index],
    };
  }

  slice(start: number, end?: number): Records {
    return new Records(
      this.#shapes.slice(start, end),
      this.#bytes.slice(start, end),
      this.#settles.slice(start, end),
    );
  }
}

/** First in, first out. One owner. */
export class RecordQueue {
  #records = new Records();
  #taken = 0;

  get length(): number {
    return this.#records.length - this.#taken;
  }

  push(record: PendingRecord): void {
    this.#records.push(record);
  }

  /** @param index 0 is the oldest; below `length`. */
  at(index: number): PendingRecord {
    return this.#records.at(this.#taken + index);
  }

  /** Removes the oldest `count`. */
  take(count: number): Records {
    const records = this.#records.slice(this.#taken, this.#taken + count);
    this.#taken += count;
    if (this.#taken * 2 >= this.#records.length) {
      this.#records = this.#records.slice(this.#taken);
      this.#taken = 0;
    }
    return records;
  }
}

/** Bytes that `record` holds until it is settled. */
export function heldBytes({ shape, bytes }: PendingRecord): number {
  return shape.slot === undefined ? RECORD_HEADER_BYTES + bytes.length : bytes.length;
}
