/** Steps through the records of one segment, one call a record, for tools that wait in between.
 * What counts as a record, segment-scan.ts decides, for this as for verdicts. @module */
import type { Lsn } from '../../core/ids.ts';
import { RECORD_HEADER_BYTES } from '../../wal/record-header.ts';
import type { ScannedRecord } from '../../wal/scanned-record.ts';
import type { FoundSegment } from '../../wal/segment-list.ts';
import type { SegmentReader } from '../../wal/segment-reader.ts';
import { RecordWalk } from '../../wal/segment-scan.ts';

export interface CursorRecord {
  readonly record: ScannedRecord;
  /** Good until the next call. */
  readonly payload: Buffer;
}

export class RecordCursor {
  readonly #reader: SegmentReader;
  readonly #walk: RecordWalk;
  #found: CursorRecord | undefined;

  constructor(segment: FoundSegment, reader: SegmentReader) {
    this.#reader = reader;
    this.#walk = new RecordWalk(segment, 0, (record, payload) => {
      this.#found = { record, payload };
    });
  }

  /** LSN of the record that should be at `offsetBytes`. */
  get expectedLsn(): Lsn {
    return this.#walk.expectedLsn;
  }

  get offsetBytes(): number {
    return this.#walk.offsetBytes;
  }

  /** After the end: something is there that only a write of that record can have left. */
  get isTouched(): boolean {
    return this.#walk.isTouched;
  }

  /** Goes on behind a place that cannot be read, at the header of record `lsn`. */
  resume(lsn: Lsn, offsetBytes: number): void {
    this.#walk.expectedLsn = lsn;
    this.#walk.offsetBytes = offsetBytes;
    this.#walk.isTouched = false;
  }

  /** @returns `undefined` at the first record that is not whole: the cursor stays there.
   * @throws {MillraceError} FORMAT_UNKNOWN for a sound record of an unknown kind. */
  async next(): Promise<CursorRecord | undefined> {
    const [walk, reader] = [this.#walk, this.#reader];
    this.#found = undefined;
    walk.lastLsn = walk.expectedLsn;
    for (let needed = walk.advance(reader); needed > 0; needed = walk.advance(reader)) {
      if (await reader.moveTo(walk.offsetBytes, needed)) continue;
      walk.isTouched = needed > RECORD_HEADER_BYTES; // a sound header, and no room for its payload
      break;
    }
    return this.#found;
  }
}
