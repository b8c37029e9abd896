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
import { crc32 } from '../serde/crc32.ts';
import type { PendingRecord, RecordQueue } from './pending-record.ts';
import {
  PAGE_BYTES,
  RECORD_ALIGN_BYTES,
  RECORD_HEADER_BYTES,
  encodeRecordHeader,
  headerSeed,
  roundUp,
} from './record-header.ts';

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
  readonly offsets: readonly number[];
}

/** Length of the part of a slot that is written. */
export function slotBytes(payloadBytes: number): number {
  return roundUp(RECORD_HEADER_BYTES + payloadBytes, PAGE_BYTES);
}

/** Bytes on disk of a group of this one record. */
export function aloneBytes(record: PendingRecord): number {
  return slotBytes(record.payloadBytes);
}

export function planGroup(queue: RecordQueue, limits: GroupLimits): GroupPlan {
  const countMax = Math.min(queue.length, limits.groupRecordsMax);
  let count = 0;
  let end = 0;
  let inSlots = 0;
  while (count < countMax) {
    const record = queue.at(count);
    if (record === undefined) break;
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

/** Writes the headers, copies what is not in slots.
 * @param slab page-aligned, at least the plan's `slabBytes`; not touched again until written. */
export function encodeGroup(
  group: readonly PendingRecord[],
  place: GroupPlace,
  slab: Uint8Array,
): EncodedGroup {
  const views: Uint8Array[] = [];
  const offsets: number[] = [];
  let at = place.offsetBytes;
  let slabAt = 0;
  let runStart = 0;
  for (const [index, record] of group.entries()) {
    offsets.push(at);
    const next = group[index + 1];
    const isRoundedUp = record.isSlot || next === undefined || next.isSlot;
    const header = encodeHeader(record, { ...place, offsetBytes: at, isRoundedUp }, index);
    if (record.isSlot) {
      record.bytes.set(header);
      views.push(record.bytes.subarray(0, slotBytes(record.payloadBytes)));
      at += slotBytes(record.payloadBytes);
      continue;
    }
    const end = copyRecord(record, header, { slab, at: slabAt, isRoundedUp });
    at += end - slabAt;
    slabAt = end;
    if (isRoundedUp) {
      views.push(slab.subarray(runStart, slabAt));
      runStart = slabAt;
    }
  }
  assert(at % PAGE_BYTES === 0, 'a group does not end on a page');
  return { views, bytes: at - place.offsetBytes, offsets };
}

function endOf(record: PendingRecord, start: number): number {
  if (record.isSlot) return roundUp(start, PAGE_BYTES) + slotBytes(record.payloadBytes);
  return start + roundUp(RECORD_HEADER_BYTES + record.payloadBytes, RECORD_ALIGN_BYTES);
}

function encodeHeader(
  record: PendingRecord,
  place: GroupPlace & { readonly isRoundedUp: boolean },
  index: number,
): Uint8Array {
  return encodeRecordHeader(
    {
      type: record.type,
      isRoundedUp: place.isRoundedUp,
      payloadBytes: record.payloadBytes,
      payloadCrc: record.isSlot ? record.payloadCrc : crc32(record.bytes),
      lsn: (place.firstLsn + index) as Lsn,
      durableLsn: place.durableLsn,
    },
    headerSeed(place.salt, place.offsetBytes),
  );
}

/** @returns the end of the record and of its padding in the slab. */
function copyRecord(
  record: PendingRecord,
  header: Uint8Array,
  to: { readonly slab: Uint8Array; readonly at: number; readonly isRoundedUp: boolean },
): number {
  const payloadAt = to.at + RECORD_HEADER_BYTES;
  const payloadEnd = payloadAt + record.payloadBytes;
  const end = roundUp(payloadEnd, to.isRoundedUp ? PAGE_BYTES : RECORD_ALIGN_BYTES);
  to.slab.set(header, to.at);
  to.slab.set(record.bytes, payloadAt);
  to.slab.fill(0, payloadEnd, end); // the slab still holds an earlier group
  return end;
}
