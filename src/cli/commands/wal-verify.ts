/** `millrace wal verify`: from a directory to a verdict, told for a person or as JSON. @module */
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { CliIo } from '../io.ts';
import { placeText, spanText } from '../wal/log-hole.ts';
import { openForTool } from '../wal/tool.ts';
import { OUTCOME_EXIT_CODES, verifyTarget } from '../wal/verification.ts';
import type { LogReport, Verification } from '../wal/verification.ts';

export interface VerifyCall {
  readonly directory: string;
  readonly isDeep: boolean;
  readonly isJson: boolean;
}

/** @returns 0 clean, 1 torn tail, 2 damage, 3 unreadable. */
export async function walVerify(io: CliIo, call: VerifyCall): Promise<number> {
  const { target, disk, bar } = await openForTool(io, 'verify', call.directory);
  try {
    const input = { disk, target, codec: msgpackCodec, isDeep: call.isDeep };
    const found = await verifyTarget(input);
    bar.close();
    const exitCode = OUTCOME_EXIT_CODES[found.verdict];
    const { directory, kind, isRunning } = target;
    if (call.isJson) {
      const place = { format: 'millrace-wal-verify', version: 1, directory, kind, isRunning };
      io.out(`${JSON.stringify({ ...place, exitCode, ...found })}\n`);
    } else io.out(`${[...lines(found), conclusion(found)].join('\n')}\n`);
    return exitCode;
  } finally {
    bar.close();
  }
}

function lines({ logs, problems, warnings, decodedCount, repair }: Verification): string[] {
  return [
    ...logs.flatMap((log) => [logLine(log, problems.length > 0), ...holeLines(log)]),
    ...problems.map((problem) => `problem     ${problem}`),
    ...warnings.map((warning) => `note        ${warning}`),
    ...(decodedCount === undefined ? [] : [`decoded     ${decodedCount} payloads`]),
    ...(repair === undefined ? [] : ['To give up what is lost, in a copy:', `  ${repair}`]),
  ];
}

/** Each place, where there are several. */
function holeLines({ holes = [] }: LogReport): string[] {
  if (holes.length < 2) return [];
  return holes.map((hole) => `            ${spanText(hole)}: ${placeText(hole)}`);
}

/** @param isToldBelow problems follow, which say the same of a damaged log, and more. */
function logLine(log: LogReport, isToldBelow: boolean): string {
  const { name, verdict, message, firstLsn, lastLsn, lost, holes = [] } = log;
  const lead = verdict.padEnd(12);
  if (verdict === 'damaged' && isToldBelow) {
    if (lost === undefined) return `${lead}${name}: ${message}`;
    if (holes.length > 1) return `${lead}${name}: ${holes.length} places cannot be read`;
    return `${lead}${name}: ${spanText(lost)} cannot be read`;
  }
  if (verdict !== 'clean') return `${lead}${name}: ${message}`;
  const isEmpty = firstLsn === undefined || lastLsn === undefined || lastLsn < firstLsn;
  return `${lead}${name}: ${isEmpty ? 'no records' : `records ${firstLsn} to ${lastLsn}`}`;
}

function conclusion({ verdict }: Verification): string {
  switch (verdict) {
    case 'clean':
      return 'Clean: a start goes on here.';
    case 'torn':
      return 'A torn tail: the end of a write that nobody was told about. A start keeps it aside.';
    case 'damaged':
      return 'Damaged: a start is refused. See: millrace wal repair --help';
    case 'unreadable':
      return 'Not to be read: by this version, by this user, or from this device.';
    default:
      return verdict satisfies never;
  }
}
