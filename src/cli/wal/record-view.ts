/** One log record as an object for a person's or a program's eyes; the shape is documented in
 * docs/wal-tools.md and is part of the command line's contract. Pure. @module */
import { binOfPayload, readBlockMeta } from '../../blocks/block-layout.ts';
import type { BlockMeta } from '../../blocks/block-layout.ts';
import { recordsOfBin } from '../../blocks/block-records.ts';
import { toError } from '../../core/errors.ts';
import type { Codec } from '../../serde/codec.ts';
import { RECORD_TYPES, readUint64 } from '../../wal/record-header.ts';
import type { ScannedRecord } from '../../wal/scanned-record.ts';
import { segmentName } from '../../wal/segment-name.ts';

export interface BlockView {
  readonly stream: string;
  readonly receiver: number;
  readonly epoch: number;
  readonly n: number;
  readonly seq: number;
  readonly codec: string;
  readonly count: number;
  readonly positions: readonly (readonly unknown[])[];
  readonly sourceIds: readonly (readonly unknown[])[];
  readonly isBuffered: boolean;
}

export interface RecordView {
  readonly log: string;
  readonly lsn: number;
  readonly type: 'payload' | 'watermark' | 'closed';
  /** File name of the segment, and the place of the record's header in it. */
  readonly segment: string;
  readonly offset: number;
  /** Of the payload, in bytes. */
  readonly length: number;
  readonly durableLsn: number;
  readonly peerLsn?: number;
  readonly block?: BlockView;
  readonly event?: unknown;
  /** With `records: true`: the block's records, decoded. */
  readonly records?: readonly unknown[];
  /** The CRC is right and the content is not: why. */
  readonly undecodable?: string;
}

const TYPE_NAMES = { 1: 'payload', 2: 'watermark', 3: 'closed' } as const;
const FIXARRAY_8 = 0x98;

export interface ViewOptions {
  readonly log: string;
  readonly codec: Codec;
  readonly withRecords: boolean;
}

export function viewRecord(
  record: ScannedRecord,
  payload: Buffer,
  options: ViewOptions,
): RecordView {
  const { lsn, type, durableLsn, offsetBytes, payloadBytes, segmentSeq } = record;
  const view: RecordView = {
    log: options.log,
    lsn,
    type: TYPE_NAMES[type],
    segment: segmentName(segmentSeq),
    offset: offsetBytes,
    length: payloadBytes,
    durableLsn,
  };
  if (type === RECORD_TYPES.watermark && payload.byteLength >= 8) {
    return { ...view, peerLsn: readUint64(payload, 0) };
  }
  return type === RECORD_TYPES.payload ? { ...view, ...viewPayload(payload, options) } : view;
}

function viewPayload(payload: Buffer, { codec, withRecords }: ViewOptions): Partial<RecordView> {
  try {
    if (payload[0] !== FIXARRAY_8) return { event: codec.unpack(payload) };
    const meta = readBlockMeta(payload, codec);
    const block = viewBlock(meta);
    if (!withRecords) return { block };
    const records: unknown[] = [];
    recordsOfBin(binOf(payload), meta, codec).forEach((each) => records.push(each));
    return { block, records };
  } catch (error) {
    return { undecodable: toError(error).message };
  }
}

/** The end table is read as numbers of 4 bytes: the bin must lie on such a place in memory. */
export function binOf(payload: Buffer): Uint8Array {
  const bin = binOfPayload(payload);
  return bin.byteOffset % 4 === 0 ? bin : bin.slice();
}

function viewBlock({ blockId, ...meta }: BlockMeta): BlockView {
  const { streamId, receiverIndex, incarnation, seq } = blockId;
  return {
    stream: streamId,
    receiver: receiverIndex,
    ...incarnation,
    seq,
    codec: meta.codec,
    count: meta.recordCount,
    positions: meta.positions.map(({ partition, follows, last }) => [partition, follows, last]),
    sourceIds: meta.sourceIds.map(({ key, digest, recordCount }) => [key, digest, recordCount]),
    isBuffered: meta.isBuffered,
  };
}
