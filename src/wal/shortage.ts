/** What a log says when the disk has no room for its next segment. Plain data: it travels between
 * threads. Pure.
 * @module */
import { formatBytes } from '../core/bytes.ts';
import { MillraceError } from '../core/errors.ts';

/** A log that is held: nothing is lost, and nothing more should be given to it. */
export interface Shortage {
  /** Of the log that needs room. */
  readonly directory: string;
  /** Length of the file that could not be made. */
  readonly wantedBytes: number;
  /** How much room was missing for it, at the last try. */
  readonly missingBytes: number;
}

/** The error of a file that found no room. */
export function noRoom(shortage: Shortage, cause?: unknown): MillraceError {
  const { directory, wantedBytes, missingBytes } = shortage;
  return new MillraceError(
    'DISK_FULL',
    `the disk of ${directory} is full: ${formatBytes(missingBytes)} are missing for a file of ` +
      formatBytes(wantedBytes),
    { cause, details: { directory, wantedBytes, missingBytes } },
  );
}

/** @returns `undefined` for an error that has nothing to do with room. */
export function shortageOf(error: Error | undefined): Shortage | undefined {
  if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') return undefined;
  const { directory, wantedBytes, missingBytes } = error.details;
  return {
    directory: String(directory ?? error.details['path'] ?? 'the log'),
    wantedBytes: Number(wantedBytes ?? 0),
    missingBytes: Number(missingBytes ?? 0),
  };
}
