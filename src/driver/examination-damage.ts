/** What refuses a start: each problem with its place, and what of the sources lies in it.
 *
 * The log knows bytes and LSNs; the driver log and the checkpoint know which block a record is and
 * which source positions it covers. A person who has to decide what to do needs both.
 * @module */
import { basename } from 'node:path';
import type { PositionRange } from '../blocks/block-ref.ts';
import { present } from '../core/assert.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { ErrorDetails } from '../core/errors.ts';
import { blockKey } from '../core/ids.ts';
import type { LogScan } from '../wal/log-scan.ts';
import { damageError } from '../wal/log-verdict.ts';
import type { LogVerdict } from '../wal/log-verdict.ts';
import type { ScannedRecord } from '../wal/scanned-record.ts';
import type { LoggedBlock } from './examination-blocks.ts';

/** How many blocks a message names; their number it always says. */
const BLOCKS_NAMED_MAX = 10;

/** One reason not to start. */
export interface Problem {
  readonly message: string;
  readonly details: ErrorDetails;
  /** Records whose loss an operator can order, as far as the start has read. */
  readonly range?: LostRange;
}

export interface LostRange {
  readonly log: string;
  readonly firstLsn: number;
  readonly lastLsn: number;
}

/** Refuses a start, with each problem for itself. */
export class DamagedDirectory extends MillraceError {
  readonly problems: readonly string[];
  /** Each problem is a range of records that can be taken out of a log. */
  readonly isOrderable: boolean;

  constructor(message: string, problems: readonly Problem[]) {
    const details = { ...problems[0]?.details, problemCount: problems.length };
    super('WAL_CORRUPT', message, { details });
    this.problems = problems.map((problem) => problem.message);
    this.isOrderable = problems.every(({ range }) => range !== undefined);
  }
}

/** @param directory the checkpoint directory.
 * @throws {DamagedDirectory} when there is a problem. Its message has them all, its details are
 *   those of the first. */
export function refuseProblems(directory: string, problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  const list = problems.map(({ message }) => message).join('\n  ');
  throw new DamagedDirectory(
    `acknowledged data is damaged; nothing was changed:\n  ${list}\n` +
      'Restore the files from a backup, or keep the directory and start with another one.' +
      giveUpAdvice(directory, problems),
    problems,
  );
}

/** A start reads no further than the first bad place of a log; verify finds the others. */
function giveUpAdvice(directory: string, problems: readonly Problem[]): string {
  const ranges = problems.flatMap(({ range }) => range ?? []);
  if (ranges.length < problems.length) return '';
  return (
    '\nOr give up what is lost, in a copy (millrace wal verify tells whether there is more):\n  ' +
    dropCommand(ranges, directory)
  );
}

/** The command that gives these records up; NEW is for the operator to choose. */
export function dropCommand(ranges: readonly LostRange[], directory: string): string {
  const drops = ranges.map(
    ({ log, firstLsn, lastLsn }) => `--drop-range ${log}:${firstLsn}..${lastLsn}`,
  );
  const rest = ['--accept-data-loss', '--output NEW', quoted(directory)];
  return ['millrace wal repair', ...drops, ...rest].join(' ');
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}

/** @param lost blocks of this log that were not found in it, with what the driver knows of them. */
export function damagedLog(verdict: LogVerdict, lost: readonly LoggedBlock[]): Problem {
  const { message, details } = damageError(verdict);
  const { firstLsn, lastLsn } = present(verdict.lost, 'what a damaged log has lost');
  const inRange = lost.filter(({ position: { lsn } }) => lsn >= firstLsn && lsn <= lastLsn);
  const problem = withBlocks({ message, details }, inRange);
  const kind = verdict.place?.kind;
  const isInFile = kind === 'record' || kind === 'segment-short';
  // Only a whole hole can be given up, also where nothing proves that its last records existed.
  const last = verdict.place?.lastLsn ?? lastLsn;
  if (!isInFile || last < firstLsn) return problem;
  return { ...problem, range: { log: basename(verdict.directory), firstLsn, lastLsn: last } };
}

/** A log that is gone although unfinished batches need blocks of it. */
export function missingLog(name: string, lost: readonly LoggedBlock[]): Problem {
  const message = `${name} is missing, and unfinished batches need it`;
  return withBlocks({ message, details: { directory: name } }, lost);
}

/** Blocks that are not where the driver log says, in a log that is sound by itself: somebody has
 * removed its first segments, or has put an older copy of it here. */
export function missingBlocks(
  { directory, firstLsn, lastLsn }: LogScan,
  lost: readonly LoggedBlock[],
): Problem {
  const message =
    `${directory}, which is sound from record ${firstLsn} to ${lastLsn}, does not have blocks ` +
    'that unfinished batches need';
  return withBlocks({ message, details: { directory, firstLsn, lastLsn } }, lost);
}

/** A record whose CRC is right and whose content is not: the bytes are as they were written, so
 * another program wrote them, or another version of this one.
 * @returns the problem; a newer format is thrown instead. @throws {MillraceError} FORMAT_UNKNOWN */
export function malformedRecord(record: ScannedRecord, thrown: unknown): Problem {
  const { lsn, path, offsetBytes, payloadBytes } = record;
  const cause = toError(thrown);
  const place = `record ${lsn} in bytes ${offsetBytes} to ${offsetBytes + payloadBytes} of ${path}`;
  const details = { path, fromBytes: offsetBytes, toBytes: offsetBytes + payloadBytes, lsn };
  if (cause instanceof MillraceError && cause.code === 'FORMAT_UNKNOWN') {
    const message = `${place} was written by a newer version of millrace: ${cause.message}`;
    throw new MillraceError('FORMAT_UNKNOWN', message, { cause, details });
  }
  return { message: `${place} cannot be used: ${cause.message}`, details };
}

/** Blocks are told from the registered ones: what was never registered was never acknowledged. */
function withBlocks({ message, details }: Problem, blocks: readonly LoggedBlock[]): Problem {
  if (blocks.length === 0) return { message, details };
  const named = blocks.slice(0, BLOCKS_NAMED_MAX);
  const rest = blocks.length - named.length;
  const more = rest === 0 ? '' : `, and ${rest} more`;
  const recordCount = blocks.reduce((sum, block) => sum + block.recordCount, 0);
  const list = named.map((block) => `\n    ${describeBlock(block)}`).join('');
  return {
    message: `${message}; registered blocks there, ${recordCount} records:${list}${more}`,
    details: {
      ...details,
      blocks: `${named.map(({ blockId }) => blockKey(blockId)).join(', ')}${more}`,
      positions: named.flatMap(({ positions }) => positions.map(describeRange)).join(', '),
      blockCount: blocks.length,
      recordCount,
    },
  };
}

function describeBlock({ blockId, position, recordCount, positions }: LoggedBlock): string {
  const covers = positions.map(describeRange).join(', ');
  const source = covers === '' ? '' : `: source positions ${covers}`;
  return `block ${blockKey(blockId)} (record ${position.lsn}), ${recordCount} records${source}`;
}

function describeRange({ partition, follows, last }: PositionRange): string {
  const from = follows === null ? 'from the start' : `after ${follows}`;
  return `'${partition}' ${from} to ${last}`;
}
