/** Streams the records of some logs to a sink, one JSON line each or raw. Shared by `wal export`
 * and `wal inspect --records`, so that both print the same. @module */
import type { Codec } from '../../serde/codec.ts';
import { formatJson } from '../../sinks/json-format.ts';
import type { Disk } from '../../wal/disk.ts';
import { placeText, spanText } from './log-hole.ts';
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

/** What there is to say beside the data. */
export interface WrittenRecords {
  readonly notes: readonly string[];
  /** Of what cannot be read, by log. */
  readonly holeNotes: ReadonlyMap<string, readonly string[]>;
  /** Logs in which a hole is damage by what the log itself says. */
  readonly damaged: readonly string[];
}

export async function writeRecords(query: RecordQuery, sink: ExportSink): Promise<WrittenRecords> {
  const notes: string[] = [];
  const holeNotes = new Map<string, readonly string[]>();
  const damaged: string[] = [];
  const streams = new Set<string>();
  try {
    for (const log of query.logs) {
      const tour = await writeLog(query, log, { sink, streams });
      const { missedCount, holes, durableLsn, live } = tour;
      if (missedCount > 0) {
        notes.push(`${log}: an engine recycled ${missedCount} records before they were read`);
      }
      const ofLog = holeNotesOf(log, tour);
      if (ofLog.length > 0) holeNotes.set(log, ofLog);
      const isProven = holes.some(({ firstLsn }) => firstLsn <= durableLsn);
      if (isProven || live.break !== undefined) damaged.push(log);
    }
    notes.push(...streamNotes(query, streams));
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
  }
  return { notes, holeNotes, damaged };
}

interface Writing {
  readonly sink: ExportSink;
  /** Inputs whose blocks were seen. */
  readonly streams: Set<string>;
}

async function writeLog(
  query: RecordQuery,
  log: string,
  { sink, streams }: Writing,
): Promise<LogTour> {
  const { disk, target, codec, stream, withRecords, form, fromLsn, toLsn } = query;
  return tourLog(disk, logDirectory(target, log), {
    ...(fromLsn === undefined ? {} : { fromLsn }),
    ...(toLsn === undefined ? {} : { toLsn }),
    isRunning: target.isRunning,
    visit: async (record, payload) => {
      const view = viewRecord(record, payload, { log, codec, withRecords });
      if (view.block !== undefined) streams.add(view.block.stream);
      if (stream !== undefined && view.block?.stream !== stream) return;
      const chunk = form === 'raw' ? frame(view, payload) : lineOf(view, form);
      if (chunk.length > 0 && !(await sink.write(chunk))) throw new ReaderGone();
    },
  });
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

function holeNotesOf(log: string, { holes, live }: LogTour): string[] {
  const notes = holes.map((hole) => {
    const { lastLsn } = hole;
    const lost = `${spanText(hole)} cannot be read (${placeText(hole)})`;
    const resumes = lastLsn === undefined ? '' : `; readable again from record ${lastLsn + 1}`;
    return `${log}: ${lost}${resumes}; see millrace wal verify`;
  });
  if (live.break === undefined || holes.some(({ isFile }) => isFile)) return notes;
  return [...notes, `${log}: ${live.break.path} is not sound; see millrace wal verify`];
}

/** An input that nobody knows is more likely a slip than a wish. */
function streamNotes({ stream }: RecordQuery, streams: ReadonlySet<string>): string[] {
  if (stream === undefined || streams.has(stream)) return [];
  const others = streams.size === 0 ? '' : `; there are blocks of ${[...streams].join(', ')}`;
  return [`no block of the input ${stream} was found${others}`];
}
