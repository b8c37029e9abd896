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

export interface PendingRecord {
  readonly type: RecordType;
  /** A slot: header room, payload and zeros, page-aligned, written in place. Else: the payload. */
  readonly bytes: Uint8Array;
  readonly isSlot: boolean;
  readonly payloadBytes: number;
  /** Of a slot: given by the caller. Of a payload: computed when it is copied. */
  readonly payloadCrc: number;
  /** Its group is synced whatever the durability level. */
  readonly isForced: boolean;
  /** Whom to tell; one of the two is called, once, in the order of the appends. */
  readonly resolve: ((position: WalPosition) => void) | undefined;
  readonly reject: ((cause: Error) => void) | undefined;
}

/** Who waits for a record. */
export type Waiter = Required<Pick<PendingRecord, 'resolve' | 'reject'>>;

/** An empty record that ends the log. */
export function closedRecord(waiter: Waiter): PendingRecord {
  return { ...controlRecord(RECORD_TYPES.closed, new Uint8Array(0)), isForced: true, ...waiter };
}

/** A record that witnesses `peerLsn` of the peer log. */
export function watermarkRecord(peerLsn: Lsn, isForced: boolean, waiter?: Waiter): PendingRecord {
  const payload = Buffer.alloc(8);
  writeUint64(payload, peerLsn, 0);
  const record = { ...controlRecord(RECORD_TYPES.watermark, payload), isForced };
  return waiter === undefined ? record : { ...record, ...waiter };
}

/** What a watermark record's payload says. */
export function witnessedPeer(payload: Uint8Array): Lsn {
  return readUint64(Buffer.from(payload.buffer, payload.byteOffset, 8), 0) as Lsn;
}

function controlRecord(type: RecordType, bytes: Uint8Array): PendingRecord {
  return {
    type,
    bytes,
    isSlot: false,
    payloadBytes: bytes.byteLength,
    payloadCrc: 0,
    isForced: false,
    resolve: undefined,
    reject: undefined,
  };
}

/** First in, first out. One owner. */
export class RecordQueue {
  #records: PendingRecord[] = [];
  #taken = 0;

  get length(): number {
    return this.#records.length - this.#taken;
  }

  push(record: PendingRecord): void {
    this.#records.push(record);
  }

  /** @param index 0 is the oldest. */
  at(index: number): PendingRecord | undefined {
    return this.#records[this.#taken + index];
  }

  /** Removes the oldest `count`. */
  take(count: number): PendingRecord[] {
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
export function heldBytes(record: PendingRecord): number {
  return record.isSlot ? record.bytes.byteLength : RECORD_HEADER_BYTES + record.payloadBytes;
}
