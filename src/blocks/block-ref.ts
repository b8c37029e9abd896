/** How a block, and any other run of bytes in shared memory, is named between threads.
 *
 * Only these references cross threads, never records. A reference is good for as long as its owner,
 * the driver, has not freed it: blocks by batch, shuffle pieces and results by batch too.
 * @module */
import type { BlockId, Lsn, StreamId } from '../core/ids.ts';
import type { RecordCodec } from '../serde/codec.ts';

/** Bytes in the arena. `extentIndex` is what gets freed, `offsetBytes` counts from the arena's
 * start. */
export interface ArenaBytes {
  readonly kind: 'arena';
  readonly extentIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Bytes in a private file of this run (shuffle pieces that found no room in the arena). */
export interface SpilledBytes {
  readonly kind: 'file';
  readonly path: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

export type SharedBytes = ArenaBytes | SpilledBytes;

/** A whole log payload (block-layout.ts) in a segment file of a receiver log. */
export interface LogBytes {
  readonly kind: 'log';
  readonly path: string;
  /** Of the payload's first byte in the file. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly crc: number;
  /** For messages. */
  readonly lsn: Lsn;
}

/** The bin of a block in the run's spill file (spill-file.ts). */
export interface SpilledBin {
  readonly kind: 'spill';
  /** Of the whole process; the driver's to close. The file has no name any more. */
  readonly fd: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly crc: number;
}

/** Where to read the records of one block. For `arena` and `spill` the bytes are the bin, for `log`
 * the payload. */
export interface BlockRef {
  readonly streamId: StreamId;
  /** `blockKey` of the block's id. */
  readonly key: string;
  readonly recordCount: number;
  readonly codec: RecordCodec;
  readonly bytes: ArenaBytes | LogBytes | SpilledBin;
}

export type DurabilityLevel = 'sync' | 'flush' | 'off';

/** Where a block's record stands in a receiver log. */
export interface LogPosition {
  /** Directory name of the log (`receiver-log-0`). */
  readonly log: string;
  readonly lsn: Lsn;
  readonly segmentSeq: number;
  /** Of the 32-byte record header in the segment file. */
  readonly offsetBytes: number;
  readonly payloadBytes: number;
  readonly payloadCrc: number;
}

/** A place in one partition of a replayable source: whatever the source counts by. */
export type PositionValue = number | string;

/** The positions a block covers in one source partition: strictly after `follows`, up to `last`. */
export interface PositionRange {
  readonly partition: string;
  /** `null` when the block starts the partition. */
  readonly follows: PositionValue | null;
  readonly last: PositionValue;
}

/** An idempotency key that came with records of the block. */
export interface SourceId {
  readonly key: string;
  /** Of the request body, to tell a repetition from a reuse of the key. */
  readonly digest: string;
  readonly recordCount: number;
}

/** What the driver keeps of a block: the content of a `block-added` event. */
export interface BlockInfo {
  readonly blockId: BlockId;
  readonly recordCount: number;
  readonly codec: RecordCodec;
  /** Length of the record bytes (the bin), for sizing tasks. */
  readonly lengthBytes: number;
  readonly durability: DurabilityLevel;
  /** Absent with the log off. */
  readonly position?: LogPosition;
  readonly positions: readonly PositionRange[];
  readonly sourceIds: readonly SourceId[];
  /** True when it holds records of `store(record)`, which the source will not send again. */
  readonly isBuffered: boolean;
}
