/** How the records of one group lie in a segment: pure arithmetic and copying, no files.
 *
 *     │ h p │ h p │ h p ……… zeros │ slot = h p zeros │ slot      │ h p ……… zeros │
 *     ↑ page      flag: round up ↑ page            ↑ page      ↑ page          ↑ page
 *
 * A group starts and ends on a page. Small records are copied one after the other into a slab; the
 * last one of such a run is flagged, so that what follows starts on a page. Slots are written from
 * where they lie and are always flagged. Order on disk = order of the calls.
 * Spec: docs/wal-format.md. @module */
import { assert } from '../core/assert.ts';
import type { Lsn } from '../core/ids.ts';
import type { PendingRecord, RecordQueue, Records, SlotContent } from './pending-record.ts';
import {
  PAGE_BYTES,
  RECORD_ALIGN_BYTES,
  HeaderWriter,
  RECORD_HEADER_BYTES,
  RECORD_TYPES,
  headerSeed,
  roundUp,
} from './record-header.ts';
import type { RecordHeader } from './record-header.ts';

export interface GroupLimits {
  /** Bytes left in the segment. */
  readonly roomBytes: number;
  /** Soft: a group of one record may be larger. */
  readonly groupBytesMax: number;
  readonly groupRecordsMax: number;
}

/** The longest prefix of the queue that makes one group. `count` 0: the first one has no room. */
export interface GroupPlan {
  readonly count: number;
  /** On disk, a multiple of PAGE_BYTES. */
  readonly bytes: number;
  /** How much of it is copied into the slab. */
  readonly slabBytes: number;
}

/** Where a group starts, and what its headers say. */
export interface GroupPlace {
  readonly offsetBytes: number;
  readonly salt: number;
  readonly firstLsn: number;
  readonly durableLsn: Lsn;
}

export interface EncodedGroup {
  /** What to write, in order; lengths are multiples of PAGE_BYTES. */
  readonly views: readonly Uint8Array[];
  readonly bytes: number;
  /** Of each record's header, in the file. */
  readonly offsets: Float64Array;
}

/** Length of the part of a slot that is written. */
export function slotBytes(payloadBytes: number): number {
  return roundUp(RECORD_HEADER_BYTES + payloadBytes, PAGE_BYTES);
}

export function planGroup(queue: RecordQueue, limits: GroupLimits): GroupPlan {
  const countMax = Math.min(queue.length, limits.groupRecordsMax);
  let count = 0;
  let end = 0;
  let inSlots = 0;
  while (count < countMax) {
    const record = queue.at(count);
    const nextEnd = endOf(record, end);
    const bytes = roundUp(nextEnd, PAGE_BYTES);
    if (bytes > limits.roomBytes || (count > 0 && bytes > limits.groupBytesMax)) break;
    end = nextEnd;
    if (record.shape.slot !== undefined) inSlots += slotBytes(record.shape.slot.payloadBytes);
    count += 1;
  }
  const bytes = roundUp(end, PAGE_BYTES);
  return { count, bytes, slabBytes: bytes - inSlots };
}

/** Writes the headers, copies what is not in slots.
 * @param slab page-aligned, at least the plan's `slabBytes`; not touched again until written. */
export function encodeGroup(group: Records, place: GroupPlace, slab: Uint8Array): EncodedGroup {
  const encoder = new GroupEncoder(group, place, slab);
  for (let index = 0; index < group.length;) {
    const { slot } = group.at(index).shape;
    index = slot === undefined ? encoder.addRun(index) : encoder.addSlot(index, slot);
  }
  return encoder.end();
}

/** A group is runs of small records and slots, in any order. */
class GroupEncoder {
  readonly #group: Records;
  readonly #place: GroupPlace;
  readonly #slab: Uint8Array;
  readonly #writer: HeaderWriter;
  readonly #views: Uint8Array[] = [];
  readonly #offsets: Float64Array;
  /** One for all records. */
  readonly #header: Mutable<RecordHeader>;
  /** In the file. */
  #at: number;
  #slabAt = 0;

  constructor(group: Records, place: GroupPlace, slab: Uint8Array) {
    this.#group = group;
    this.#place = place;
    this.#slab = slab;
    this.#writer = new HeaderWriter(slab);
    this.#offsets = new Float64Array(group.length);
    this.#header = emptyHeader(place.durableLsn);
    this.#at = place.offsetBytes;
  }

  /** Copies the small records from `first` on into one view: the hottest loop of a log with small
   * records, which makes no object for a record.
   * @returns the index behind the last one. */
  addRun(first: number): number {
    const slab = this.#slab;
    const header = this.#header;
    const behind = this.#runEnd(first);
    const startSlabAt = this.#slabAt;
    const toFile = this.#at - startSlabAt;
    let slabAt = startSlabAt;
    for (let index = first; index < behind; index += 1) {
      const { shape, bytes } = this.#group.at(index);
      const at = slabAt + toFile;
      this.#offsets[index] = at;
      header.type = shape.type;
      header.isRoundedUp = index + 1 === behind;
      header.payloadBytes = bytes.length;
      header.lsn = (this.#place.firstLsn + index) as Lsn;
      const payloadAt = slabAt + RECORD_HEADER_BYTES;
      slab.set(bytes, payloadAt);
      header.payloadCrc = this.#writer.crc.of(payloadAt, bytes.length, 0);
      this.#writer.write(header, slabAt, headerSeed(this.#place.salt, at));
      const payloadEnd = payloadAt + bytes.length;
      slabAt = roundUp(payloadEnd, header.isRoundedUp ? PAGE_BYTES : RECORD_ALIGN_BYTES);
      // The slab still holds an earlier group. Up to a page behind the last record, and a few bytes
      // behind each other one, for which a call would cost more than the loop.
      if (header.isRoundedUp) slab.fill(0, payloadEnd, slabAt);
      else for (let gap = payloadEnd; gap < slabAt; gap += 1) slab[gap] = 0;
    }
    this.#views.push(slab.subarray(startSlabAt, slabAt));
    this.#slabAt = slabAt;
    this.#at = slabAt + toFile;
    return behind;
  }

  /** @returns the index behind it. */
  addSlot(index: number, { payloadBytes, payloadCrc }: SlotContent): number {
    const { shape, bytes } = this.#group.at(index);
    const lsn = (this.#place.firstLsn + index) as Lsn;
    const { durableLsn, salt } = this.#place;
    const written = bytes.subarray(0, slotBytes(payloadBytes));
    const header = {
      type: shape.type,
      isRoundedUp: true,
      payloadBytes,
      payloadCrc,
      lsn,
      durableLsn,
    };
    new HeaderWriter(written).write(header, 0, headerSeed(salt, this.#at));
    this.#offsets[index] = this.#at;
    this.#views.push(written);
    this.#at += written.byteLength;
    return index + 1;
  }

  end(): EncodedGroup {
    assert(this.#at % PAGE_BYTES === 0, 'a group does not end on a page');
    const bytes = this.#at - this.#place.offsetBytes;
    return { views: this.#views, bytes, offsets: this.#offsets };
  }

  /** Of the run that starts at `first`: the index behind its last record. */
  #runEnd(first: number): number {
    let index = first + 1;
    while (index < this.#group.length && this.#group.at(index).shape.slot === undefined) {
      index += 1;
    }
    return index;
  }
}

function endOf({ shape, bytes }: PendingRecord, start: number): number {
  const { slot } = shape;
  if (slot !== undefined) return roundUp(start, PAGE_BYTES) + slotBytes(slot.payloadBytes);
  return roundUp(start + RECORD_HEADER_BYTES + bytes.length, RECORD_ALIGN_BYTES);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Filled in anew for each record of a group. */
function emptyHeader(durableLsn: Lsn): Mutable<RecordHeader> {
  return {
    type: RECORD_TYPES.payload,
    isRoundedUp: false,
    payloadBytes: 0,
    payloadCrc: 0,
    lsn: 0 as Lsn,
    durableLsn,
  };
}
