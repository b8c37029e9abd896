/** Which log each receiver executor writes, and where each log of the checkpoint directory lies.
 *
 *     <checkpoint directory>/receiver-log-0                      as long as it does not fail
 *     <quarantineDir>/<log id>/receiver-log-0.<epoch>q           after it has failed in that epoch
 *
 * A log elsewhere is named by MANIFEST, durably, before its first segment is made: nothing can be
 * acknowledged from a log that the next start would not find. It is read until its blocks are done;
 * then its name leaves MANIFEST before its files go. The next start writes in the checkpoint
 * directory again. One writer: the driver thread.
 * @module */
import { join } from 'node:path';
import { writeManifest } from '../checkpoint/manifest.ts';
import type { Manifest } from '../checkpoint/manifest.ts';
import { reached } from '../core/crash-point.ts';
import type { Disk } from '../wal/disk.ts';

export interface LogPlacesOptions {
  readonly disk: Disk;
  /** The checkpoint directory. */
  readonly directory: string;
  readonly manifest: Manifest;
  /** Name of the log that an executor of this run begins with. */
  readonly firstName: (executorIndex: number) => string;
}

export class LogPlaces {
  readonly #options: LogPlacesOptions;
  readonly #moved = new Map<number, string>();
  readonly #failed = new Set<string>();
  #manifest: Manifest;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(options: LogPlacesOptions) {
    this.#options = options;
    this.#manifest = options.manifest;
  }

  /** The log that an executor writes now. */
  nameOf(executorIndex: number): string {
    return this.#moved.get(executorIndex) ?? this.#options.firstName(executorIndex);
  }

  directoryOf(name: string): string {
    return logDirectory(this.#options.directory, this.#manifest, name);
  }

  isElsewhere(name: string): boolean {
    return this.#manifest.quarantined?.some(({ log }) => log === name) ?? false;
  }

  /** Its disk is not to be relied on. */
  hasFailed(name: string): boolean {
    return this.#failed.has(name);
  }

  hasMoved(executorIndex: number): boolean {
    return this.#moved.has(executorIndex);
  }

  /** Gives an executor a fresh log below `quarantineDir`. When it resolves, MANIFEST names it.
   * @returns the directory of the new log. */
  async move(executorIndex: number, quarantineDir: string): Promise<string> {
    const { disk } = this.#options;
    const { logId, epoch } = this.#manifest;
    const log = `receiver-log-${executorIndex}.${epoch}q`;
    const directory = join(quarantineDir, logId, log);
    await disk.makeDirectory(directory);
    reached('quarantine.before');
    await this.#rewrite((places) => [...places, { log, directory }]);
    reached('quarantine.after');
    this.#failed.add(this.nameOf(executorIndex));
    this.#moved.set(executorIndex, log);
    return directory;
  }

  /** Removes a log elsewhere that nothing needs any more. */
  async remove(name: string): Promise<void> {
    const directory = this.directoryOf(name);
    await this.#rewrite((places) => places.filter(({ log }) => log !== name));
    await this.#options.disk.removeTree(directory);
  }

  /** One after the other: each begins with what the one before has written. */
  #rewrite(change: (places: NonNullable<Manifest['quarantined']>) => typeof places): Promise<void> {
    const { disk, directory } = this.#options;
    const written = this.#writing.then(async () => {
      const { quarantined: before = [], ...rest } = this.#manifest;
      const quarantined = change(before);
      const next = quarantined.length === 0 ? rest : { ...rest, quarantined };
      await writeManifest({ disk, directory }, next);
      this.#manifest = next;
    });
    this.#writing = written.catch(() => undefined); // the caller of that change has the error
    return written;
  }
}

/** Where a log lies. */
function logDirectory(
  home: string,
  manifest: Pick<Manifest, 'quarantined'> | undefined,
  name: string,
): string {
  const elsewhere = manifest?.quarantined?.find(({ log }) => log === name);
  return elsewhere?.directory ?? join(home, name);
}
