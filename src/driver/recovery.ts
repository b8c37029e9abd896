/** The writing half of recovery: from an examined directory to an engine that may go on.
 *
 * Order, each step safe to be interrupted and run again (I6): torn tails are copied aside → the new
 * epoch is durable in MANIFEST → suspect records of the driver log (valid, but no sync of theirs is
 * witnessed) are rewritten into a fresh segment and synced → the same for receiver logs that have
 * blocks to adopt → orphans are dropped or adopted. See docs/ARCHITECTURE.md for the crash table.
 * @module */
import { writeManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import { present } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import type { Codec } from '../serde/codec.ts';
import type { Disk } from '../wal/disk.ts';
import type { Shortage } from '../wal/shortage.ts';
import { keepTornTail } from '../wal/torn-tail.ts';
import type { WalPosition } from '../wal/pending-record.ts';
import { readRecords } from '../wal/scanned-record.ts';
import { WriteAheadLog } from '../wal/write-ahead-log.ts';
import { adoptedOrphans } from './orphans.ts';
import { adoptionBytes } from './start-room.ts';
import { BlockTracker } from './block-tracker.ts';
import { DriverLog } from './driver-log.ts';
import type { Examination, ExaminedLog, Orphan } from './examination.ts';

export interface RecoveryInput {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly codec: Codec;
  readonly events: EventBus;
  readonly directory: string;
  /** With the new epoch. */
  readonly manifest: Manifest;
  /** As of WalOptions. @defaultValue false */
  readonly isGrowing?: boolean;
  readonly driverSegmentBytes: number;
  readonly receiverSegmentBytes: number;
  readonly onDriverPoison: (error: Error) => void;
  readonly onDriverShortage: (shortage: Shortage | undefined) => void;
}

export interface Recovered {
  readonly driverLog: DriverLog;
  /** LSN of the last event that is applied to the examination's state. */
  readonly appliedLsn: Lsn;
  /** First LSN of the next opening of each receiver log that exists. */
  readonly nextLsn: ReadonlyMap<string, Lsn>;
  readonly adoptedCount: number;
  readonly droppedCount: number;
  /** Copies of torn tails. */
  readonly tornTails: readonly string[];
}

export async function recoverDirectory(
  input: RecoveryInput,
  examination: Examination,
): Promise<Recovered> {
  const { driverLog: examined, receiverLogs } = examination;
  reached('recovery.verdict');
  const tornTails = await keepTornTails(input, [examined, ...receiverLogs]);
  await writeManifest(input, input.manifest);
  const adopted = adoptedOrphans(examination);
  const driverLog = await openDriverLog(input, examination, adopted);
  reached('recovery.replay');
  const { nextLsn, moved } = await rewriteReceiverLogs(input, examination, adopted);
  reached('recovery.adopt');
  const appliedLsn = await adopt(input, examination, { driverLog, orphans: adopted, moved });
  return {
    driverLog,
    appliedLsn,
    nextLsn,
    adoptedCount: adopted.length,
    droppedCount: examination.orphans.length - adopted.length,
    tornTails,
  };
}

/** Opens the driver log of this epoch and its mirror; what was suspect is durable when it
 * resolves. */
async function openDriverLog(
  input: RecoveryInput,
  { driverLog, driverLogMirror }: Examination,
  adopted: readonly Orphan[],
): Promise<DriverLog> {
  const { verdict } = driverLogMirror;
  return DriverLog.open(
    {
      disk: input.disk,
      clock: input.clock,
      directory: driverLog.directory,
      logId: input.manifest.logId,
      epoch: input.manifest.epoch,
      baseLsn: driverLog.verdict.nextBaseLsn,
      carryOver: await readRecords(input.disk, driverLog.verdict.suspects),
      segmentBytes: input.driverSegmentBytes,
      // Nobody can be held back while orphans are adopted: a roll would wait on a full disk.
      firstRoomBytes: adoptionBytes(adopted),
      mode: 'buffered',
      isGrowing: input.isGrowing ?? false,
      durability: 'sync',
      sparesReserved: 1, // for allocation, cleaning and checkpoints
      onPoison: input.onDriverPoison,
      onShortage: input.onDriverShortage,
    },
    {
      directory: driverLogMirror.directory,
      baseLsn: verdict.nextBaseLsn,
      isDamaged: verdict.kind === 'damaged',
    },
  );
}

/** They are for a human to look at; a full disk has no room for that. */
async function keepTornTails(
  { disk, events }: RecoveryInput,
  logs: readonly ExaminedLog[],
): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const { verdict } of logs) {
    try {
      const path = verdict.kind === 'torn' ? await keepTornTail(disk, verdict) : undefined;
      if (path !== undefined) kept.push(path);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw error;
      const message = `a torn tail is not kept: ${error.message} (${verdict.message})`;
      events.emit({ type: 'warning', message });
    }
  }
  return kept;
}

type MovedRecords = ReadonlyMap<string, ReadonlyMap<Lsn, WalPosition>>;

/** Suspect blocks that will be adopted must be durable for certain first. A log without such blocks
 * is left alone: its next opening begins below them, which ends them. Registered blocks stay where
 * they are, also suspect ones (of the `flush` level): the driver log names their places. */
async function rewriteReceiverLogs(
  input: RecoveryInput,
  { receiverLogs, state }: Examination,
  adopted: readonly Orphan[],
): Promise<{ readonly nextLsn: ReadonlyMap<string, Lsn>; readonly moved: MovedRecords }> {
  const nextLsn = new Map<string, Lsn>();
  const moved = new Map<string, ReadonlyMap<Lsn, WalPosition>>();
  for (const { name, directory, scan, verdict } of receiverLogs) {
    const registeredLsn = state.registeredLsn.get(name) ?? 0;
    const baseLsn = Math.max(verdict.nextBaseLsn, registeredLsn + 1) as Lsn;
    const lastAdopted = Math.max(0, ...adopted.filter(({ log }) => log === name).map(lsnOf));
    if (lastAdopted < baseLsn) {
      nextLsn.set(name, baseLsn);
      continue;
    }
    const suspects = verdict.suspects.filter(({ lsn }) => lsn >= baseLsn);
    const log = await WriteAheadLog.open({
      disk: input.disk,
      clock: input.clock,
      directory,
      logId: present(scan.logId, 'the id of a log with blocks'),
      epoch: input.manifest.epoch,
      baseLsn,
      carryOver: await readRecords(input.disk, suspects),
      segmentBytes: input.receiverSegmentBytes,
      mode: 'buffered', // few records, and another directory may not know direct writes
      isGrowing: input.isGrowing ?? false,
      durability: 'sync',
    });
    moved.set(name, new Map(log.carriedOver.map((at) => [at.lsn, at])));
    await log.close();
    nextLsn.set(name, (log.lastLsn + 1) as Lsn);
  }
  return { nextLsn, moved };
}

function lsnOf({ record }: Orphan): number {
  return record.lsn;
}

async function adopt(
  { codec, events }: RecoveryInput,
  { state, appliedLsn }: Examination,
  work: {
    readonly driverLog: DriverLog;
    readonly orphans: readonly Orphan[];
    readonly moved: MovedRecords;
  },
): Promise<Lsn> {
  const tracker = new BlockTracker(appliedLsn, {
    state,
    log: work.driverLog,
    codec,
    isCurrent: () => true,
    onRegistered: () => {},
  });
  for (const orphan of work.orphans) {
    const at = work.moved.get(orphan.log)?.get(orphan.record.lsn) ?? orphan.record;
    const outcome = await tracker.add(orphanInfo(orphan, at));
    if (outcome.kind === 'refused') {
      const { streamId, seq } = orphan.meta.blockId;
      const block = `block ${seq} of ${streamId}, found in ${orphan.log}`;
      const message = `${block}, is left: ${outcome.reason}`;
      events.emit({ type: 'warning', message });
    }
  }
  return tracker.appliedLsn;
}

function orphanInfo({ log, record, meta }: Orphan, at: WalPosition): BlockInfo {
  const { payloadBytes, payloadCrc } = record;
  const { lsn, segmentSeq, offsetBytes } = at;
  return {
    blockId: meta.blockId,
    recordCount: meta.recordCount,
    codec: meta.codec,
    lengthBytes: meta.binBytes,
    durability: 'sync',
    position: { log, lsn, segmentSeq, offsetBytes, payloadBytes, payloadCrc },
    positions: meta.positions,
    sourceIds: meta.sourceIds,
    isBuffered: meta.isBuffered,
  };
}
