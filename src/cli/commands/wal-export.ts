/** `millrace wal export`: the records of a home or of one log, for other programs. @module */
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { CliIo } from '../io.ts';
import { newFile, standardOutput } from '../wal/export-sink.ts';
import { writeRecords } from '../wal/record-output.ts';
import type { RecordForm } from '../wal/record-output.ts';
import { wrong } from '../wal/target.ts';
import type { WalTarget } from '../wal/target.ts';
import { openForTool } from '../wal/tool.ts';

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

/** @returns 0, also when the reader has gone. What is not whole is told on standard error. */
export async function walExport(io: CliIo, call: ExportCall): Promise<number> {
  const { target, disk, bar } = await openForTool(io, 'export', call.directory);
  const logs = chooseLogs(target, call.log);
  const sink = call.output === undefined ? standardOutput() : await newFile(call.output);
  const { stream, form, withRecords, lsn } = call;
  const range = lsn === undefined ? {} : { fromLsn: lsn.first, toLsn: lsn.last };
  try {
    const query = { disk, target, codec: msgpackCodec, logs, stream, form, withRecords, ...range };
    const notes = await writeRecords(query, sink);
    bar.close();
    for (const note of notes) io.err(`millrace: ${note}\n`);
    return 0;
  } finally {
    bar.close();
    await sink.close();
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
