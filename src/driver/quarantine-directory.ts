/** The directory where receiver logs go on when theirs fail: looked at when a run starts.
 *
 * Whoever would need it when a disk has failed has to know now that it works.
 * @module */
import { join, resolve } from 'node:path';
import type { Manifest } from '../checkpoint/manifest.ts';
import { MillraceError } from '../core/errors.ts';
import type { ResolvedOptions } from '../core/options.ts';
import type { Copy } from '../wal/mirrored-disk.ts';
import { makeGivenDirectory } from './given-directory.ts';
import { checkFileSystems, warnOfOneDevice } from './home-file-system.ts';
import type { FileSystemRules } from './home-file-system.ts';

/** Makes the directory, if there is to be one. @returns its absolute path.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FAILED. */
export async function makeQuarantine(
  { disk, directory }: Copy,
  { onWalFailure, quarantineDir }: ResolvedOptions,
): Promise<string | undefined> {
  if (onWalFailure !== 'quarantine' || quarantineDir === undefined) return undefined;
  const path = resolve(quarantineDir);
  const [one, other] = [`${directory}/`, path === '/' ? path : `${path}/`];
  if (one.startsWith(other) || other.startsWith(one)) {
    throw new MillraceError(
      'OPTIONS_INVALID',
      `quarantineDir (${path}) and checkpointDir (${directory}) must lie side by side, each on a ` +
        'disk of its own: give quarantineDir another directory',
    );
  }
  await makeGivenDirectory({ disk, directory: path }, 'quarantineDir', () => disk.list(path));
  return path;
}

/** Tries the place of this home in it. What an interrupted removal left there goes.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FAILED. */
export async function prepareQuarantine(
  { disk, directory }: Copy,
  path: string,
  work: { readonly manifest: Manifest; readonly rules: FileSystemRules },
): Promise<void> {
  const { manifest, rules } = work;
  const own = join(path, manifest.logId);
  await disk.makeDirectory(own);
  await checkFileSystems([own], rules);
  await warnOfOneDevice([directory, path], 'takes the log that is to go on with it', rules);
  const kept = new Set(manifest.quarantined?.map((place) => place.directory));
  for (const name of (await disk.list(own)) ?? []) {
    if (!kept.has(join(own, name))) await disk.removeTree(join(own, name));
  }
}
