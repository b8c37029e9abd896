/** What a start would say of a directory, found out without starting: the verdict on each log, with
 * all witnesses of the home, by the code of the start itself (driver/examination.ts).
 *
 * Beside a running engine files grow and go while they are read, so one look proves nothing bad.
 * There a place counts as damaged only when two looks in a row find the same place bad: a hole at
 * or below the watermark was written before the first look ended, so the second one must see it.
 * A torn end there is the write that is under way. @module */
import { join } from 'node:path';
import { CheckpointStore } from '../../checkpoint/checkpoint-store.ts';
import { readManifest } from '../../checkpoint/manifest.ts';
import { MillraceError } from '../../core/errors.ts';
import { EventBus } from '../../core/events.ts';
import type { Lsn } from '../../core/ids.ts';
import { DamagedDirectory, dropCommand } from '../../driver/examination-damage.ts';
import { examineDirectory } from '../../driver/examination.ts';
import type { ExaminedLog } from '../../driver/examination.ts';
import { refuseLostManifest } from '../../driver/home-directory.ts';
import { checkState } from '../../driver/state-snapshots.ts';
import type { Codec } from '../../serde/codec.ts';
import type { Disk } from '../../wal/disk.ts';
import { scanLog } from '../../wal/log-scan.ts';
import type { LogEnd, LogScan } from '../../wal/log-scan.ts';
import type { LogHole } from './log-hole.ts';
import { isGone, tourLog } from './log-tour.ts';
import { judgeLog } from '../../wal/log-verdict.ts';
import type { LogVerdict } from '../../wal/log-verdict.ts';
import { DeepCheck } from './deep-check.ts';
import { fingerprint, logDirectory } from './target.ts';
import type { WalTarget } from './target.ts';

export type Outcome = 'clean' | 'torn' | 'damaged' | 'unreadable';

/** The exit codes of `millrace wal verify`. */
export const OUTCOME_EXIT_CODES: Readonly<Record<Outcome, number>> = {
  clean: 0,
  torn: 1,
  damaged: 2,
  unreadable: 3,
};

export interface LogReport {
  readonly name: string;
  readonly verdict: Outcome;
  readonly message: string;
  readonly firstLsn?: Lsn;
  readonly lastLsn?: Lsn;
  /** Highest LSN that anything proves synced. */
  readonly durableThrough?: Lsn;
  /** Valid records above it. */
  readonly suspectCount?: number;
  readonly segmentCount?: number;
  readonly isClosed?: boolean;
  readonly place?: LogEnd;
  /** Of a damaged log: the records that had been synced and cannot be read. */
  readonly lost?: { readonly firstLsn: Lsn; readonly lastLsn: Lsn };
  /** Of a damaged log: every place that cannot be read, where records can be read again behind
   * it. `lost` is in the first one. */
  readonly holes?: readonly LogHole[];
}

export interface Verification {
  readonly verdict: Outcome;
  readonly logs: readonly LogReport[];
  /** What is wrong beside the verdicts of the logs. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** The command that gives up all that is lost, where that can be ordered. */
  readonly repair?: string;
  /** Payloads that were decoded; absent without `isDeep`. */
  readonly decodedCount?: number;
}

export interface VerificationInput {
  readonly disk: Disk;
  readonly target: WalTarget;
  readonly codec: Codec;
  readonly isDeep: boolean;
}

/** Looks that are taken at most beside a running engine. */
const LOOKS_MAX = 6;
/** More than any home remembers. */
const SOURCE_IDS_MAX = 10_000_000;

interface Look extends Omit<Verification, 'verdict'> {
  /** How bad `problems` are; the logs have verdicts of their own. */
  readonly outcome: Outcome;
}

/** @throws {MillraceError} only for what is no finding: BROKEN_INVARIANT of the tool itself. */
export async function verifyTarget(input: VerificationInput): Promise<Verification> {
  const { target } = input;
  let isLive = target.isRunning;
  let before: ReadonlySet<string> = new Set();
  for (let look = 1; ; look += 1) {
    const stamp = await fingerprint(target);
    const found = await lookAt(input);
    isLive ||= stamp !== (await fingerprint(target));
    const bad = badPlaces(found);
    if (!isLive) return conclude(found);
    const isConfirmed = [...bad].some((place) => before.has(place));
    if (bad.size === 0 || isConfirmed) return conclude(withoutLiveEnds(found));
    if (look === LOOKS_MAX) return conclude(withoutUnconfirmed(found));
    before = bad;
  }
}

/** A start stops at the first bad place of a log; who decides what to give up needs all. */
async function withHoles(
  input: VerificationInput,
  logs: readonly LogReport[],
): Promise<readonly LogReport[]> {
  const whole: LogReport[] = [];
  for (const log of logs) whole.push(await withHolesOf(input, log));
  return whole;
}

async function withHolesOf(
  { disk, target }: VerificationInput,
  log: LogReport,
): Promise<LogReport> {
  const { name, verdict, lost, durableThrough = 0 } = log;
  if (verdict !== 'damaged' || lost === undefined) return log;
  const { isRunning } = target;
  const tour = await tourLog(disk, logDirectory(target, name), { isRunning }).catch(findingOf);
  if ('outcome' in tour) return log; // behind the first place it cannot be read at all
  const provenLsn = Math.max(durableThrough, tour.durableLsn, lost.lastLsn);
  // What nothing proves synced is the end of a torn write: a start keeps that aside.
  const holes = tour.holes.filter(({ firstLsn }) => firstLsn <= provenLsn);
  const known = holes.map((hole) => ({ ...hole, lastLsn: hole.lastLsn ?? provenLsn }));
  return { ...log, holes: known };
}

/** @returns `undefined` when the loss of a file cannot be ordered. */
function repairCommand({ directory }: WalTarget, logs: readonly LogReport[]): string | undefined {
  const bad = logs.filter(({ verdict }) => verdict === 'damaged' || verdict === 'unreadable');
  const isOrderable = bad.every(
    ({ holes = [] }) => holes.length > 0 && !holes.some(({ isFile }) => isFile),
  );
  if (bad.length === 0 || !isOrderable) return undefined;
  const ranges = bad.flatMap(({ name, holes = [] }) =>
    holes.map(({ firstLsn, lastLsn = firstLsn }) => ({ log: name, firstLsn, lastLsn })),
  );
  return dropCommand(ranges, directory);
}

async function lookAt(input: VerificationInput): Promise<Look> {
  const deep = input.isDeep ? new DeepCheck(input.codec) : undefined;
  const look = input.target.kind === 'home' ? lookAtHome : lookAtLog;
  const found = await look(input, deep);
  if (deep === undefined) return found;
  const problems = [...found.problems, ...deep.problems];
  const outcome = deep.problems.length > 0 ? worse(found.outcome, 'damaged') : found.outcome;
  return { ...found, problems, outcome, decodedCount: deep.recordCount };
}

async function lookAtHome(input: VerificationInput, deep: DeepCheck | undefined): Promise<Look> {
  const { disk, target, codec } = input;
  const { directory } = target;
  const warnings: string[] = [];
  const events = new EventBus();
  events.subscribe((event) => {
    if (event.type === 'warning') warnings.push(event.message);
    if (event.type !== 'checkpoint-skipped') return;
    warnings.push(`${event.path} is damaged and would be passed over: ${event.reason}`);
  });
  const judged: ExaminedLog[] = [];
  try {
    const manifest = await readManifest({ disk, directory });
    const examination = await examineDirectory({
      disk,
      directory,
      ...(manifest === undefined ? {} : { manifest }),
      store: await CheckpointStore.open({ disk, directory: join(directory, 'checkpoints') }),
      codec,
      events,
      sourceIdsMax: SOURCE_IDS_MAX,
      onJudged: (logs) => judged.push(...logs),
      ...(deep === undefined ? {} : { visit: deep.visit.bind(deep) }),
    });
    if (manifest === undefined) refuseLostManifest(directory, examination);
    const pointer = examination.checkpoint?.stateSnapshot;
    // A running engine removes snapshots as it moves on.
    if (pointer !== undefined && !target.isRunning) {
      await checkState(pointer, { disk, directory, codec });
    }
    return { logs: reportsOf(judged), problems: [], warnings, outcome: 'clean' };
  } catch (error) {
    const { message, outcome } = findingOf(error);
    const logs = judged.length === 0 ? await judgeEachAlone(input) : reportsOf(judged);
    if (!(error instanceof DamagedDirectory))
      return { logs, problems: [message], warnings, outcome };
    const { problems, isOrderable } = error;
    const whole = await withHoles(input, logs);
    const repair = isOrderable ? repairCommand(target, whole) : undefined;
    const found = { logs: whole, problems, warnings, outcome };
    return repair === undefined ? found : { ...found, repair };
  }
}

async function lookAtLog(input: VerificationInput, deep: DeepCheck | undefined): Promise<Look> {
  const [name = ''] = input.target.logs;
  const warnings = ['one log alone: what the others of its home witness is not known here'];
  const logs = await withHoles(input, [await judgeAlone(input, name, deep)]);
  return { logs, problems: [], warnings, outcome: 'clean' };
}

function reportsOf(judged: readonly ExaminedLog[]): readonly LogReport[] {
  return judged.map(({ name, scan, verdict }) => reportOf(name, scan, verdict));
}

async function judgeEachAlone(input: VerificationInput): Promise<readonly LogReport[]> {
  const reports: LogReport[] = [];
  for (const name of input.target.logs) reports.push(await judgeAlone(input, name));
  return reports;
}

/** By what the log itself proves. */
async function judgeAlone(
  { disk, target }: VerificationInput,
  name: string,
  deep?: DeepCheck,
): Promise<LogReport> {
  try {
    const elsewhere = target.elsewhere.get(name);
    if (elsewhere !== undefined && (await disk.list(elsewhere)) === undefined) {
      return { name, verdict: 'damaged', message: `its directory ${elsewhere} is missing` };
    }
    const scan = await scanLog(disk, logDirectory(target, name), (record, payload) => {
      deep?.visit(name, record, payload);
    });
    return reportOf(name, scan, judgeLog(scan, 0 as Lsn));
  } catch (error) {
    const { message, outcome } = findingOf(error);
    return { name, verdict: outcome, message };
  }
}

function reportOf(name: string, scan: LogScan, verdict: LogVerdict): LogReport {
  return {
    name,
    verdict: verdict.kind,
    message: verdict.message,
    firstLsn: scan.firstLsn,
    lastLsn: scan.lastLsn,
    durableThrough: verdict.durableThrough,
    suspectCount: verdict.suspects.length,
    segmentCount: scan.segmentCount,
    isClosed: scan.isClosed,
    ...(verdict.place === undefined ? {} : { place: verdict.place }),
    ...(verdict.lost === undefined ? {} : { lost: verdict.lost }),
  };
}

/** What an error says of the directory. @throws what is no finding but a bug. */
function findingOf(error: unknown): { readonly message: string; readonly outcome: Outcome } {
  if (!(error instanceof MillraceError)) throw error;
  const { code, message } = error;
  switch (code) {
    case 'WAL_CORRUPT':
    case 'CHECKPOINT_CORRUPT':
      return { message, outcome: 'damaged' };
    case 'FORMAT_UNKNOWN':
    case 'DISK_FAILED':
      return { message, outcome: isGone(error) ? 'damaged' : 'unreadable' };
    default:
      throw error;
  }
}

/** Names of what is bad, equal in two looks only when it is the same place. */
function badPlaces({ logs, problems, outcome }: Look): ReadonlySet<string> {
  const ofLogs = logs.filter(({ verdict }) => verdict === 'damaged' || verdict === 'unreadable');
  const places = ofLogs.map(({ name, lastLsn, place, message }) =>
    place === undefined ? message : `${name} ${lastLsn} ${place.path} ${place.fromBytes}`,
  );
  // What the others say of a damaged log is in its own verdict already, and moves with the engine.
  const isOfLogs = outcome === 'clean' || places.length > 0;
  return new Set(isOfLogs ? places : problems);
}

/** The end of a log that is being written is not torn. */
function withoutLiveEnds(found: Look): Look {
  const logs = found.logs.map((log) => (log.verdict === 'torn' ? { ...log, ...LIVE_END } : log));
  return { ...found, logs, warnings: [...found.warnings, RUNNING] };
}

/** What no second look has confirmed was the engine at work. */
function withoutUnconfirmed(found: Look): Look {
  const { repair: _, ...rest } = found;
  const logs = found.logs.map((log) => (log.verdict === 'clean' ? log : { ...log, ...LIVE_END }));
  const warnings = [...found.warnings, RUNNING, BUSY];
  return { ...rest, logs, problems: [], warnings, outcome: 'clean' };
}

const LIVE_END = { verdict: 'clean', message: 'its end is being written' } as const;
const RUNNING = 'an engine is running here: the verdict holds for what it had synced by now';
const BUSY = `files changed during each of ${LOOKS_MAX} looks: no place was found bad twice`;

function conclude({ outcome, ...found }: Look): Verification {
  const verdict = found.logs.reduce((worst, log) => worse(worst, log.verdict), outcome);
  return { verdict, ...found };
}

function worse(a: Outcome, b: Outcome): Outcome {
  return OUTCOME_EXIT_CODES[a] >= OUTCOME_EXIT_CODES[b] ? a : b;
}
