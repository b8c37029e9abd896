/** Streams the records of some logs to a sink, one JSON line each or raw. Shared by `wal export`
 * and `wal inspect --records`, so that both print the same. @module */
import type { Codec } from '../../serde/codec.ts';
import { formatJson } from '../../sinks/json-format.ts';
import type { Disk } from '../../wal/disk.ts';
import { tourLog } from './log-tour.ts';
import type { LogTour, TourRange } from './log-tour.ts';
import type { ExportSink } from './export-sink.ts';
import { viewRecord } from './record-view.ts';
import type { RecordView } from './record-view.ts';
import { logDirectory } from './target.ts';
import type { WalTarget } from './target.ts';

/** `json`: one line a record. `text`: one line for a person. `raw`: the payloads as they are, each
 * after its length as u32, little-endian. */
export type RecordForm = 'json' | 'text' | 'raw';

export interface RecordQuery extends TourRange {
  readonly disk: Disk;
  readonly target: WalTarget;
  readonly codec: Codec;
  readonly logs: readonly string[];
  /** Only blocks of this input. */
  readonly stream?: string | undefined;
  readonly withRecords: boolean;
  readonly form: RecordForm;
}

/** Thrown to end a tour whose reader has gone. */
class ReaderGone extends Error {}

/** @returns what there is to say beside the data. */
export async function writeRecords(query: RecordQuery, sink: ExportSink): Promise<string[]> {
  const notes: string[] = [];
  try {
    for (const log of query.logs) notes.push(...(await writeLog(query, log, sink)));
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
  }
  return notes;
}

async function writeLog(query: RecordQuery, log: string, sink: ExportSink): Promise<string[]> {
  const { disk, target, codec, stream, withRecords, form, fromLsn, toLsn } = query;
  const tour = await tourLog(disk, logDirectory(target, log), {
    ...(fromLsn === undefined ? {} : { fromLsn }),
    ...(toLsn === undefined ? {} : { toLsn }),
    visit: async (record, payload) => {
      const view = viewRecord(record, payload, { log, codec, withRecords });
      if (stream !== undefined && view.block?.stream !== stream) return;
      const chunk = form === 'raw' ? frame(view, payload) : lineOf(view, form);
      if (chunk.length > 0 && !(await sink.write(chunk))) throw new ReaderGone();
    },
  });
  return notesOn(log, tour, toLsn ?? Infinity);
}

function lineOf(view: RecordView, form: 'json' | 'text'): string {
  return `${form === 'json' ? formatJson(view) : recordText(view)}\n`;
}

/** Control records say nothing to a reader of payloads. */
function frame({ type }: RecordView, payload: Buffer): Buffer {
  if (type !== 'payload') return Buffer.alloc(0);
  const framed = Buffer.alloc(4 + payload.byteLength);
  framed.writeUInt32LE(payload.byteLength, 0);
  payload.copy(framed, 4);
  return framed;
}

/** `receiver-log-0 17 at 00…1.wal:8192, 412 bytes: block lines-0/0/1.1/3, 4 records` */
function recordText(view: RecordView): string {
  const { log, lsn, segment, offset, length } = view;
  return `${log} ${lsn} at ${segment}:${offset}, ${length} bytes: ${contentText(view)}`;
}

const EVENT_NAMES: Readonly<Record<number, string>> = {
  1: 'block-added',
  2: 'batch-allocated',
  3: 'batch-cleaned',
};

function contentText({ type, block, event, peerLsn, undecodable, records }: RecordView): string {
  if (undecodable !== undefined) return `not decodable: ${undecodable}`;
  if (block !== undefined) {
    const { stream, receiver, epoch, n, seq, count, positions } = block;
    const covered = positions.map(([partition, , last]) => `${String(partition)}:${String(last)}`);
    const at = covered.length === 0 ? '' : `, up to ${covered.join(' ')}`;
    const content = records === undefined ? '' : ` ${formatJson(records)}`;
    return `block ${stream}/${receiver}/${epoch}.${n}/${seq}, ${count} records${at}${content}`;
  }
  if (type === 'watermark') return `watermark, peer log synced up to ${peerLsn}`;
  if (type === 'closed') return 'closed';
  const kind = Array.isArray(event) ? EVENT_NAMES[Number(event[1])] : undefined;
  return `${kind ?? 'event'} ${formatJson(Array.isArray(event) ? event[2] : event)}`;
}

function notesOn(log: string, tour: LogTour, toLsn: number): string[] {
  const notes: string[] = [];
  if (tour.missedCount > 0) {
    notes.push(`${log}: an engine recycled ${tour.missedCount} records before they were read`);
  }
  const last = tour.segments.at(-1);
  const isCut =
    last !== undefined && last.end.expectedLsn <= Math.min(last.segment.lastLsnMax, toLsn);
  const hasMore = tour.live.break !== undefined || last?.segment !== tour.live.segments.at(-1);
  if ((isCut && (hasMore || last.end.isTouched)) || tour.live.break !== undefined) {
    const place = `${last?.segment.path ?? log}, byte ${last?.end.offsetBytes ?? 0}`;
    notes.push(`${log}: record ${tour.nextLsn} is not whole (${place}); see millrace wal verify`);
  }
  return notes;
}
