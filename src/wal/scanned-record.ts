/** What a scan says of one valid record, and reading its payload again later.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk } from './disk.ts';
import { lostBytesErrno } from './read-fault.ts';
import { RECORD_HEADER_BYTES } from './record-header.ts';
import type { RecordType } from './record-header.ts';
import type { CarriedRecord } from './wal-options.ts';

export interface ScannedRecord {
  readonly lsn: Lsn;
  readonly type: RecordType;
  /** As written in the record: what was durable when it was built. */
  readonly durableLsn: Lsn;
  readonly segmentSeq: number;
  readonly path: string;
  /** Of the 32-byte header; the payload is right behind it. */
  readonly offsetBytes: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

/** Reads the payloads of `records`, for `WalOptions.carryOver`. All of them are held in memory: as
 * many bytes as the last unwitnessed groups had, at most about one segment. What acted upon the
 * scan's bytes and what is written again from here are equal by CRC; the old place is not read
 * again.
 * @throws {MillraceError} WAL_CORRUPT when one no longer has the CRC that the scan saw, or cannot
 *   be read any more. */
export async function readRecords(
  disk: Disk,
  records: readonly ScannedRecord[],
): Promise<CarriedRecord[]> {
  const carried: CarriedRecord[] = [];
  for (const record of records) {
    const payload = await readPayload(disk, record);
    carried.push({ lsn: record.lsn, type: record.type, payload });
  }
  return carried;
}

async function readPayload(disk: Disk, record: ScannedRecord): Promise<Uint8Array> {
  const { path, offsetBytes, payloadBytes, payloadCrc } = record;
  const file = await disk.openForReading(path);
  try {
    const payload = new Uint8Array(payloadBytes);
    const got = await file.read(payload, offsetBytes + RECORD_HEADER_BYTES);
    if (got === payloadBytes && crc32(payload) === payloadCrc) return payload;
  } catch (thrown) {
    if (lostBytesErrno(thrown) === undefined) throw thrown;
    throw changed(record, 'cannot be read any more', thrown);
  } finally {
    await file.close();
  }
  throw changed(record, 'changed after its check');
}

function changed(record: ScannedRecord, how: string, cause?: unknown): MillraceError {
  const { path, offsetBytes, lsn } = record;
  return new MillraceError(
    'WAL_CORRUPT',
    `record ${lsn} at byte ${offsetBytes} of ${path} ${how}: the device fails`,
    { cause, details: { path, offsetBytes, lsn } },
  );
}
