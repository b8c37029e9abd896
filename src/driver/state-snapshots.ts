/** Snapshots of keyed state in `<checkpointDir>/state/`, written in the background while batches
 * go on.
 *
 *      a batch is done ─► image of the state ─► <name>.tmp, frame by frame ─► fsync ─► rename
 *      ─► fsync of the directory ─► `newest` ─► pointed to by the next checkpoint
 *
 * A crash runs the batches since the snapshot again, for their state only; so cleaning waits for
 * snapshots (R8), and a snapshot is removed when no kept checkpoint points to it. One is taken each
 * SNAPSHOT_BATCHES batches, or later when little has changed since, so that writing costs at most a
 * few times what batches change; or as often as the operators say (`checkpoint` of a stream), at
 * multiples of their intervals since 1970. A full disk is no failure: the older snapshot stands.
 * @module */
import { join } from 'node:path';
import { TEMPORARY_SUFFIX } from '../checkpoint/replace-file.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { Codec } from '../serde/codec.ts';
import { readSnapshot, writeSnapshot } from '../state/snapshot-file.ts';
import type { FrozenState, SnapshotHead, TakeEntries } from '../state/snapshot-file.ts';
import type { Disk } from '../wal/disk.ts';
import type { Copy } from '../wal/mirrored-disk.ts';
import { lostBytesErrno } from '../wal/read-fault.ts';
import type { KeyedState } from './keyed-state.ts';

/** Batches between two snapshots, at least. */
export const SNAPSHOT_BATCHES: number = 10;
/** Batches between two snapshots, at most: more would have to run again after a crash. */
const SNAPSHOT_BATCHES_MAX = 60;
/** Before that a snapshot is due when so much of the state has changed. */
const CHANGED_SHARE = 1 / 4;

/** What a checkpoint says of the snapshot that it goes with. */
export interface StatePointer {
  /** File name in `state/`. */
  readonly name: string;
  /** The batch after which the state was so; all up to it are done in the checkpoint. The file may
   * be older, when nothing has changed since. */
  readonly batchTimeMs: BatchTimeMs;
  /** Of the file. */
  readonly lengthBytes: number;
  /** Those whose state is taken over: the file may have more. Without a version it is 1. */
  readonly operators: readonly (readonly [id: string, keyCount: number, version?: number])[];
}

export const STATE_DIRECTORY: string = 'state';
const NAME = /^state-(\d{1,16})\.snapshot$/;

export interface StateSnapshotsOptions {
  readonly state: KeyedState;
  readonly disk: Disk;
  /** Of the checkpoint directory. */
  readonly directory: string;
  readonly logId: string;
  readonly codec: Codec;
  readonly events: EventBus;
  /** The snapshot that the state was restored from. */
  readonly restored: StatePointer | undefined;
  /** There is a newer one to point to. */
  readonly onWritten: () => void;
  /** A snapshot could not be written, for another reason than a full disk. */
  readonly onFailed: (error: Error) => void;
}

export class StateSnapshots {
  readonly #options: StateSnapshotsOptions;
  readonly #directory: string;
  #newest: StatePointer | undefined;
  #doneMs: BatchTimeMs | undefined;
  #batches = 0;
  /** Up to this batch no interval of an operator has ended. */
  #askedMs: number;
  #writing: Promise<void> | undefined;
  #state: 'open' | 'closed' = 'open';
  #isTidy = false;
  /** Nothing is older than this one. */
  #oldestName: string | undefined;
  /** The last image is not durable. */
  #isBehind = false;

  constructor(options: StateSnapshotsOptions) {
    this.#options = options;
    this.#directory = join(options.directory, STATE_DIRECTORY);
    this.#newest = options.restored;
    this.#askedMs = options.restored?.batchTimeMs ?? Infinity;
  }

  /** The durable one that a checkpoint may point to. */
  get newest(): StatePointer | undefined {
    return this.#newest;
  }

  /** Batches up to this one do not run again for the state; 0: all do. */
  get throughMs(): number {
    return this.#newest?.batchTimeMs ?? 0;
  }

  /** A batch is done, and nothing of a later one is in the state. */
  completed(batchTimeMs: BatchTimeMs): void {
    this.#doneMs = batchTimeMs;
    this.#batches += 1;
    if (this.#askedMs === Infinity) this.#askedMs = batchTimeMs - 1;
    if (this.#isUnchanged()) {
      this.#askedMs = batchTimeMs;
      return;
    }
    if (this.#state === 'open' && this.#writing === undefined && this.#isDue()) {
      this.#writing = this.#begin().then(
        () => this.#options.onWritten(),
        (error: unknown) => this.#failed(toError(error)),
      );
    }
  }

  /** Writes a snapshot of the state as it is; no batch may be running. */
  async force(): Promise<void> {
    await this.#writing;
    if (this.#state === 'closed' || this.#doneMs === this.#newest?.batchTimeMs) return;
    if (this.#doneMs === undefined) return;
    const written = this.#begin();
    // A stop that has become late closes this while it writes.
    this.#writing = written.catch(() => undefined);
    await written;
  }

  /** Removes snapshots that no kept checkpoint points to.
   * @param oldest that one does; `undefined`: none does. */
  async forget(oldest: StatePointer | undefined): Promise<void> {
    const oldestMs = timeOf(oldest?.name ?? '');
    if (oldestMs === undefined || oldest?.name === this.#oldestName) return;
    this.#oldestName = oldest?.name;
    const { disk } = this.#options;
    let removed = 0;
    for (const name of (await disk.list(this.#directory)) ?? []) {
      const timeMs = timeOf(name);
      if (timeMs === undefined || timeMs >= oldestMs) continue;
      await disk.unlink(join(this.#directory, name));
      removed += 1;
    }
    if (removed > 0) await disk.syncDirectory(this.#directory);
  }

  /** Gives up a snapshot that is being written; begins none any more. */
  async close(): Promise<void> {
    this.#state = 'closed';
    await this.#writing;
  }

  /** Batches that change nothing need no other file. */
  #isUnchanged(): boolean {
    const [newest, doneMs] = [this.#newest, this.#doneMs];
    if (newest === undefined || doneMs === undefined || this.#isBehind) return false;
    if (this.#options.state.changedBytes > 0) return false;
    this.#newest = { ...newest, batchTimeMs: doneMs };
    return true;
  }

  #isDue(): boolean {
    const intervalsMs = this.#options.state.snapshotIntervalsMs;
    if (intervalsMs.some((each) => this.#hasEnded(each))) return true;
    return intervalsMs.includes(undefined) && this.#isWorthIt();
  }

  /** Whether a multiple of the interval lies between the last image and now. */
  #hasEnded(intervalMs: number | undefined): boolean {
    if (intervalMs === undefined || this.#doneMs === undefined) return false;
    return Math.floor(this.#doneMs / intervalMs) > Math.floor(this.#askedMs / intervalMs);
  }

  #isWorthIt(): boolean {
    if (this.#batches < SNAPSHOT_BATCHES) return false;
    const { changedBytes, liveBytes } = this.#options.state;
    if (this.#isBehind) return true;
    return this.#batches >= SNAPSHOT_BATCHES_MAX || changedBytes >= liveBytes * CHANGED_SHARE;
  }

  #failed(error: Error): void {
    if (this.#state === 'closed') return; // given up, or told before
    if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') {
      this.#state = 'closed';
      return this.#options.onFailed(error);
    }
    const message = `no snapshot of the state (${error.message}): tried again after more batches`;
    this.#options.events.emit({ type: 'warning', message });
  }

  /** The image is of this moment; everything else follows while batches go on. */
  #begin(): Promise<void> {
    const { state, logId } = this.#options;
    this.#batches = 0;
    this.#askedMs = this.#doneMs as BatchTimeMs;
    this.#isBehind = true;
    const frozen = state.freeze(this.#doneMs as BatchTimeMs, logId);
    return this.#write(frozen).finally(() => {
      frozen.close();
      this.#writing = undefined;
    });
  }

  async #write(frozen: FrozenState): Promise<void> {
    const { disk, codec, events } = this.#options;
    const { batchTimeMs, operators } = frozen.head;
    const name = nameOf(batchTimeMs);
    const path = join(this.#directory, name);
    await this.#tidy();
    const temporaryPath = path + TEMPORARY_SUFFIX;
    let lengthBytes: number;
    try {
      const file = await disk.create(temporaryPath, 'buffered');
      try {
        const isGivenUp = (): boolean => this.#state === 'closed';
        lengthBytes = await writeSnapshot(file, frozen, { codec, isGivenUp });
      } finally {
        await file.close();
      }
      reached('state.before');
      await disk.rename(temporaryPath, path);
    } catch (error) {
      // Best effort, for the room it takes: the next one removes it too.
      await disk.unlink(temporaryPath).catch(() => undefined);
      throw error;
    }
    await disk.syncDirectory(this.#directory);
    reached('state.after');
    this.#isBehind = false;
    this.#newest = {
      name,
      batchTimeMs: batchTimeMs as BatchTimeMs,
      lengthBytes,
      operators: operators.map(({ id, keyCount, version }) => [id, keyCount, version]),
    };
    const keyCount = operators.reduce((sum, each) => sum + each.keyCount, 0);
    events.emit({ type: 'state-snapshot-written', batchTimeMs, keyCount, bytes: lengthBytes });
  }

  /** What unfinished writes have left is removed. */
  async #tidy(): Promise<void> {
    const { disk } = this.#options;
    await disk.makeDirectory(this.#directory);
    if (!this.#isTidy) {
      for (const name of (await disk.list(this.#directory)) ?? []) {
        if (name.endsWith(TEMPORARY_SUFFIX)) await disk.unlink(join(this.#directory, name));
      }
    }
    this.#isTidy = true;
  }
}

/** Where a checkpoint directory is, and how its values are packed. */
type Place = Pick<StateSnapshotsOptions, 'disk' | 'directory' | 'codec'>;

/** Takes over the state that a checkpoint points to. Reads only.
 * @throws {MillraceError} CHECKPOINT_CORRUPT when it is damaged, missing or not the one that is
 *   meant; FORMAT_UNKNOWN. */
export async function restoreState(
  state: KeyedState,
  pointer: StatePointer,
  place: Place,
): Promise<void> {
  const { batchTimeMs } = pointer;
  const ids = new Set(pointer.operators.map(([id]) => id));
  await readPointed(pointer, place, (head) => state.restore({ ...head, batchTimeMs }, ids));
}

/** Reads all of the snapshot that a checkpoint points to. @throws as `restoreState`. */
export async function checkState(pointer: StatePointer, place: Place): Promise<void> {
  await readPointed(pointer, place, () => () => {});
}

async function readPointed(
  pointer: StatePointer,
  { disk, directory, codec }: Place,
  begin: (head: SnapshotHead) => TakeEntries,
): Promise<void> {
  const path = join(directory, STATE_DIRECTORY, pointer.name);
  const names = (await disk.list(join(directory, STATE_DIRECTORY))) ?? [];
  if (!names.includes(pointer.name)) throw unusable(path, 'is missing');
  await readSnapshot({ disk, path, codec }, (head) => {
    if (head.batchTimeMs === timeOf(pointer.name)) return begin(head);
    throw unusable(path, `is of batch ${head.batchTimeMs} and not of the one in its name`);
  });
}

/** Batch times of the snapshots in a checkpoint directory that are whole, newest first. Reads all
 * of each. @throws {MillraceError} FORMAT_UNKNOWN, DISK_FAILED. */
export async function soundSnapshots(
  { disk, directory }: Copy,
  codec: Codec,
): Promise<readonly number[]> {
  const sound: number[] = [];
  for (const name of (await disk.list(join(directory, STATE_DIRECTORY))) ?? []) {
    const timeMs = timeOf(name);
    const path = join(directory, STATE_DIRECTORY, name);
    if (timeMs !== undefined && (await isSound({ disk, path, codec }))) sound.push(timeMs);
  }
  return sound.toSorted((a, b) => b - a);
}

async function isSound(where: Parameters<typeof readSnapshot>[0]): Promise<boolean> {
  try {
    await readSnapshot(where, () => () => {});
    return true;
  } catch (error) {
    const isDamage = error instanceof MillraceError && error.code === 'CHECKPOINT_CORRUPT';
    if (isDamage || lostBytesErrno(error) !== undefined) return false;
    throw error;
  }
}

function unusable(path: string, what: string): MillraceError {
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `the state snapshot ${path}, which the newest checkpoint needs, ${what}; nothing was ` +
      'changed: restore it from a backup',
    { details: { path } },
  );
}

/** File name of the snapshot after a batch. */
function nameOf(batchTimeMs: number): string {
  return `state-${String(batchTimeMs).padStart(16, '0')}.snapshot`;
}

function timeOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
