/** The checkpoint directory, opened: R0 for a fresh one, recovery for one that has been used.
 *
 * Owns the lock, MANIFEST, the checkpoint store and the driver log; gives the engine what it needs
 * to go on. "Fresh" means: no MANIFEST. Layout: LOCK, MANIFEST, driver-log/, driver-log-mirror/,
 * receiver-log-<n>/, checkpoints/, state/; receiver logs that failed may go on in another directory
 * (log-places.ts).
 * @module */
import { join } from 'node:path';
import { CheckpointStore } from '../checkpoint/checkpoint-store.ts';
import { INCOMPLETE_NAME, lifeNamed, nextLife, readManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import type { Clock } from '../core/clock.ts';
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import { uniqueId } from '../core/random.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { Codec } from '../serde/codec.ts';
import type { Disk, WriteMode } from '../wal/disk.ts';
import { ownedDisk } from '../wal/owned-disk.ts';
import type { StatFileSystem } from '../wal/file-system.ts';
import type { Copy } from '../wal/mirrored-disk.ts';
import type { Shortage } from '../wal/shortage.ts';
import type { CheckpointContent } from './checkpoint-content.ts';
import type { DriverLog } from './driver-log.ts';
import { readDroppedBlocks } from './dropped-blocks.ts';
import { examineDirectory } from './examination.ts';
import { refuseForeignContent } from './foreign-content.ts';
import type { Examination } from './examination.ts';
import { makeGivenDirectory } from './given-directory.ts';
import type { DirectoryOption } from './given-directory.ts';
import { checkFileSystems } from './home-file-system.ts';
import type { FileSystemRules } from './home-file-system.ts';
import { HomeCopies } from './home-copies.ts';
import { lockHome } from './home-lock.ts';
import type { HomeLock } from './home-lock.ts';
import { LogPlaces } from './log-places.ts';
import { makeQuarantine, prepareQuarantine } from './quarantine-directory.ts';
import { recoverDirectory } from './recovery.ts';
import { makeStartRoom } from './start-room.ts';
import type { StatePointer } from './state-snapshots.ts';
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
  /** A second place for everything durable. */
  readonly mirror?: Copy;
  /** As far as they are known before the checkpoint is read. */
  readonly options: ResolvedOptions;
  /** Called before anything is written: refuses the checkpoint by throwing, or says what the run
   * goes by, now that the checkpoint's own options are known. */
  readonly accept: (checkpoint: CheckpointContent | undefined) => ResolvedOptions;
  /** Called next, still before anything is written: reads back keyed state. @returns the pointer,
   * with what was taken over. */
  readonly restore?: (
    pointer: StatePointer | undefined,
    from: { readonly disk: Disk; readonly options: ResolvedOptions },
  ) => Promise<StatePointer | undefined>;
  readonly onPoison: (error: Error) => void;
  /** The driver log has no room for its next segment; `undefined`: it has again. */
  readonly onShortage?: (shortage: Shortage | undefined) => void;
  /** What the kernel says of a directory's file system. @defaultValue the real one */
  readonly stat?: StatFileSystem;
  /** Names that nothing else has, 32 hexadecimal digits. @defaultValue random ones */
  readonly newId?: () => string;
}

/** What a start has found and made before the examination. */
interface Found {
  readonly store: CheckpointStore;
  readonly previous: Manifest | undefined;
  readonly copies: HomeCopies | undefined;
}

const MARKER_BYTES_MAX = 4096;

export interface Home {
  readonly directory: string;
  /** Where every change of the directory goes: to both places, if there are two. Refuses to change
   * anything once one of them belongs to another process. */
  readonly disk: Disk;
  /** The directory, and the second one, if there is one; each by itself. */
  readonly places: readonly Copy[];
  readonly options: ResolvedOptions;
  readonly manifest: Manifest;
  readonly lock: HomeLock;
  readonly store: CheckpointStore;
  readonly driverLog: DriverLog;
  readonly mode: WriteMode;
  /** Log segments grow by appending. */
  readonly isGrowing: boolean;
  readonly state: TrackerState;
  /** The keyed state that the run goes on with. */
  readonly stateSnapshot: StatePointer | undefined;
  readonly appliedLsn: Lsn;
  /** First LSN of the next opening of each receiver log that exists. */
  readonly nextLsn: ReadonlyMap<string, Lsn>;
  /** Last LSN that recovery found in each receiver log. */
  readonly lastLsn: ReadonlyMap<string, Lsn>;
  /** Receiver logs that recovery found, less those that were removed since. */
  readonly oldLogs: Set<string>;
  /** Keys of blocks that a repair has taken out of the logs. */
  readonly droppedBlocks: ReadonlySet<string>;
  /** Names and places of receiver logs. */
  readonly logs: LogPlaces;
  /** Absolute; where receiver logs go on when they fail, if they are to. */
  readonly quarantineDir: string | undefined;
}

/** @throws {MillraceError} DIRECTORY_LOCKED, CHECKPOINT_MISMATCH, WAL_CORRUPT, CHECKPOINT_CORRUPT,
 *   FORMAT_UNKNOWN, DISK_FAILED, DISK_FULL. The lock is given back then. */
export async function openHome(input: HomeInput): Promise<Home> {
  const { mirror } = input;
  await makeHome(input, 'checkpointDir');
  if (mirror !== undefined) await makeHome(mirror, 'mirrorDir');
  // All that the call has wrong is told before anything is locked or written.
  await makeQuarantine(input, input.options);
  const lock = await lockHome(input.directory, mirror?.directory);
  try {
    return await openLockedHome(ownedPlaces(input, lock), lock);
  } catch (error) {
    // What went wrong first is what has to be told.
    await lock.release().catch(() => undefined);
    throw error;
  }
}

/** As `openHome`, of directories that exist and are locked; the lock stays the caller's. */
export async function openLockedHome(input: HomeInput, lock: HomeLock): Promise<Home> {
  const { disk, directory, mirror, events } = input;
  const place = { disk, directory };
  if (mirror === undefined) return openLocked(input, lock, { places: [place] });
  const copies = await HomeCopies.open([place, mirror], events);
  return openLocked({ ...input, disk: copies.disk }, lock, { places: [place, mirror], copies });
}

async function makeHome(place: Copy, option: DirectoryOption): Promise<void> {
  const { disk, directory } = place;
  await makeGivenDirectory(place, option, () => refuseForeignContent(disk, directory));
}

/** Each place refuses to be changed once it belongs to another process. */
function ownedPlaces(input: HomeInput, { file, mirrorFile }: HomeLock): HomeInput {
  const owned = { ...input, disk: ownedDisk(input.disk, file) };
  const { mirror } = input;
  if (mirror === undefined || mirrorFile === undefined) return owned;
  return { ...owned, mirror: { ...mirror, disk: ownedDisk(mirror.disk, mirrorFile) } };
}

async function openLocked(
  input: HomeInput,
  lock: HomeLock,
  { places, copies }: { readonly places: readonly Copy[]; readonly copies?: HomeCopies },
): Promise<Home> {
  const { disk, directory } = input;
  const directories = places.map((place) => place.directory);
  const { isGrowing } = await checkFileSystems(directories, rulesOf(input));
  const previous = await readManifest({ disk, directory });
  refuseOtherPipeline(copies?.believedDirectory ?? directory, input.options, previous);
  if (copies === undefined) await lookForCopies(input, previous);
  else refuseLogsElsewhere(directory, previous);
  const store = await CheckpointStore.open({
    disk,
    directory: join(directory, 'checkpoints'),
    keep: CHECKPOINTS_KEPT,
  });
  const examination = await examine(input, { store, previous, copies });
  if (previous === undefined) refuseLostManifest(directory, examination);
  const options = input.accept(examination.checkpoint);
  const stateSnapshot = await restoredState(input, examination, options);
  const droppedBlocks = await readDroppedBlocks(input);
  await makeStartRoom({ disk, directory, ...segmentsOf(options) }, examination);
  await copies?.makeEqual();
  // Read again: making the copies equal may have named the latest life.
  const latest = await readManifest({ disk, directory });
  const manifest = nextManifest(latest, input, copies === undefined ? 1 : 2);
  const isDirect = !isGrowing && (await disk.supportsDirect(directory));
  const mode = isDirect ? 'direct' : 'buffered';
  const recovered = await recoverDirectory(
    {
      ...input,
      manifest,
      isGrowing,
      ...segmentsOf(options),
      onDriverPoison: input.onPoison,
      onDriverShortage: input.onShortage ?? (() => {}),
    },
    examination,
  );
  await removeScratch(input);
  const quarantineDir = await makeQuarantine(input, options);
  if (quarantineDir !== undefined) {
    await prepareQuarantine(input, quarantineDir, { manifest, rules: rulesOf(input) });
  }
  const firstName = logNames(examination, manifest.epoch);
  if (previous !== undefined) report(input.events, examination, recovered);
  return {
    directory,
    disk,
    places,
    options,
    manifest,
    lock,
    store,
    mode,
    isGrowing,
    driverLog: recovered.driverLog,
    state: examination.state,
    stateSnapshot,
    appliedLsn: recovered.appliedLsn,
    nextLsn: recovered.nextLsn,
    lastLsn: new Map(examination.receiverLogs.map(({ name, scan }) => [name, scan.lastLsn])),
    oldLogs: new Set(examination.receiverLogs.map(({ name }) => name)),
    droppedBlocks,
    logs: new LogPlaces({ disk, directory, manifest, firstName }),
    quarantineDir,
  };
}

/** The second line behind the lock, for file systems whose locks do not exclude: looks whether
 * MANIFEST is still the one of this start.
 * @throws {MillraceError} DIRECTORY_LOCKED when another process has started here since, or somebody
 *   has put another directory in this one's place. */
export async function requireOwnManifest({ places, manifest }: Home): Promise<void> {
  for (const place of places) await requireManifest(place, manifest);
}

async function requireManifest({ disk, directory }: Copy, manifest: Manifest): Promise<void> {
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

function rulesOf({ options, events, stat }: HomeInput): FileSystemRules {
  const { allowNetworkFileSystem } = options;
  return { allowNetworkFileSystem, events, ...(stat === undefined ? {} : { stat }) };
}

/** The snapshot that the checkpoint points to, with what was taken over. */
async function restoredState(
  { disk, restore }: HomeInput,
  { checkpoint }: Examination,
  options: ResolvedOptions,
): Promise<StatePointer | undefined> {
  const pointer = checkpoint?.stateSnapshot;
  return restore === undefined ? pointer : restore(pointer, { disk, options });
}

function segmentsOf({ driverSegmentBytes, receiverSegmentBytes }: ResolvedOptions) {
  return { driverSegmentBytes, receiverSegmentBytes };
}

async function examine(input: HomeInput, { store, previous, copies }: Found): Promise<Examination> {
  const { disk, directory, codec, events } = input;
  const sourceIdsMax = input.options.idempotencyKeysMax;
  const manifest = previous === undefined ? {} : { manifest: previous };
  try {
    const place = { disk, directory, ...manifest, store };
    return await examineDirectory({ ...place, codec, events, sourceIdsMax });
  } catch (error) {
    throw copies === undefined ? error : copies.explain(error);
  }
}

/** Blocks elsewhere are in one place only. */
function refuseLogsElsewhere(directory: string, previous: Manifest | undefined): void {
  const [first] = previous?.quarantined ?? [];
  if (first === undefined) return;
  throw new MillraceError(
    'CHECKPOINT_MISMATCH',
    `${directory} still needs a log elsewhere, ${first.directory}, of which there is no second ` +
      'copy; nothing was changed: start without mirrorDir until its batches are done',
    { details: { directory: first.directory } },
  );
}

/** A copy that is used alone: whether it is whole, and that the other one falls behind. */
async function lookForCopies(
  { disk, directory, events }: HomeInput,
  previous: Manifest | undefined,
): Promise<void> {
  if (previous?.copies === 2) {
    const rest = 'which is not written from now on, and is made again when it is given next';
    events.emit({ type: 'warning', message: `${directory} had a second copy, ${rest}` });
  }
  if (previous !== undefined) return;
  const path = join(directory, INCOMPLETE_NAME);
  if ((await disk.readWhole(path, MARKER_BYTES_MAX)) === undefined) return;
  throw new MillraceError(
    'CHECKPOINT_CORRUPT',
    `${directory} was being made from another copy and is not complete; nothing was changed: ` +
      'start with the other copy, or with both',
    { details: { path } },
  );
}

/** What a killed run spilled, or had begun to remove, is of no use to this one. Nor is the marker
 * of a copy that was made and killed before it could remove it: MANIFEST is there. */
async function removeScratch({ disk, directory }: HomeInput): Promise<void> {
  await disk.unlink(join(directory, INCOMPLETE_NAME));
  for (const name of (await disk.list(directory)) ?? []) {
    if (name.startsWith(SPILL_PREFIX) || name.startsWith(REMOVED_PREFIX))
      await disk.removeTree(join(directory, name));
  }
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

/** @param directory where `found` was read. */
/** @throws {MillraceError} CHECKPOINT_MISMATCH. */
export function refuseOtherPipeline(
  directory: string,
  options: ResolvedOptions,
  found: Manifest | undefined,
): void {
  if (found === undefined || found.pipelineName === options.name) return;
  throw new MillraceError(
    'CHECKPOINT_MISMATCH',
    `${directory} belongs to the pipeline '${found.pipelineName}', not to '${options.name}': ` +
      'give this pipeline directories of its own',
  );
}

/** MANIFEST is durable before anything else is written: a fresh directory has nothing but it. */
export function refuseLostManifest(
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

function nextManifest(
  previous: Manifest | undefined,
  { options, newId = uniqueId }: HomeInput,
  copies: 1 | 2,
): Manifest {
  const before = previous ?? { logId: newId(), pipelineName: options.name, epoch: 0 };
  return nextLife(before, { life: lifeNamed(newId()), copies });
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
