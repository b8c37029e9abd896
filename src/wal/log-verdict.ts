/** Torn or damaged? The one place that decides it, from a scan and what others witnessed.
 *
 *     W = the highest LSN that anything proves synced: durable LSNs in records and segment headers,
 *         the next segment's backward link, a peer log's watermark, the checkpoint
 *     h = the first LSN that is not there
 *
 *     h ≤ W   damaged: it had been synced, so the device or somebody lost it. Refuse, never skip.
 *     h > W   torn: a write that a crash interrupted. Keep it aside, go on after the last good one.
 *
 * No look at the content (zeros, half pages) takes part: on recycled files such guesses err both
 * ways. Records above W are suspects: valid to read, but perhaps only in the page cache; they go
 * into the new log's first segment before anything acts on them.
 * @module */
import { MillraceError } from '../core/errors.ts';
import type { Lsn } from '../core/ids.ts';
import type { LogEnd, LogScan } from './log-scan.ts';
import type { ScannedRecord } from './scanned-record.ts';

export interface LogVerdict {
  readonly kind: 'clean' | 'torn' | 'damaged';
  readonly directory: string;
  /** One sentence for a human: what, where, which LSNs. */
  readonly message: string;
  /** W. */
  readonly durableThrough: Lsn;
  /** Last valid record. */
  readonly lastLsn: Lsn;
  /** `WalOptions.baseLsn` of the log that continues this one: W + 1. */
  readonly nextBaseLsn: Lsn;
  /** Valid records above W, without gaps up to `lastLsn`; for `readRecords`, then `carryOver`. */
  readonly suspects: readonly ScannedRecord[];
  /** What this log proves about its peer. */
  readonly peerWitness: Lsn;
  /** The bad place; `undefined` when clean, or when no segment is left to point at. */
  readonly place: LogEnd | undefined;
  /** Of a damaged log: the first and the last record that cannot be read from it and had been
   * synced, as far as anything tells; what is behind them can be read. */
  readonly lost?: LostRecords;
}

interface LostRecords {
  readonly firstLsn: Lsn;
  readonly lastLsn: Lsn;
}

/** @param witnessedLsn highest LSN of this log that others prove synced; 0 when nobody does. */
export function judgeLog(scan: LogScan, witnessedLsn: Lsn): LogVerdict {
  const { directory, lastLsn, peerWitness, end } = scan;
  const durableThrough = Math.max(scan.durableLsn, witnessedLsn) as Lsn;
  const isDamaged = lastLsn < durableThrough || (end !== undefined && end.kind !== 'record');
  const isTorn = end?.isBroken === true;
  const common = {
    directory,
    durableThrough,
    lastLsn,
    nextBaseLsn: (durableThrough + 1) as Lsn,
    peerWitness,
  };
  if (isDamaged) {
    const message = describeDamage(scan, durableThrough);
    const lost = lostRecords(scan, durableThrough);
    return { ...common, kind: 'damaged', message, suspects: [], place: end, lost };
  }
  const suspects = scan.unwitnessed.filter(({ lsn }) => lsn > durableThrough);
  if (isTorn) {
    return { ...common, kind: 'torn', message: describeTear(scan, end), suspects, place: end };
  }
  const message = `the log ${directory} is sound up to record ${lastLsn}`;
  return { ...common, kind: 'clean', message, suspects, place: undefined };
}

/** The error that refuses a start on a damaged log. */
export function damageError(verdict: LogVerdict): MillraceError {
  const { message, directory, place, lastLsn, lost, durableThrough } = verdict;
  return new MillraceError('WAL_CORRUPT', message, {
    details: {
      directory,
      path: place?.path,
      fromBytes: place?.fromBytes,
      toBytes: place?.toBytes,
      firstMissingLsn: lastLsn + 1,
      lastMissingLsn: lost?.lastLsn,
      durableThrough,
      ...(place?.errno === undefined ? {} : { errno: place.errno }),
    },
  });
}

/** Up to the place where records go on, but no further than something proves that there were any.
 * At least one: a file that is bad as a whole is damage also when it may have held nothing. */
function lostRecords({ lastLsn, end }: LogScan, durableThrough: Lsn): LostRecords {
  const firstLsn = (lastLsn + 1) as Lsn;
  const last = Math.min(end?.lastLsn ?? Number.POSITIVE_INFINITY, durableThrough);
  return { firstLsn, lastLsn: Math.max(firstLsn, last) as Lsn };
}

function describeDamage(scan: LogScan, durableThrough: Lsn): string {
  const { directory, lastLsn, end } = scan;
  const lost =
    lastLsn < durableThrough
      ? describeLost(lostRecords(scan, durableThrough))
      : `records after ${lastLsn} may be missing, or may never have existed`;
  const advice = 'restore the file, or order the loss explicitly; nothing was changed';
  if (end === undefined) {
    return `the log ${directory} has no segment, although ${lost}: ${advice}`;
  }
  return `${describePlace(end)}: ${lost}${describeResume(end)}; ${advice}`;
}

function describeLost({ firstLsn, lastLsn }: LostRecords): string {
  if (firstLsn === lastLsn) return `record ${firstLsn} had been synced and cannot be read`;
  return `records ${firstLsn} to ${lastLsn} had been synced and cannot all be read`;
}

function describePlace(end: LogEnd): string {
  return PLACES[end.kind](end);
}

const PLACES: Readonly<Record<LogEnd['kind'], (end: LogEnd) => string>> = {
  record: ({ path, fromBytes, toBytes }) =>
    `the log is damaged in bytes ${fromBytes} to ${toBytes} of ${path}`,
  unreadable: ({ path, fromBytes, toBytes, errno }) =>
    `bytes ${fromBytes} to ${toBytes} of the log segment ${path} cannot be read: the device says ` +
    `${errno}`,
  'segment-short': ({ path, toBytes }) => `the log segment ${path} was cut off at byte ${toBytes}`,
  'segment-header': ({ path }) => `the header of the log segment ${path} is damaged`,
  'segment-missing': ({ path }) => `a log segment before ${path} is missing`,
  'segment-foreign': ({ path }) => `the log segment ${path} does not continue the one before it`,
};

function describeTear({ lastLsn }: LogScan, end: LogEnd): string {
  return (
    `the last write to ${end.path} was interrupted at byte ${end.fromBytes}, after record ` +
    `${lastLsn}${describeResume(end)}; nothing of it is known to have been synced`
  );
}

function describeResume({ resumesAtLsn }: LogEnd): string {
  return resumesAtLsn === undefined ? '' : ` (readable again from record ${resumesAtLsn})`;
}
