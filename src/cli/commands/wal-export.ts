/** `millrace wal export`: the records of a home or of one log, for other programs. @module */
import { realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { Disk } from '../../wal/disk.ts';
import type { CliIo } from '../io.ts';
import { newFile, standardOutput } from '../wal/export-sink.ts';
import { writeRecords } from '../wal/record-output.ts';
import type { RecordForm, WrittenRecords } from '../wal/record-output.ts';
import { wrong } from '../wal/target.ts';
import type { WalTarget } from '../wal/target.ts';
import { openForTool } from '../wal/tool.ts';
import { verifyTarget } from '../wal/verification.ts';

/** Inclusive; `last` is Infinity when open. */
export interface LsnRange {
  readonly first: number;
  readonly last: number;
}

export interface ExportCall {
  readonly directory: string;
  readonly log: string | undefined;
  readonly lsn: LsnRange | undefined;
  readonly stream: string | undefined;
  readonly form: RecordForm;
  readonly output: string | undefined;
  /** Decodes the records of blocks too. */
  readonly withRecords: boolean;
}

/** @returns 0, also when the reader has gone; 2 when something of it is damaged. What cannot be
 *   read is told on standard error. */
export async function walExport(io: CliIo, call: ExportCall): Promise<number> {
  const { target, disk, bar } = await openForTool(io, 'export', call.directory);
  const logs = chooseLogs(target, call.log);
  if (call.output !== undefined) await refuseInside(target, call.output);
  const sink = call.output === undefined ? standardOutput() : await newFile(call.output);
  const { stream, form, withRecords, lsn } = call;
  const range = lsn === undefined ? {} : { fromLsn: lsn.first, toLsn: lsn.last };
  try {
    const query = { disk, target, codec: msgpackCodec, logs, stream, form, withRecords, ...range };
    const written = await writeRecords(query, sink);
    const damaged = await damagedLogs({ disk, target, written });
    bar.close();
    const holes = [...written.holeNotes].filter(([log]) => !target.isRunning || damaged.has(log));
    const notes = [...written.notes, ...holes.flatMap(([, ofLog]) => ofLog)];
    for (const note of notes) io.err(`millrace: ${note}\n`);
    return damaged.size > 0 ? 2 : 0;
  } finally {
    bar.close();
    await sink.close();
  }
}

/** Which of the logs with a hole are damaged. A log knows that of itself for most holes; the end of
 * a torn write, and what an engine is writing, only the whole directory can tell from damage. */
async function damagedLogs({
  disk,
  target,
  written: { holeNotes, damaged },
}: {
  readonly disk: Disk;
  readonly target: WalTarget;
  readonly written: WrittenRecords;
}): Promise<ReadonlySet<string>> {
  const isKnown = !target.isRunning && damaged.length === holeNotes.size;
  if (holeNotes.size === 0 || isKnown) return new Set(damaged);
  const { logs } = await verifyTarget({ disk, target, codec: msgpackCodec, isDeep: false });
  const bad = logs.filter(({ name, verdict }) => verdict === 'damaged' && holeNotes.has(name));
  return new Set([...bad.map(({ name }) => name), ...(target.isRunning ? [] : damaged)]);
}

/** An engine would find a file there that is not its own. */
async function refuseInside({ kind, directory, elsewhere }: WalTarget, to: string): Promise<void> {
  const parent = dirname(resolve(to));
  const folder = await realpath(parent).catch(() => parent);
  const above = dirname(directory);
  const isOfHome = kind === 'log' && (await stat(join(above, 'MANIFEST')).catch(() => undefined));
  for (const place of [isOfHome ? above : directory, ...elsewhere.values()]) {
    const way = relative(await realpath(place).catch(() => place), folder);
    if (way === '..' || way.startsWith(`..${sep}`)) continue;
    throw wrong(`--output ${to} lies in ${place}: give a file outside of what is exported`);
  }
}

/** @throws {MillraceError} OPTIONS_INVALID when there is no log of that name. */
export function chooseLogs(
  { logs, directory }: WalTarget,
  log: string | undefined,
): readonly string[] {
  if (log === undefined) return logs;
  if (logs.includes(log)) return [log];
  const known = logs.length === 0 ? 'it has none' : `it has ${logs.join(', ')}`;
  throw wrong(`${directory} has no log ${log}: ${known}`);
}
