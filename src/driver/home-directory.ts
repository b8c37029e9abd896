/** The checkpoint directory, opened: R0 for a fresh one, recovery for one that has been used.
 *
 * Owns the lock, MANIFEST, the checkpoint store and the driver log; gives the engine what it needs
 * to go on. "Fresh" means: no MANIFEST. Layout: LOCK, MANIFEST, driver-log/, receiver-log-<n>/,
 * checkpoints/; receiver logs that failed may go on in another directory (log-places.ts).
 * @module */
import { join, resolve } from 'node:path';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { readManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import { uniqueId } from '../core/random.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { Codec } from '../serde/codec.ts';
import type { Disk, WriteMode } from '../wal/disk.ts';
import { ownedDisk } from '../wal/owned-disk.ts';
import type { Shortage } from '../wal/shortage.ts';
import type { WriteAheadLog } from '../wal/write-ahead-log.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import { lockDirectory } from './directory-lock.ts';
import type { DirectoryLock } from './directory-lock.ts';
import { examineDirectory } from './examination.ts';
import { refuseForeignContent } from './foreign-content.ts';
import type { Examination } from './examination.ts';
import { LogPlaces } from './log-places.ts';
import { recoverDirectory } from './recovery.ts';
import { makeStartRoom } from './start-room.ts';
import type { TrackerState } from './tracker-state.ts';

/** Checkpoints that stay on disk: the newest, and one to fall back to. */
export const CHECKPOINTS_KEPT: number = 2;

/** Directories of shuffle pieces that found no room in memory begin with this. */
export const SPILL_PREFIX: string = 'spill-';

/** A receiver log that is being removed begins with this, so that its rest is not taken for a
 * log. */
export const REMOVED_PREFIX: string = 'removed-';

export interface HomeInput {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly codec: Codec;
  readonly events: EventBus;
  readonly directory: string;
  /** As far as they are known before the checkpoint is read. */
  readonly options: ResolvedOptions;
  /** Called before anything is written: refuses the checkpoint by throwing, or says what the run
   * goes by, now that the checkpoint's own options are known. */
  readonly accept: (checkpoint: CheckpointContent | undefined) => ResolvedOptions;
  readonly onPoison: (error: Error) => void;
  /** The driver log has no room for its next segment; `undefined`: it has again. */
  readonly onShortage?: (shortage: Shortage | undefined) => void;
}

export interface Home {
  readonly directory: string;
  /** Refuses to change anything once the directory belongs to another process. */
  readonly disk: Disk;
  readonly options: ResolvedOptions;
  readonly manifest: Manifest;
  readonly lock: DirectoryLock;
  readonly store: CheckpointStore;
  readonly driverLog: WriteAheadLog;
  readonly mode: WriteMode;
  readonly state: TrackerState;
  readonly appliedLsn: Lsn;
  /** First LSN of the next opening of each receiver log that exists. */
  readonly nextLsn: ReadonlyMap<string, Lsn>;
  /** Last LSN that recovery found in each receiver log. */
  readonly lastLsn: ReadonlyMap<string, Lsn>;
  /** Receiver logs that recovery found, less those that were removed since. */
  readonly oldLogs: Set<string>;
  /** Names and places of receiver logs. */
  readonly logs: LogPlaces;
  /** Absolute; where receiver logs go on when they fail, if they are to. */
  readonly quarantineDir: string | undefined;
}

/** @throws {MillraceError} DIRECTORY_LOCKED, CHECKPOINT_MISMATCH, WAL_CORRUPT, CHECKPOINT_CORRUPT,
 *   FORMAT_UNKNOWN, DISK_FAILED, DISK_FULL. The lock is given back then. */
export async function openHome(input: HomeInput): Promise<Home> {
  await makeHome(input);
  await refuseForeignContent(input.disk, input.directory);
  const lock = await lockDirectory(input.directory);
  try {
    return await openLocked({ ...input, disk: ownedDisk(input.disk, lock.file) }, lock);
  } catch (error) {
    // What went wrong first is what has to be told.
    await lock.release().catch(() => undefined);
    throw error;
  }
}

async function makeHome({ disk, directory }: HomeInput): Promise<void> {
  try {
    await disk.makeDirectory(directory);
  } catch (cause) {
    throw new MillraceError(
      'DISK_FAILED',
      `the checkpoint directory ${directory} cannot be made (${toError(cause).message}): make ` +
        'its parent writable, or choose another directory',
      { cause, details: { path: directory } },
    );
  }
}

async function openLocked(input: HomeInput, lock: DirectoryLock): Promise<Home> {
  const { disk, directory, codec, events } = input;
  const previous = await readManifest({ disk, directory });
  refuseOtherPipeline(input, previous);
  const manifest = nextManifest(previous, input.options.name);
  const store = await CheckpointStore.open({
    disk,
    directory: join(directory, 'checkpoints'),
    keep: CHECKPOINTS_KEPT,
  });
  const sourceIdsMax = input.options.idempotencyKeysMax;
  const examination = await examineDirectory({
    disk,
    directory,
    ...(previous === undefined ? {} : { manifest: previous }),
    store,
    codec,
    events,
    sourceIdsMax,
  });
  if (previous === undefined) refuseLostManifest(directory, examination);
  const options = input.accept(examination.checkpoint);
  await makeStartRoom({ disk, directory, ...segmentsOf(options) }, examination);
  const mode = (await disk.supportsDirect(directory)) ? 'direct' : 'buffered';
  const recovered = await recoverDirectory(
    {
      ...input,
      manifest,
      mode,
      ...segmentsOf(options),
      onDriverPoison: input.onPoison,
      onDriverShortage: input.onShortage ?? (() => {}),
    },
    examination,
  );
  await removeScratch(input);
  const quarantineDir = await prepareQuarantine(input, manifest, options);
  const firstName = logNames(examination, manifest.epoch);
  if (previous !== undefined) report(events, examination, recovered);
  return {
    directory,
    disk,
    options,
    manifest,
    lock,
    store,
    mode,
    driverLog: recovered.driverLog,
    state: examination.state,
    appliedLsn: recovered.appliedLsn,
    nextLsn: recovered.nextLsn,
    lastLsn: new Map(examination.receiverLogs.map(({ name, scan }) => [name, scan.lastLsn])),
    oldLogs: new Set(examination.receiverLogs.map(({ name }) => name)),
    logs: new LogPlaces({ disk, directory, manifest, firstName }),
    quarantineDir,
  };
}

/** The second line behind the lock, for file systems whose locks do not exclude: looks whether
 * MANIFEST is still the one of this start.
 * @throws {MillraceError} DIRECTORY_LOCKED when another process has started here since, or somebody
 *   has put another directory in this one's place. */
export async function requireOwnManifest(home: Home): Promise<void> {
  const { directory, disk, manifest } = home;
  const found = await readManifest({ disk, directory });
  if (found?.logId === manifest.logId && found.epoch === manifest.epoch) return;
  const what = found === undefined ? 'is gone' : `says epoch ${found.epoch} of log ${found.logId}`;
  throw new MillraceError(
    'DIRECTORY_LOCKED',
    `${directory} does not belong to this process any more: its MANIFEST ${what}, and not epoch ` +
      `${manifest.epoch} of log ${manifest.logId}. Another process has started there, or the ` +
      'directory was replaced. Nothing more is acknowledged; what was acknowledged is kept',
    { details: { directory, epoch: manifest.epoch } },
  );
}

function segmentsOf({ driverSegmentBytes, receiverSegmentBytes }: ResolvedOptions) {
  return { driverSegmentBytes, receiverSegmentBytes };
}

/** What a killed run spilled, or had begun to remove, is of no use to this one. */
async function removeScratch({ disk, directory }: HomeInput): Promise<void> {
  for (const name of (await disk.list(directory)) ?? []) {
    if (name.startsWith(SPILL_PREFIX) || name.startsWith(REMOVED_PREFIX))
      await disk.removeTree(join(directory, name));
  }
}

/** Whoever would need it when a disk has failed has to know now that it works. What an interrupted
 * removal left in it goes.
 * @throws {MillraceError} DISK_FAILED. */
async function prepareQuarantine(
  { disk, directory }: HomeInput,
  manifest: Manifest,
  { onWalFailure, quarantineDir }: ResolvedOptions,
): Promise<string | undefined> {
  if (onWalFailure !== 'quarantine' || quarantineDir === undefined) return undefined;
  const path = resolve(quarantineDir);
  if (`${path}/`.startsWith(`${directory}/`)) {
    throw new MillraceError(
      'OPTIONS_INVALID',
      `quarantineDir ${path} lies in the checkpoint directory: it has to be on another disk`,
    );
  }
  const own = join(path, manifest.logId);
  await disk.makeDirectory(own);
  const kept = new Set(manifest.quarantined?.map((place) => place.directory));
  for (const name of (await disk.list(own)) ?? []) {
    if (!kept.has(join(own, name))) await disk.removeTree(join(own, name));
  }
  return path;
}

/** `receiver-log-<n>`, and `receiver-log-<n>.<epoch>` once a log of the `flush` level has lost its
 * registered end with the page cache: the LSNs that it lost must not come again, and a log with a
 * gap would look damaged. The old one is read until its blocks are cleaned. */
function logNames(
  { receiverLogs, state }: Examination,
  epoch: number,
): (executorIndex: number) => string {
  // What went on elsewhere is read, and not written any more.
  const here = receiverLogs.filter(({ name }) => !name.endsWith('q'));
  const isShort = new Map(
    here.map(({ name, scan }) => [name, scan.lastLsn < (state.registeredLsn.get(name) ?? 0)]),
  );
  return (executorIndex) => {
    const plain = `receiver-log-${executorIndex}`;
    const newest = [...isShort.keys()]
      .filter((name) => name === plain || name.startsWith(`${plain}.`))
      .toSorted((a, b) => generation(a) - generation(b))
      .at(-1);
    if (newest === undefined) return plain;
    return isShort.get(newest) === true ? `${plain}.${epoch}` : newest;
  };
}

function generation(logName: string): number {
  return Number(logName.split('.')[1] ?? 0);
}

function refuseOtherPipeline({ directory, options }: HomeInput, found: Manifest | undefined): void {
  if (found === undefined || found.pipelineName === options.name) return;
  throw new MillraceError(
    'CHECKPOINT_MISMATCH',
    `${directory} belongs to the pipeline '${found.pipelineName}', not to '${options.name}': ` +
      'give this pipeline a checkpoint directory of its own',
  );
}

/** MANIFEST is durable before anything else is written: a fresh directory has nothing but it. */
function refuseLostManifest(
  directory: string,
  { checkpoint, driverLog, receiverLogs }: Examination,
): void {
  const hasLogs = [driverLog, ...receiverLogs].some(({ scan }) => scan.segmentCount > 0);
  if (checkpoint === undefined && !hasLogs) return;
  throw new MillraceError(
    'CHECKPOINT_CORRUPT',
    `${directory} has logs or checkpoints and no MANIFEST, which names their log; nothing was ` +
      'changed: restore the file from a backup, or start with another directory',
    { details: { path: join(directory, 'MANIFEST') } },
  );
}

function nextManifest(previous: Manifest | undefined, pipelineName: string): Manifest {
  return {
    logId: previous?.logId ?? uniqueId(),
    pipelineName,
    epoch: (previous?.epoch ?? 0) + 1,
    ...(previous?.quarantined === undefined ? {} : { quarantined: previous.quarantined }),
  };
}

function report(
  events: EventBus,
  { state }: Examination,
  { adoptedCount, droppedCount, tornTails }: Awaited<ReturnType<typeof recoverDirectory>>,
): void {
  let blocks = 0;
  for (const queue of state.queues.values()) blocks += queue.length;
  const batches = [...state.batches.values()].filter(({ isDone }) => !isDone).length;
  const counts = { blocks, batches, adopted: adoptedCount, dropped: droppedCount };
  events.emit({ type: 'engine-recovered', ...counts, tornTails });
}
