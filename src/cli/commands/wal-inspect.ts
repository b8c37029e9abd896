/** `millrace wal inspect`: what is in a directory, as a table for a person or as JSON. @module */
import { basename } from 'node:path';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { CliIo } from '../io.ts';
import { inspectTarget } from '../wal/inspection.ts';
import type { CheckpointView, Inspection, LogView, SegmentView } from '../wal/inspection.ts';
import type { LogHole } from '../wal/log-hole.ts';
import { placeText, spanText } from '../wal/log-hole.ts';
import type { WalTarget } from '../wal/target.ts';
import { bytesText, openForTool } from '../wal/tool.ts';

export interface InspectCall {
  readonly directory: string;
  readonly isJson: boolean;
}

/** @returns 0. `inspect --records` is wal-export.ts. */
export async function walInspect(io: CliIo, call: InspectCall): Promise<number> {
  const { target, disk, bar } = await openForTool(io, 'inspect', call.directory);
  try {
    const found = await inspectTarget({ disk, target, codec: msgpackCodec });
    bar.close();
    const { directory, kind, isRunning } = target;
    const place = { format: 'millrace-wal-inspect', version: 1, directory, kind, isRunning };
    const text = call.isJson
      ? JSON.stringify({ ...place, ...found })
      : inspectionText(target, found).join('\n');
    io.out(`${text}\n`);
    return 0;
  } finally {
    bar.close();
  }
}

function inspectionText(target: WalTarget, found: Inspection): string[] {
  const { manifest, manifestProblem } = found;
  const lines = [`${target.directory}${target.isRunning ? '  (an engine is running here)' : ''}`];
  if (manifest !== undefined) {
    const { pipelineName, logId, epoch } = manifest;
    lines.push(`MANIFEST    pipeline ${pipelineName}, log ${logId}, epoch ${epoch}`);
  } else if (target.kind === 'home') lines.push(`MANIFEST    ${manifestProblem ?? 'damaged'}`);
  for (const log of found.logs) {
    const isElsewhere = target.elsewhere.has(log.name);
    lines.push(...logText(log), ...(isElsewhere ? [`  in ${log.directory}`] : []));
  }
  lines.push(...found.checkpoints.map(checkpointText));
  return lines;
}

function logText(log: LogView): string[] {
  const { name, firstLsn, lastLsn, isClosed, peerLsn, spares, tornTails } = log;
  const records = lastLsn < firstLsn ? 'no records' : `records ${firstLsn} to ${lastLsn}`;
  const peer = peerLsn === 0 ? '' : `, witnesses its peer up to ${peerLsn}`;
  return [
    `${name}  ${records}${isClosed ? ', closed' : ''}${peer}`,
    ...log.segments.map(segmentText),
    ...log.holes.map(holeLine),
    ...spares.map((file) => `  ${file}  spare`),
    ...tornTails.map((file) => `  ${file}  a torn tail, kept aside`),
  ];
}

function holeLine(hole: LogHole): string {
  const { path, fromBytes, lastLsn, isFile } = hole;
  const short = { ...hole, path: basename(path) };
  const place = placeText(short);
  if (lastLsn !== undefined) {
    return `  ${spanText(hole)} cannot be read, ${place}: see millrace wal verify`;
  }
  const where = isFile ? `where ${place}` : `at byte ${fromBytes} of ${short.path}`;
  return `  stops ${where}: see millrace wal verify`;
}

function segmentText(segment: SegmentView): string {
  const { file, state, epoch, baseLsn, lastLsn = 0, recordCount, usedBytes, salt } = segment;
  if (state === 'unreadable') return `  ${file}  the device does not give its header back`;
  if (baseLsn === undefined) return `  ${file}  its header is damaged`;
  const head = `  ${file}  epoch ${epoch}, salt ${hex(salt)}, from ${baseLsn}`;
  if (state !== 'live') return `${head}, ${state}`;
  const size = `${bytesText(usedBytes ?? 0)} of ${bytesText(segment.segmentBytes ?? 0)}`;
  return `${head} to ${lastLsn}, ${recordCount} records, ${size}, synced ${segment.durableLsn}`;
}

function hex(salt = 0): string {
  return salt.toString(16).padStart(8, '0');
}

function checkpointText(checkpoint: CheckpointView): string {
  const { file, isSound, reason, appliedLsn, batches = [], queuedBlocks } = checkpoint;
  if (!isSound) return `${file}  damaged: ${reason}`;
  const open = batches.filter(({ isDone }) => !isDone).map(({ batchTimeMs }) => batchTimeMs);
  const unfinished = open.length === 0 ? 'none unfinished' : `unfinished: ${open.join(' ')}`;
  return (
    `${file}  driver log applied up to ${appliedLsn}, ${batches.length} batches, ${unfinished}, ` +
    `${queuedBlocks} blocks queued`
  );
}
