/** A checkpoint directory in two places, from their lock to the moment when they are equal.
 *
 *     openCopies: which copy is believed ─► a disk that reads there ─► examination, verdicts
 *     makeEqual:  the other copy becomes equal, synced ─► recovery goes on, writing to both
 *
 * Nothing is written before all verdicts are known. A peer (a copy in the same life) is made equal
 * file by file and stays one from which everything acknowledged comes back, at every moment. Any
 * other copy is worthless until it is whole: a marker says so first, then MANIFEST goes, and comes
 * back last. Killed anywhere and run again, it comes to the same. docs/decisions/0009-two-copies.md
 * @module */
import { join } from 'node:path';
import { INCOMPLETE_NAME, newLife, readManifest, writeManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { replaceFile } from '../checkpoint/replace-file.ts';
import { present } from '../core/assert.ts';
import { formatBytes } from '../core/bytes.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import type { EventBus } from '../core/events.ts';
import { restoreDirectory } from '../wal/copy-restore.ts';
import { MirroredDisk } from '../wal/mirrored-disk.ts';
import type { Copies, CopyIndex } from '../wal/mirrored-disk.ts';
import { chooseCopy, readCopies } from './copy-choice.ts';
import type { CopyChoice } from './copy-choice.ts';
import { isLogName } from './examination.ts';
import { CHECKPOINTS, chooseEntries, otherOf } from './log-copies.ts';
import type { EntryChoice } from './log-copies.ts';
import { STATE_DIRECTORY } from './state-snapshots.ts';

/** Scratch of a run that is over: of no use in either place. */
const SCRATCH = /^(spill|removed)-/;
/** Copying is told each time so many bytes are done. */
const PROGRESS_BYTES = 256 * 1024 * 1024;
const MARKER_TEXT =
  'This directory is being made from another copy and is not complete. Start millrace with both, ' +
  'or remove this directory.\n';

export class HomeCopies {
  /** Reads from the copy that is believed, entry by entry; writes to both. */
  readonly disk: MirroredDisk;
  readonly #copies: Copies;
  readonly #choice: CopyChoice;
  readonly #entries: readonly EntryChoice[];
  readonly #events: EventBus;
  #copiedBytes = 0;
  #toldBytes = 0;

  private constructor(
    copies: Copies,
    events: EventBus,
    chosen: { readonly choice: CopyChoice; readonly entries: readonly EntryChoice[] },
  ) {
    this.#copies = copies;
    this.#events = events;
    this.#choice = chosen.choice;
    this.#entries = chosen.entries;
    this.disk = new MirroredDisk(copies);
    const { choice } = chosen;
    if (choice.kind === 'peers') this.disk.readFrom(choice.preferred);
    if (choice.kind === 'restore') this.disk.readFrom(choice.from);
    for (const { entry, side } of chosen.entries) this.disk.readFrom(side, entry);
  }

  /** @param copies both locked. @throws {MillraceError} CHECKPOINT_MISMATCH, CHECKPOINT_CORRUPT,
   *   FORMAT_UNKNOWN, DISK_FAILED. Nothing was changed then. */
  static async open(copies: Copies, events: EventBus): Promise<HomeCopies> {
    const choice = chooseCopy(await readCopies(copies));
    const entries = choice.kind === 'peers' ? await chooseEntries(copies, choice.preferred) : [];
    return new HomeCopies(copies, events, { choice, entries });
  }

  /** Where MANIFEST is read. */
  get believedDirectory(): string {
    const choice = this.#choice;
    return this.#directory(choice.kind === 'restore' ? choice.from : 0);
  }

  /** An error of the examination, with what the other copy has to say to it. */
  explain(error: unknown): unknown {
    const isDamage = error instanceof MillraceError && error.exitCode === 2;
    if (!isDamage || this.#choice.kind === 'fresh') return error;
    const notes = this.#entries.flatMap((entry) => entry.notes);
    const rest =
      this.#choice.kind === 'restore'
        ? [`the other copy, ${this.#directory(otherOf(this.#choice.from))}: ${this.#choice.reason}`]
        : notes;
    const lines = rest.map((line) => `\n  ${line}`).join('');
    return new MillraceError(
      error.code,
      `no copy of ${this.#directory(0)} and ${this.#directory(1)} is whole. ${error.message}\n` +
        `What the two copies say:${lines}`,
      { cause: error, details: error.details },
    );
  }

  /** Both copies are equal, and durable, when it resolves. Call it when all verdicts are known and
   * before anything else is written. @throws {MillraceError} DISK_FULL, DISK_FAILED. */
  async makeEqual(): Promise<void> {
    switch (this.#choice.kind) {
      case 'fresh':
        return;
      case 'peers':
        return this.#makePeersEqual();
      case 'restore':
        return this.#makeAgain(this.#choice.from, this.#choice.reason);
      default:
        return this.#choice satisfies never;
    }
  }

  async #makePeersEqual(): Promise<void> {
    const changed: [number, number] = [0, 0];
    for (const { entry, side } of this.#entries) {
      const count = await this.#restore(entry, side, false);
      if (count > 0) reached('mirror.equal');
      changed[otherOf(side)] += count;
    }
    await this.#removeScratch();
    for (const [side, count] of changed.entries()) {
      if (count > 0) this.#tellRestored(this.#directory(side as CopyIndex), count);
    }
  }

  async #makeAgain(from: CopyIndex, reason: string): Promise<void> {
    const target = this.#copies[otherOf(from)];
    const { disk, directory } = target;
    this.#events.emit({ type: 'copy-restoring', directory, reason, copiedBytes: 0 });
    await replaceFile({ ...target, name: INCOMPLETE_NAME }, [Buffer.from(MARKER_TEXT)]);
    await disk.unlink(join(directory, 'MANIFEST'));
    await disk.syncDirectory(directory);
    reached('mirror.restore');
    let changed = 0;
    for (const entry of await this.#allEntries()) {
      changed += await this.#restore(entry, from, true);
      reached('mirror.restore');
    }
    await this.#removeScratch();
    await writeManifest(target, await this.#comparableManifest(from));
    await disk.unlink(join(directory, INCOMPLETE_NAME));
    await disk.syncDirectory(directory);
    this.#tellRestored(directory, changed);
  }

  /** The manifest of `from`. One of a version that kept no lives gets one first: the copy that has
   * the same manifest could not be told from others if this start ends before the next one. */
  async #comparableManifest(from: CopyIndex): Promise<Manifest> {
    const read = await readManifest(this.#copies[from]);
    const manifest = present(read, 'the copy to restore from has no MANIFEST');
    if (manifest.lives?.length !== 0) return manifest;
    const named = { ...manifest, lives: [newLife()] };
    await writeManifest(this.#copies[from], named);
    return named;
  }

  async #removeScratch(): Promise<void> {
    for (const { disk, directory } of this.#copies) {
      for (const name of (await disk.list(directory)) ?? []) {
        if (SCRATCH.test(name)) await disk.removeTree(join(directory, name));
      }
    }
  }

  /** What both sides have, of what belongs to a checkpoint directory. */
  async #allEntries(): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const { disk, directory } of this.#copies) {
      for (const name of (await disk.list(directory)) ?? []) names.add(name);
    }
    return [...names]
      .filter((name) => isLogName(name) || name === CHECKPOINTS || name === STATE_DIRECTORY)
      .toSorted();
  }

  #restore(entry: string, from: CopyIndex, isForced: boolean): Promise<number> {
    const to = this.#copies[otherOf(from)];
    const onCopied = (bytes: number): void => this.#noteCopied(bytes, to.directory);
    return restoreDirectory({ from: this.#copies[from], to, isForced, onCopied }, entry);
  }

  #noteCopied(bytes: number, directory: string): void {
    this.#copiedBytes += bytes;
    if (this.#copiedBytes < this.#toldBytes + PROGRESS_BYTES) return;
    this.#toldBytes = this.#copiedBytes;
    const reason = `${formatBytes(this.#copiedBytes)} are copied`;
    this.#events.emit({
      type: 'copy-restoring',
      directory,
      reason,
      copiedBytes: this.#copiedBytes,
    });
  }

  #tellRestored(directory: string, fileCount: number): void {
    const copiedBytes = this.#copiedBytes;
    this.#events.emit({ type: 'copy-restored', directory, fileCount, copiedBytes });
  }

  #directory(side: CopyIndex): string {
    return this.#copies[side].directory;
  }
}
