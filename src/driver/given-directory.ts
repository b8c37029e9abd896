/** A directory that a run was given: made where it is missing, refused where it cannot be one.
 *
 * A path that is a file, or leads through one, is a mistake in the call and no failure of a disk;
 * it is found before anything is locked, read or written.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';
import type { Copy } from '../wal/mirrored-disk.ts';

export type DirectoryOption = 'checkpointDir' | 'mirrorDir' | 'quarantineDir';

const IN_WORDS: Readonly<Record<DirectoryOption, string>> = {
  checkpointDir: 'the checkpoint directory',
  mirrorDir: 'the directory of the second copy',
  quarantineDir: 'the directory where logs go on',
};

/** @returns what `look` makes of the directory, which exists by then.
 * @throws {MillraceError} OPTIONS_INVALID, DISK_FAILED; what `look` throws. */
export async function makeGivenDirectory<T>(
  { disk, directory }: Copy,
  option: DirectoryOption,
  look: () => Promise<T>,
): Promise<T> {
  try {
    await disk.makeDirectory(directory);
  } catch (cause) {
    if (isNoDirectory(cause)) throw noDirectory(directory, option);
    throw new MillraceError(
      'DISK_FAILED',
      `${IN_WORDS[option]} ${directory} cannot be made (${toError(cause).message}): make its ` +
        'parent writable, or choose another directory',
      { cause, details: { path: directory } },
    );
  }
  try {
    return await look();
  } catch (cause) {
    throw isNoDirectory(cause) ? noDirectory(directory, option) : cause;
  }
}

function isNoDirectory(error: unknown): boolean {
  return error instanceof MillraceError && error.details['errno'] === 'ENOTDIR';
}

function noDirectory(directory: string, option: DirectoryOption): MillraceError {
  return new MillraceError(
    'OPTIONS_INVALID',
    `${option} ${directory} cannot be a directory: there is a file of this name, or one on the ` +
      `way to it; give ${option} another path`,
    { details: { path: directory } },
  );
}
