/** The read-only half of recovery: what the directory holds, and whether it may be trusted.
 *
 * Reads the newest valid checkpoint, replays the driver log over it in memory with the same
 * `applyEvent` as live running, scans every receiver log, and judges each log by what the others
 * witness: the driver log by the watermarks in the receiver logs and by the checkpoint, a receiver
 * log by the registered blocks. Nothing is written here; recovery.ts does that, after all verdicts.
 * @module */
import { join } from 'node:path';
import { readBlockMeta } from '../blocks/block-layout.ts';
import type { BlockMeta } from '../blocks/block-layout.ts';
import type { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
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
import { decodeCheckpoint } from './checkpoint-content.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { decodeEvent } from './tracker-events.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

const DRIVER_LOG = 'driver-log';
const RECEIVER_LOG = /^receiver-log-\d+(\.\d+)?$/;

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
  readonly receiverLogs: readonly ExaminedLog[];
  /** In the order of their logs. */
  readonly orphans: readonly Orphan[];
}

export interface ExaminationInput {
  readonly disk: Disk;
  readonly directory: string;
  /** Of MANIFEST, where there is one: every log has to have it. */
  readonly logId?: string;
  readonly store: CheckpointStore;
  readonly codec: Codec;
  readonly events: EventBus;
  readonly sourceIdsMax: number;
}

/** @throws {MillraceError} WAL_CORRUPT with every damaged range of every log; CHECKPOINT_CORRUPT;
 *   FORMAT_UNKNOWN. Nothing was changed then. */
export async function examineDirectory(input: ExaminationInput): Promise<Examination> {
  await refuseForeignLogs(input);
  const checkpoint = await loadCheckpoint(input);
  const state = checkpoint?.state ?? emptyTrackerState(input.sourceIdsMax);
  const { scan: driverScan, eventCount } = await replayDriverLog(input, state, checkpoint);
  const orphans: Orphan[] = [];
  const scans = await scanReceiverLogs(input, state, orphans);
  const witnessed = Math.max(
    checkpoint?.appliedLsn ?? 0,
    ...scans.map(({ scan }) => scan.peerWitness),
  ) as Lsn;
  const driverLog = {
    name: DRIVER_LOG,
    directory: join(input.directory, DRIVER_LOG),
    scan: driverScan,
    verdict: judgeLog(driverScan, witnessed),
  };
  const receiverLogs = scans.map(({ name, directory, scan }) => ({
    name,
    directory,
    scan,
    verdict: judgeLog(scan, state.syncedLsn.get(name) ?? (0 as Lsn)),
  }));
  refuseDamage(
    [driverLog, ...receiverLogs],
    [...missingEvents(driverScan, checkpoint), ...missingLogs(state, receiverLogs)],
  );
  // A run that ended before its first checkpoint leaves logs with control records only.
  const isCutInFront = [driverLog, ...receiverLogs].some(({ scan }) => scan.firstLsn > 1);
  const isStarted = eventCount > 0 || orphans.length > 0 || isCutInFront;
  if (checkpoint === undefined && isStarted) {
    throw new MillraceError(
      'CHECKPOINT_CORRUPT',
      `${input.directory} has log records and no checkpoint; every start writes one before it ` +
        'receives anything. Restore the directory checkpoints/ from a backup',
    );
  }
  const appliedLsn = Math.max(checkpoint?.appliedLsn ?? 0, driverScan.lastLsn) as Lsn;
  return { checkpoint, state, appliedLsn, driverLog, receiverLogs, orphans };
}

/** A log that was copied here from elsewhere says nothing about the others, sound as it may be. */
async function refuseForeignLogs({ disk, directory, logId }: ExaminationInput): Promise<void> {
  const foreign: string[] = [];
  for (const name of await logNames(disk, directory)) {
    const path = join(directory, name);
    const found = (await findLiveSegments(disk, path)).logId;
    if (logId === undefined || found === undefined || found === logId) continue;
    foreign.push(`${path} belongs to another checkpoint directory (log ${found}, not ${logId})`);
  }
  refuse(foreign);
}

async function logNames(disk: Disk, directory: string): Promise<readonly string[]> {
  const names = (await disk.list(directory)) ?? [];
  return names.filter((name) => name === DRIVER_LOG || RECEIVER_LOG.test(name));
}

async function loadCheckpoint(input: ExaminationInput): Promise<CheckpointContent | undefined> {
  const loaded = await input.store.loadNewest();
  if (loaded === undefined) return undefined;
  for (const { path, reason } of loaded.skipped) {
    input.events.emit({ type: 'checkpoint-skipped', path, reason });
  }
  return decodeCheckpoint(loaded.payload, input.codec, input.sourceIdsMax);
}

async function replayDriverLog(
  { disk, directory, codec }: ExaminationInput,
  state: TrackerState,
  checkpoint: CheckpointContent | undefined,
): Promise<{ scan: LogScan; eventCount: number }> {
  let eventCount = 0;
  const scan = await scanLog(disk, join(directory, DRIVER_LOG), (record, payload) => {
    eventCount += 1;
    if (record.lsn <= (checkpoint?.appliedLsn ?? 0)) return;
    applyEvent(state, decodeEvent(payload, codec));
  });
  return { scan, eventCount };
}

async function scanReceiverLogs(
  { disk, directory, codec }: ExaminationInput,
  state: TrackerState,
  orphans: Orphan[],
): Promise<{ name: string; directory: string; scan: LogScan }[]> {
  const logs = [];
  for (const name of await logNames(disk, directory)) {
    if (name === DRIVER_LOG) continue;
    const path = join(directory, name);
    // At or below this LSN a block is registered, refused or cleaned: in no case an orphan.
    const decidedLsn = state.registeredLsn.get(name) ?? 0;
    const scan = await scanLog(disk, path, (record, payload) => {
      if (record.lsn <= decidedLsn) return;
      orphans.push({ log: name, record, meta: readBlockMeta(payload, codec) });
    });
    logs.push({ name, directory: path, scan });
  }
  return logs;
}

/** A log that begins after the checkpoint ends: somebody has put an old checkpoint back. */
function missingEvents(
  { directory, firstLsn }: LogScan,
  checkpoint: CheckpointContent | undefined,
): string[] {
  if (checkpoint === undefined || firstLsn <= checkpoint.appliedLsn + 1) return [];
  const gap = `${checkpoint.appliedLsn + 1} to ${firstLsn - 1}`;
  return [`${directory} no longer has records ${gap}, which the newest checkpoint needs`];
}

/** Logs that are gone although a batch or a queue still needs a block of theirs. */
function missingLogs(state: TrackerState, found: readonly ExaminedLog[]): string[] {
  const names = new Set(found.map(({ name }) => name));
  const missing = new Set<string>();
  for (const block of neededBlocks(state)) {
    const log = block.position?.log;
    if (log !== undefined && !names.has(log)) missing.add(log);
  }
  return [...missing].map((name) => `${name} is missing, and unfinished batches need it`);
}

function* neededBlocks(state: TrackerState) {
  for (const queue of state.queues.values()) yield* queue;
  for (const { share, isDone } of state.batches.values()) {
    if (isDone) continue;
    for (const input of share.inputs) if (input.kind === 'blocks') yield* input.blocks;
  }
}

function refuseDamage(logs: readonly ExaminedLog[], found: readonly string[]): void {
  const problems = logs.flatMap(({ verdict }) =>
    verdict.kind === 'damaged' ? [verdict.message] : [],
  );
  refuse([...problems, ...found]);
}

function refuse(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new MillraceError(
    'WAL_CORRUPT',
    `acknowledged data is damaged; nothing was changed:\n  ${problems.join('\n  ')}\n` +
      'Restore the files from a backup, or keep the directory and start with another one.',
  );
}
