/** The read-only half of recovery: what the directory holds, and whether it may be trusted.
 *
 * Reads the newest valid checkpoint, replays the driver log over it in memory with the same
 * `applyEvent` as live running, scans every receiver log, and judges each log by what the others
 * witness: the driver log by its mirror, the watermarks in the receiver logs and the checkpoint, a
 * receiver log by the registered blocks. Nothing is written here; recovery.ts does that, after
 * all verdicts.
 * @module */
import { join } from 'node:path';
import { readBlockMeta } from '../blocks/block-layout.ts';
import type { BlockMeta } from '../blocks/block-layout.ts';
import type { LogPosition } from '../blocks/block-ref.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import type { Codec } from '../serde/codec.ts';
import type { Disk } from '../wal/disk.ts';
import { findLiveSegments } from '../wal/live-segments.ts';
import { scanLog } from '../wal/log-scan.ts';
import type { LogScan } from '../wal/log-scan.ts';
import { judgeLog } from '../wal/log-verdict.ts';
import type { LogVerdict } from '../wal/log-verdict.ts';
import type { ScannedRecord } from '../wal/scanned-record.ts';
import { decodeCheckpoint, readAgainOf } from './checkpoint-content.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { KnownBlocks } from './examination-blocks.ts';
import {
  damagedLog,
  malformedRecord,
  missingBlocks,
  missingLog,
  refuseProblems,
} from './examination-damage.ts';
import type { Problem } from './examination-damage.ts';
import { decodeEvent } from './tracker-events.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

const DRIVER_LOG = 'driver-log';
const DRIVER_LOG_MIRROR = 'driver-log-mirror';
const RECEIVER_LOG = /^receiver-log-\d+(\.\d+)?$/;

/** A log by its name in block positions. */
interface PlacedLog {
  readonly name: string;
  readonly path: string;
}

/** A durable block that the driver log does not know. */
export interface Orphan {
  readonly log: string;
  readonly record: ScannedRecord;
  readonly meta: BlockMeta & { readonly binBytes: number };
}

export interface ExaminedLog {
  readonly name: string;
  readonly directory: string;
  readonly scan: LogScan;
  readonly verdict: LogVerdict;
}

export interface Examination {
  /** Absent when no checkpoint was ever written: the first start was interrupted. */
  readonly checkpoint: CheckpointContent | undefined;
  readonly state: TrackerState;
  /** LSN of the last driver event in `state`. */
  readonly appliedLsn: Lsn;
  readonly driverLog: ExaminedLog;
  /** Of a damaged one recovery makes another: it only repeats what the driver log says. */
  readonly driverLogMirror: ExaminedLog;
  readonly receiverLogs: readonly ExaminedLog[];
  /** In the order of their logs. */
  readonly orphans: readonly Orphan[];
}

export interface ExaminationInput {
  readonly disk: Disk;
  readonly directory: string;
  /** Where there is one: every log has to have its id, and those that it names elsewhere have to
   * be there. */
  readonly manifest?: Manifest;
  readonly store: CheckpointStore;
  readonly codec: Codec;
  readonly events: EventBus;
  readonly sourceIdsMax: number;
  /** For tools: sees every payload of every log on the way. What it throws ends the examination. */
  readonly visit?: (log: string, record: ScannedRecord, payload: Buffer) => void;
  /** For tools: places in logs whose blocks an operator gives up. */
  readonly isGivenUp?: (position: LogPosition) => boolean;
  /** For tools: told the verdicts on all logs before damage is refused. */
  readonly onJudged?: (logs: readonly ExaminedLog[]) => unknown;
}

/** @throws {MillraceError} WAL_CORRUPT with every damaged range of every log; CHECKPOINT_CORRUPT;
 *   FORMAT_UNKNOWN. Nothing was changed then. */
export async function examineDirectory(input: ExaminationInput): Promise<Examination> {
  const logs = await placedLogs(input);
  await refuseForeignLogs(input, logs);
  const checkpoint = await loadCheckpoint(input);
  const state = checkpoint?.state ?? emptyTrackerState(input.sourceIdsMax);
  const driver = await replayDriverLog(input, state, checkpoint);
  const { isGivenUp } = input;
  const known = new KnownBlocks(state, { isGivenUp, readAgain: readAgainOf(checkpoint) });
  const scans = await scanReceiverLogs(input, logs, { state, known });
  const driverLogMirror = await examineMirror(input);
  const found = { driver, driverLogMirror, scans };
  const { driverLog, receiverLogs } = judgeAll({ input, state, known, checkpoint, ...found });
  input.onJudged?.([driverLog, ...receiverLogs]);
  refuseProblems(input.directory, [
    ...driverProblems(driverLog, driver, checkpoint),
    ...scans.flatMap(({ problems }) => problems),
    ...receiverLogs.flatMap((log) => blockProblems(log, known)),
    ...missingLogs(known, receiverLogs),
    ...mirrorProblems(driverLogMirror, driverLog),
  ]);
  tellMirror(input.events, driverLogMirror);
  const orphans = scans.flatMap((scanned) => scanned.orphans);
  refuseWithoutCheckpoint(input, checkpoint, {
    hasContent: driver.eventCount > 0 || orphans.length > 0,
    logs: [driverLog, ...receiverLogs],
  });
  const appliedLsn = Math.max(checkpoint?.appliedLsn ?? 0, driverLog.scan.lastLsn) as Lsn;
  return { checkpoint, state, appliedLsn, driverLog, driverLogMirror, receiverLogs, orphans };
}

/** A log that was copied here from elsewhere says nothing about the others, sound as it may be. */
async function refuseForeignLogs(
  { disk, directory, manifest }: ExaminationInput,
  logs: readonly PlacedLog[],
): Promise<void> {
  const logId = manifest?.logId;
  const foreign: Problem[] = [];
  for (const { path } of logs) {
    const found = (await findLiveSegments(disk, path)).logId;
    if (logId === undefined || found === undefined || found === logId) continue;
    const message = `${path} belongs to another checkpoint directory (log ${found}, not ${logId})`;
    foreign.push({ message, details: { directory: path, logId: found } });
  }
  refuseProblems(directory, foreign);
}

/** Those in the checkpoint directory, and those that MANIFEST names elsewhere. */
async function placedLogs({
  disk,
  directory,
  manifest,
}: ExaminationInput): Promise<readonly PlacedLog[]> {
  const names = (await disk.list(directory)) ?? [];
  const here = names.filter(isLogName).map((name) => ({ name, path: join(directory, name) }));
  const elsewhere: PlacedLog[] = [];
  const missing: Problem[] = [];
  for (const { log, directory: path } of manifest?.quarantined ?? []) {
    if ((await disk.list(path)) === undefined) {
      const message = `the log ${path} is missing, which MANIFEST names: is its disk mounted?`;
      missing.push({ message, details: { directory: path } });
    } else elsewhere.push({ name: log, path });
  }
  refuseProblems(directory, missing);
  return [...here, ...elsewhere];
}

/** True for the directory of a log, by its place in the checkpoint directory. */
export function isLogName(name: string): boolean {
  return isDriverLogName(name) || RECEIVER_LOG.test(name);
}

function isDriverLogName(name: string): boolean {
  return name === DRIVER_LOG || name === DRIVER_LOG_MIRROR;
}

async function examineMirror({ disk, directory }: ExaminationInput): Promise<ExaminedLog> {
  const path = join(directory, DRIVER_LOG_MIRROR);
  const scan = await scanLog(disk, path);
  const verdict = judgeLog(scan, 0 as Lsn);
  return { name: DRIVER_LOG_MIRROR, directory: path, scan, verdict };
}

/** A damaged mirror is one witness less. Beside a driver log that ends in a torn write it is the
 * one that could have told that write from damage: then nobody can say what was lost. */
function mirrorProblems(mirror: ExaminedLog, { directory, verdict }: ExaminedLog): Problem[] {
  if (mirror.verdict.kind !== 'damaged' || verdict.kind !== 'torn') return [];
  return [damagedLog(mirror.verdict, []), { message: verdict.message, details: { directory } }];
}

function tellMirror(events: EventBus, { verdict: { kind, message } }: ExaminedLog): void {
  if (kind !== 'damaged') return;
  const lost = 'nothing is lost: the driver log is sound, and its mirror is made again';
  events.emit({ type: 'warning', message: `${message}. But ${lost}` });
}

async function loadCheckpoint(input: ExaminationInput): Promise<CheckpointContent | undefined> {
  const loaded = await input.store.loadNewest();
  if (loaded === undefined) return undefined;
  for (const { path, reason } of loaded.skipped) {
    input.events.emit({ type: 'checkpoint-skipped', path, reason });
  }
  return decodeCheckpoint(loaded.payload, input.codec, input.sourceIdsMax);
}

interface DriverReplay {
  readonly scan: LogScan;
  readonly eventCount: number;
  /** The first event that could not be applied; those behind it were not tried. */
  readonly problem: Problem | undefined;
}

/** Applies the events of the log that the checkpoint does not have. Whether all of them are there,
 * and whether the log is damaged, is judged afterwards. */
async function replayDriverLog(
  { disk, directory, codec, visit }: ExaminationInput,
  state: TrackerState,
  checkpoint: CheckpointContent | undefined,
): Promise<DriverReplay> {
  let eventCount = 0;
  let problem: Problem | undefined;
  const scan = await scanLog(disk, join(directory, DRIVER_LOG), (record, payload) => {
    eventCount += 1;
    visit?.(DRIVER_LOG, record, payload);
    if (problem !== undefined || record.lsn <= (checkpoint?.appliedLsn ?? 0)) return;
    try {
      applyEvent(state, decodeEvent(payload, codec));
    } catch (thrown) {
      problem = malformedRecord(record, thrown);
    }
  });
  return { scan, eventCount, problem };
}

interface ReceiverScan {
  readonly name: string;
  readonly directory: string;
  readonly scan: LogScan;
  readonly orphans: readonly Orphan[];
  readonly problems: readonly Problem[];
}

async function scanReceiverLogs(
  { disk, codec, visit }: ExaminationInput,
  placed: readonly PlacedLog[],
  { state, known }: { readonly state: TrackerState; readonly known: KnownBlocks },
): Promise<ReceiverScan[]> {
  const logs: ReceiverScan[] = [];
  for (const { name, path: directory } of placed) {
    if (isDriverLogName(name)) continue;
    const orphans: Orphan[] = [];
    const problems: Problem[] = [];
    const blocks = known.of(name);
    // At or below this LSN a block is registered, refused or cleaned: in no case an orphan.
    const decidedLsn = state.registeredLsn.get(name) ?? 0;
    const scan = await scanLog(disk, directory, (record, payload) => {
      blocks.found(record);
      visit?.(name, record, payload);
      if (record.lsn <= decidedLsn) return;
      try {
        orphans.push({ log: name, record, meta: readBlockMeta(payload, codec) });
      } catch (thrown) {
        problems.push(malformedRecord(record, thrown));
      }
    });
    logs.push({ name, directory, scan, orphans, problems });
  }
  return logs;
}

function judgeAll({
  input,
  state,
  known,
  checkpoint,
  driver,
  driverLogMirror,
  scans,
}: {
  readonly input: ExaminationInput;
  readonly state: TrackerState;
  readonly known: KnownBlocks;
  readonly checkpoint: CheckpointContent | undefined;
  readonly driver: DriverReplay;
  readonly driverLogMirror: ExaminedLog;
  readonly scans: readonly ReceiverScan[];
}): Pick<Examination, 'driverLog' | 'receiverLogs'> {
  const witnessed = Math.max(
    checkpoint?.appliedLsn ?? 0,
    driverLogMirror.scan.peerWitness,
    ...scans.map(({ scan }) => scan.peerWitness),
  ) as Lsn;
  return {
    driverLog: {
      name: DRIVER_LOG,
      directory: join(input.directory, DRIVER_LOG),
      scan: driver.scan,
      verdict: judgeLog(driver.scan, witnessed),
    },
    receiverLogs: scans.map(({ name, directory, scan }) => {
      // A log is removed when nothing needs it; one that comes back may have died before its first
      // segment. Then it has nothing, as the one before.
      const isNew = scan.segmentCount === 0 && known.of(name).left.length === 0;
      const syncedLsn = isNew ? undefined : state.syncedLsn.get(name);
      const verdict = judgeLog(scan, syncedLsn ?? (0 as Lsn));
      return { name, directory, scan, verdict };
    }),
  };
}

/** Events can only be applied to the state that they were made from: with some of them missing, one
 * that does not fit says nothing new. */
function driverProblems(
  { verdict }: ExaminedLog,
  { scan, problem }: DriverReplay,
  checkpoint: CheckpointContent | undefined,
): readonly Problem[] {
  const missing = missingEvents(scan, checkpoint);
  if (verdict.kind === 'damaged') {
    const { range, ...damaged } = damagedLog(verdict, []);
    // An event that no checkpoint has says what became of blocks: nobody can give it up.
    if (range === undefined || checkpoint === undefined) return [damaged, ...missing];
    return [range.lastLsn <= checkpoint.appliedLsn ? { ...damaged, range } : damaged, ...missing];
  }
  return missing.length > 0 || problem === undefined ? missing : [problem];
}

/** A log that begins after the checkpoint ends: somebody has put an old checkpoint back. */
function missingEvents(
  { directory, firstLsn }: LogScan,
  checkpoint: CheckpointContent | undefined,
): Problem[] {
  if (checkpoint === undefined || firstLsn <= checkpoint.appliedLsn + 1) return [];
  const [from, to] = [checkpoint.appliedLsn + 1, firstLsn - 1];
  const gap = `records ${from} to ${to}`;
  const message = `${directory} no longer has ${gap}, which the newest checkpoint needs`;
  return [{ message, details: { directory, firstMissingLsn: from, lastMissingLsn: to } }];
}

/** What the log itself shows, or else what only the driver log knows of it. A `flush` block may be
 * gone with the page cache: that was the promise. */
function blockProblems({ name, scan, verdict }: ExaminedLog, known: KnownBlocks): Problem[] {
  const blocks = known.of(name);
  if (verdict.kind === 'damaged') return [damagedLog(verdict, blocks.left)];
  const lost = blocks.neededLeft.filter(({ durability }) => durability === 'sync');
  return lost.length === 0 ? [] : [missingBlocks(scan, lost)];
}

/** Logs that are gone although a batch or a queue still needs a block of theirs. */
function missingLogs(known: KnownBlocks, found: readonly ExaminedLog[]): Problem[] {
  const names = new Set(found.map(({ name }) => name));
  return known.logs.flatMap((name) => {
    const needed = known.of(name).neededLeft;
    return names.has(name) || needed.length === 0 ? [] : [missingLog(name, needed)];
  });
}

/** A run that ended before its first checkpoint leaves logs with control records only. */
function refuseWithoutCheckpoint(
  { directory }: ExaminationInput,
  checkpoint: CheckpointContent | undefined,
  found: { readonly hasContent: boolean; readonly logs: readonly ExaminedLog[] },
): void {
  const isCutInFront = found.logs.some(({ scan }) => scan.firstLsn > 1);
  if (checkpoint !== undefined || (!found.hasContent && !isCutInFront)) return;
  throw new MillraceError(
    'CHECKPOINT_CORRUPT',
    `${directory} has log records and no checkpoint; every start writes one before it receives ` +
      'anything. Restore the directory checkpoints/ from a backup',
  );
}
