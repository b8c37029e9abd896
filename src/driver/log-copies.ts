/** Of two copies in the same life: which one each log, the checkpoints and keyed state are read
 * from.
 *
 * Whatever a copy says is durable was synced in BOTH places before anybody said it. So a copy that
 * ends below the highest durable LSN of the two has lost something, the other has it, and a log of
 * the one beside a log of the other contradict each other in nothing that was acknowledged. Of two
 * sound copies the longer one counts: what only one of them has may be the rest of an interrupted
 * write, or the end that rotted away in the other where nothing but this copy tells it from a torn
 * one. Reads only.
 * @module */
import { join } from 'node:path';
import { soundCheckpoints } from '../checkpoint/checkpoint-store.ts';
import type { Lsn } from '../core/ids.ts';
import { toError } from '../core/errors.ts';
import { scanLog } from '../wal/log-scan.ts';
import type { LogScan } from '../wal/log-scan.ts';
import { judgeLog } from '../wal/log-verdict.ts';
import type { Copies, Copy, CopyIndex } from '../wal/mirrored-disk.ts';
import { lostBytesErrno } from '../wal/read-fault.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { isLogName } from './examination.ts';
import { soundSnapshots, STATE_DIRECTORY } from './state-snapshots.ts';

export const CHECKPOINTS: string = 'checkpoints';

export interface EntryChoice {
  readonly entry: string;
  readonly side: CopyIndex;
  /** What the two copies say of it, where they are not both whole and equally long. */
  readonly notes: readonly string[];
}

/** One for each log of either copy, one for the checkpoints, and one for keyed state. */
export async function chooseEntries(
  copies: Copies,
  preferred: CopyIndex,
): Promise<readonly EntryChoice[]> {
  const names = new Set<string>();
  for (const { disk, directory } of copies) {
    for (const name of (await disk.list(directory)) ?? []) if (isLogName(name)) names.add(name);
  }
  const choices: EntryChoice[] = [];
  for (const name of [...names].toSorted()) choices.push(await chooseLog(copies, preferred, name));
  choices.push(await chooseCheckpoints(copies, preferred));
  const state = await chooseState(copies, preferred);
  return state === undefined ? choices : [...choices, state];
}

interface LogCopy {
  readonly side: CopyIndex;
  /** Absent when the copy is not whole. */
  readonly scan: LogScan | undefined;
  /** Its own bytes, without the other copy's witness, refuse a start. */
  readonly isRefused: boolean;
  readonly note: string;
}

async function chooseLog(
  copies: Copies,
  preferred: CopyIndex,
  entry: string,
): Promise<EntryChoice> {
  const scans = [await scanCopy(copies[0], entry), await scanCopy(copies[1], entry)];
  const known = scans.filter((scan) => typeof scan !== 'string');
  const durable = Math.max(0, ...known.map(({ durableLsn }) => durableLsn)) as Lsn;
  const found: LogCopy[] = [];
  for (const side of [preferred, otherOf(preferred)]) {
    const scan = scans[side];
    if (typeof scan === 'string') {
      found.push({ side, scan: undefined, isRefused: true, note: scan });
    }
    if (typeof scan !== 'object') continue;
    const verdict = judgeLog(scan, durable);
    const isWhole = verdict.kind !== 'damaged' && scan.segmentCount > 0;
    const isRefused = judgeLog(scan, 0 as Lsn).kind === 'damaged';
    found.push({ side, scan: isWhole ? scan : undefined, isRefused, note: verdict.message });
  }
  // Of equally long ones the preferred copy, which comes first.
  const longest = found.reduce((best, each) => (endOf(each) > endOf(best) ? each : best));
  const isAlike = found.every(
    ({ scan }) => scan?.lastLsn === endOf(longest) && scan.end?.isBroken !== true,
  );
  return { entry, side: longest.side, notes: isAlike ? [] : found.map(({ note }) => note) };
}

/** Of two that are not whole the one that refuses the start: the other one, cut short or missing,
 * may look sound by itself, and only the first one's witnesses know better. */
function endOf({ scan, isRefused }: LogCopy): number {
  return scan?.lastLsn ?? (isRefused ? -1 : -2);
}

/** @returns why it cannot be read, when the device says so. */
async function scanCopy({ disk, directory }: Copy, entry: string): Promise<LogScan | string> {
  const path = join(directory, entry);
  try {
    return await scanLog(disk, path);
  } catch (error) {
    if (lostBytesErrno(error) === undefined) throw error;
    return `the log ${path} cannot be read: ${toError(error).message}`;
  }
}

async function chooseCheckpoints(copies: Copies, preferred: CopyIndex): Promise<EntryChoice> {
  const other = otherOf(preferred);
  const [ours, theirs] = [await soundOf(copies[preferred]), await soundOf(copies[other])];
  const isTheirs = (theirs[0] ?? 0) - (ours[0] ?? 0) || theirs.length - ours.length;
  return { entry: CHECKPOINTS, side: isTheirs > 0 ? other : preferred, notes: [] };
}

/** @returns `undefined` where no copy has state. */
async function chooseState(copies: Copies, preferred: CopyIndex): Promise<EntryChoice | undefined> {
  const entry = STATE_DIRECTORY;
  const lists = await Promise.all(
    copies.map(({ disk, directory }) => disk.list(join(directory, entry))),
  );
  if (lists.every((names) => names === undefined)) return undefined;
  const other = otherOf(preferred);
  const ours = await soundSnapshots(copies[preferred], msgpackCodec);
  const theirs = await soundSnapshots(copies[other], msgpackCodec);
  const isTheirs = (theirs[0] ?? 0) - (ours[0] ?? 0) || theirs.length - ours.length;
  return { entry, side: isTheirs > 0 ? other : preferred, notes: [] };
}

/** Newest first. */
function soundOf({ disk, directory }: Copy): Promise<readonly number[]> {
  return soundCheckpoints(disk, join(directory, CHECKPOINTS));
}

export function otherOf(side: CopyIndex): CopyIndex {
  return side === 0 ? 1 : 0;
}
