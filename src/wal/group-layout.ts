/** How the records of one group lie in a segment: pure arithmetic and copying, no files.
 *
 *     │ h p │ h p │ h p ……… zeros │ slot = h p zeros │ slot      │ h p ……… zeros │
 *     ↑ page      flag: round up ↑ page            ↑ page      ↑ page          ↑ page
 *
 * A group starts and ends on a page. Small records are copied one after the other into a slab; the
 * last one of such a run is flagged, so that what follows starts on a page. Slots are written from
 * where they lie and are always flagged. Order on disk = order of the calls.
 * Spec: docs/wal-format.md. @module */
import { present } from '../core/assert.ts';
import { assert } from '../core/assert.ts';
import type { Lsn } from '../core/ids.ts';
import type { PendingRecord, RecordQueue } from './pending-record.ts';
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
    const record = present(queue.at(count), 'a record of a queue that has more');
    const nextEnd = endOf(record, end);
    const bytes = roundUp(nextEnd, PAGE_BYTES);
    if (bytes > limits.roomBytes || (count > 0 && bytes > limits.groupBytesMax)) break;
    end = nextEnd;
    if (record.isSlot) inSlots += slotBytes(record.payloadBytes);
    count += 1;
  }
  const bytes = roundUp(end, PAGE_BYTES);
  return { count, bytes, slabBytes: bytes - inSlots };
}

/** Writes the headers, copies what is not in slots. The hottest loop of a log with small records:
 * it makes no object for a record.
 * @param slab page-aligned, at least the plan's `slabBytes`; not touched again until written. */
export function encodeGroup(
  group: readonly PendingRecord[],
  place: GroupPlace,
  slab: Uint8Array,
): EncodedGroup {
  const views: Uint8Array[] = [];
  const offsets = new Float64Array(group.length);
  const writer = new HeaderWriter(slab);
  const header = emptyHeader(place.durableLsn);
  let at = place.offsetBytes;
  let slabAt = 0;
  let runStart = 0;
  for (let index = 0; index < group.length; index += 1) {
    const record = group[index] as PendingRecord;
    const next = group[index + 1];
    const seed = headerSeed(place.salt, at);
    offsets[index] = at;
    header.type = record.type;
    header.isRoundedUp = record.isSlot || next === undefined || next.isSlot;
    header.payloadBytes = record.payloadBytes;
    header.lsn = (place.firstLsn + index) as Lsn;
    if (record.isSlot) {
      header.payloadCrc = record.payloadCrc;
      const written = record.bytes.subarray(0, slotBytes(record.payloadBytes));
      new HeaderWriter(written).write(header, 0, seed);
      views.push(written);
      at += written.byteLength;
      continue;
    }
    const payloadAt = slabAt + RECORD_HEADER_BYTES;
    const end = copyPayload(record, header.isRoundedUp, { slab, payloadAt });
    header.payloadCrc = writer.crc.of(payloadAt, record.payloadBytes, 0);
    writer.write(header, slabAt, seed);
    at += end - slabAt;
    slabAt = end;
    if (header.isRoundedUp) {
      views.push(slab.subarray(runStart, slabAt));
      runStart = slabAt;
    }
  }
  assert(at % PAGE_BYTES === 0, 'a group does not end on a page');
  return { views, bytes: at - place.offsetBytes, offsets };
}

function endOf(record: PendingRecord, start: number): number {
  if (record.isSlot) return roundUp(start, PAGE_BYTES) + slotBytes(record.payloadBytes);
  return roundUp(start + RECORD_HEADER_BYTES + record.payloadBytes, RECORD_ALIGN_BYTES);
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

/** @returns the end of the payload and of its padding in the slab. */
function copyPayload(
  { bytes, payloadBytes }: PendingRecord,
  isRoundedUp: boolean,
  { slab, payloadAt }: { readonly slab: Uint8Array; readonly payloadAt: number },
): number {
  const payloadEnd = payloadAt + payloadBytes;
  const end = roundUp(payloadEnd, isRoundedUp ? PAGE_BYTES : RECORD_ALIGN_BYTES);
  slab.set(bytes, payloadAt);
  // The slab still holds an earlier group.
  for (let gap = payloadEnd; gap < end; gap += 1) slab[gap] = 0;
  return end;
}
