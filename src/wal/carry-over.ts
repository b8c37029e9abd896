/** Suspect records of an earlier open, moved into the first segment of this one.
 *
 * A crash left them readable, but nothing proves that they are on the device: the page cache may
 * show what the disk never got. They keep their LSNs and are written again, in groups, before the
 * segment has a name; a crash in between leaves only a temporary file and changes nothing.
 * @module */
import type { Lsn } from '../core/ids.ts';
import { encodeGroup, planGroup } from './group-layout.ts';
import { RecordQueue } from './pending-record.ts';
import type { PendingRecord, Records, WalPosition } from './pending-record.ts';
import type { ActiveSegment } from './segment-file.ts';
import { shortWrite } from './short-write.ts';
import type { Slab } from './slab.ts';
import type { CarriedRecord, ResolvedWalOptions } from './wal-options.ts';

interface CarriedGroup {
  readonly records: Records;
  readonly slabBytes: number;
}

export interface CarryOverPlan {
  readonly groups: readonly CarriedGroup[];
  /** On disk, page padding included. */
  readonly bytes: number;
}

export function planCarryOver(options: ResolvedWalOptions): CarryOverPlan {
  const { groupBytesMax, groupRecordsMax } = options;
  const limits = { roomBytes: Number.POSITIVE_INFINITY, groupBytesMax, groupRecordsMax };
  const queue = new RecordQueue();
  for (const record of options.carryOver) queue.push(toPending(record));
  const groups: CarriedGroup[] = [];
  let bytes = 0;
  while (queue.length > 0) {
    const plan = planGroup(queue, limits);
    groups.push({ records: queue.take(plan.count), slabBytes: plan.slabBytes });
    bytes += plan.bytes;
  }
  return { groups, bytes };
}

/** Writes the planned groups at the segment's end, unsynced. @returns where each record is now. */
export async function writeCarryOver(
  plan: CarryOverPlan,
  segment: ActiveSegment,
  slab: Slab,
): Promise<WalPosition[]> {
  const positions: WalPosition[] = [];
  for (const { records, slabBytes } of plan.groups) {
    const firstLsn = segment.baseLsn + positions.length;
    const place = {
      offsetBytes: segment.endBytes,
      salt: segment.salt,
      firstLsn,
      durableLsn: segment.previousLastLsn,
    };
    const { views, bytes, offsets } = encodeGroup(records, place, slab.take(slabBytes));
    const taken = await segment.file.write(views, segment.endBytes);
    if (taken !== bytes) throw shortWrite(segment.file.path, bytes, taken);
    segment.endBytes += bytes;
    for (const [index, offsetBytes] of offsets.entries()) {
      positions.push({ lsn: (firstLsn + index) as Lsn, segmentSeq: segment.seq, offsetBytes });
    }
  }
  return positions;
}

function toPending({ type, payload }: CarriedRecord): PendingRecord {
  const shape = { type, isForced: true, slot: undefined };
  return { shape, bytes: payload, settle: undefined };
}
