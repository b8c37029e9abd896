/** The checkpoints of one directory: writes numbered files, keeps the newest few, finds the newest
 * sound one. The payload is bytes to it.
 *
 * One owner, one write at a time. Numbers rise and are never used again, also not that of a file
 * which turned out to be damaged. A file is removed only when `keep` sound newer ones are durable.
 * Spec: docs/checkpoint-format.md. @module */
import { join } from 'node:path';
import { assert } from '../core/assert.ts';
import { MillraceError, toError } from '../core/errors.ts';
import type { Disk } from '../wal/disk.ts';
import {
  CHECKPOINT_HEADER_BYTES,
  CHECKPOINT_PAYLOAD_BYTES_MAX,
  decodeCheckpoint,
  encodeCheckpointHeader,
} from './checkpoint-file.ts';
import type { CheckpointContent } from './checkpoint-file.ts';
import { replaceFile, TEMPORARY_SUFFIX } from './replace-file.ts';

const NAME = /^checkpoint-([0-9a-f]{16})\.ckpt$/;
const KEEP_MAX = 100;

export interface CheckpointStoreOptions {
  readonly disk: Disk;
  /** Made by the first write when it is missing. */
  readonly directory: string;
  /** How many sound checkpoints stay, 1 … 100. @defaultValue 2 */
  readonly keep?: number;
}

/** A checkpoint that was passed over. */
export interface SkippedCheckpoint {
  readonly path: string;
  readonly reason: string;
}

export interface LoadedCheckpoint {
  readonly seq: number;
  readonly payload: Uint8Array;
  /** Newer ones that are damaged, newest first. */
  readonly skipped: readonly SkippedCheckpoint[];
}

export class CheckpointStore {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #keep: number;
  /** Of the files in the directory, ascending. */
  #seqs: readonly number[];
  /** Highest number ever used here. */
  #lastSeq: number;
  readonly #damagedSeqs = new Set<number>();
  #isWriting = false;
  /** The directory is there, and what unfinished writes left in it is gone. */
  #isTidy = false;
  /** The first failed write; what the directory holds is open since then. */
  #failure: MillraceError | undefined;

  private constructor(options: Required<CheckpointStoreOptions>, seqs: readonly number[]) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#keep = options.keep;
    this.#seqs = seqs;
    this.#lastSeq = seqs.at(-1) ?? 0;
  }

  /** Looks which checkpoints there are. Changes nothing: that is left to the first write, because
   * a start that is refused must leave the directory as it is. */
  static async open(options: CheckpointStoreOptions): Promise<CheckpointStore> {
    const { disk, directory, keep = 2 } = options;
    assert(Number.isInteger(keep) && keep >= 1 && keep <= KEEP_MAX, `keep ${keep} checkpoints`);
    const names = (await disk.list(directory)) ?? [];
    return new CheckpointStore({ disk, directory, keep }, seqsOf(names));
  }

  /** Numbers of the checkpoints in the directory, ascending, damaged ones included. Whatever these
   * refer to must be kept. */
  list(): readonly number[] {
    return this.#seqs;
  }

  /** Writes the next checkpoint, then removes those that are no longer kept. Content and name are
   * durable when it resolves. @param payload up to 512 MiB; leave it alone until resolved.
   * @throws {MillraceError} DISK_FULL: nothing changed, try again. DISK_FAILED: this store takes no
   *   more writes (what failed is never tried again), what was kept stays. */
  async write(payload: Uint8Array): Promise<{ seq: number; path: string }> {
    assert(!this.#isWriting, 'two checkpoints are being written at the same time');
    if (this.#failure !== undefined) throw this.#failure;
    this.#isWriting = true;
    try {
      if (!this.#isTidy) await this.#tidy();
      return await this.#writeNext(payload);
    } catch (error) {
      if (error instanceof MillraceError && error.code !== 'DISK_FULL') this.#failure = error;
      throw error;
    } finally {
      this.#isWriting = false;
    }
  }

  /** The newest sound checkpoint; `undefined` when there is no checkpoint at all.
   * @throws {MillraceError} CHECKPOINT_CORRUPT: there are some, and none is sound.
   *   FORMAT_UNKNOWN: the newest sound one was written by a newer millrace. */
  async loadNewest(): Promise<LoadedCheckpoint | undefined> {
    const skipped: SkippedCheckpoint[] = [];
    for (const seq of this.#seqs.toReversed()) {
      const content = await this.#read(seq);
      if (content.kind === 'valid') return { seq, payload: content.payload, skipped };
      this.#damagedSeqs.add(seq);
      skipped.push({ path: this.#pathOf(seq), reason: content.reason });
    }
    if (skipped.length === 0) return undefined;
    throw noneSound(this.#directory, skipped);
  }

  /** One checkpoint. @throws {MillraceError} CHECKPOINT_CORRUPT, FORMAT_UNKNOWN. */
  async load(seq: number): Promise<Uint8Array> {
    const content = await this.#read(seq);
    if (content.kind === 'valid') return content.payload;
    this.#damagedSeqs.add(seq);
    throw noneSound(this.#directory, [{ path: this.#pathOf(seq), reason: content.reason }]);
  }

  async #tidy(): Promise<void> {
    await this.#disk.makeDirectory(this.#directory);
    for (const name of (await this.#disk.list(this.#directory)) ?? []) {
      const isLeftover = name.endsWith(TEMPORARY_SUFFIX) && seqOf(stemOf(name)) !== undefined;
      if (isLeftover) await this.#disk.unlink(join(this.#directory, name));
    }
    // A process that died right after a rename may have left a name that is not durable yet.
    await this.#disk.syncDirectory(this.#directory);
    this.#isTidy = true;
  }

  async #writeNext(payload: Uint8Array): Promise<{ seq: number; path: string }> {
    const seq = this.#lastSeq + 1;
    const target = { disk: this.#disk, directory: this.#directory, name: checkpointName(seq) };
    await replaceFile(target, [encodeCheckpointHeader(seq, payload), payload]);
    this.#lastSeq = seq;
    this.#seqs = [...this.#seqs, seq];
    await this.#removeOld();
    return { seq, path: this.#pathOf(seq) };
  }

  async #removeOld(): Promise<void> {
    const sound = this.#seqs.filter((seq) => !this.#damagedSeqs.has(seq));
    const oldestKept = sound.at(-this.#keep) ?? 0;
    const old = this.#seqs.filter((seq) => seq < oldestKept);
    if (old.length === 0) return;
    for (const seq of old) await this.#disk.unlink(this.#pathOf(seq));
    await this.#disk.syncDirectory(this.#directory);
    // Only now: what an unlinked checkpoint refers to is needed until its name is durably gone.
    this.#seqs = this.#seqs.filter((seq) => seq >= oldestKept);
  }

  #read(seq: number): Promise<CheckpointContent> {
    return readCheckpoint(this.#disk, this.#pathOf(seq), seq);
  }

  #pathOf(seq: number): string {
    return join(this.#directory, checkpointName(seq));
  }
}

/** Numbers of the sound checkpoints of a directory, newest first. Writes nothing, unlike a store
 * that is opened. @throws {MillraceError} FORMAT_UNKNOWN, DISK_FAILED. */
export async function soundCheckpoints(disk: Disk, directory: string): Promise<readonly number[]> {
  const names = (await disk.list(directory)) ?? [];
  const sound: number[] = [];
  for (const seq of seqsOf(names)) {
    const path = join(directory, checkpointName(seq));
    if ((await readCheckpoint(disk, path, seq)).kind === 'valid') sound.push(seq);
  }
  return sound.toSorted((a, b) => b - a);
}

async function readCheckpoint(disk: Disk, path: string, seq: number): Promise<CheckpointContent> {
  try {
    return await readCheckpointFile(disk, path, seq);
  } catch (error) {
    // A device that cannot read these sectors is damage of this file, not a reason to stop.
    const errno = error instanceof MillraceError ? error.details['errno'] : undefined;
    if (errno !== 'EIO') throw error;
    return { kind: 'damaged', reason: `cannot be read: ${toError(error).message}` };
  }
}

async function readCheckpointFile(
  disk: Disk,
  path: string,
  seq: number,
): Promise<CheckpointContent> {
  const file = await disk.openForReading(path);
  try {
    const sizeBytes = await file.sizeBytes();
    if (sizeBytes > CHECKPOINT_HEADER_BYTES + CHECKPOINT_PAYLOAD_BYTES_MAX) {
      return { kind: 'damaged', reason: `${sizeBytes} bytes, more than a checkpoint may have` };
    }
    const bytes = new Uint8Array(sizeBytes);
    const readBytes = await file.read(bytes, 0);
    return decodeCheckpoint(seq, bytes.subarray(0, readBytes));
  } finally {
    await file.close();
  }
}

/** File name of a checkpoint. */
export function checkpointName(seq: number): string {
  return `checkpoint-${seq.toString(16).padStart(16, '0')}.ckpt`;
}

/** True for the file of a checkpoint that was finished, by its name. */
export function isCheckpointName(name: string): boolean {
  return seqOf(name) !== undefined;
}

/** Of all checkpoints among `names`, ascending. */
function seqsOf(names: readonly string[]): readonly number[] {
  const seqs = names.map(seqOf).filter((seq) => seq !== undefined);
  return seqs.toSorted((a, b) => a - b);
}

function seqOf(name: string): number | undefined {
  const hex = NAME.exec(name)?.[1];
  if (hex === undefined) return undefined;
  const seq = Number.parseInt(hex, 16);
  return Number.isSafeInteger(seq) && seq > 0 ? seq : undefined;
}

function stemOf(temporaryName: string): string {
  return temporaryName.slice(0, -TEMPORARY_SUFFIX.length);
}

function noneSound(directory: string, skipped: readonly SkippedCheckpoint[]): MillraceError {
  const list = skipped.map(({ path, reason }) => `\n  ${path}: ${reason}`).join('');
  return new MillraceError(
    'CHECKPOINT_CORRUPT',
    `no sound checkpoint in ${directory}; nothing was changed. Restore one from a backup:${list}`,
    { details: { directory, damagedCount: skipped.length } },
  );
}
