/** What a scan says of one valid record, and reading its payload again later.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import { crc32 } from '../serde/crc32.ts';
import type { Disk } from './disk.ts';
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
 * many bytes as the last unwitnessed groups had, at most about one segment.
 * @throws {MillraceError} WAL_CORRUPT when one no longer has the CRC that the scan saw. */
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
  const { path, offsetBytes, payloadBytes, payloadCrc, lsn } = record;
  const file = await disk.openForReading(path);
  try {
    const payload = new Uint8Array(payloadBytes);
    const got = await file.read(payload, offsetBytes + RECORD_HEADER_BYTES);
    if (got === payloadBytes && crc32(payload) === payloadCrc) return payload;
  } finally {
    await file.close();
  }
  throw new MillraceError(
    'WAL_CORRUPT',
    `record ${lsn} at byte ${offsetBytes} of ${path} changed after its check: the device fails`,
    { details: { path, offsetBytes, lsn } },
  );
}
