/** Bytes that the device cannot give back: damage, never the end of a log.
 *
 * Only errors by which a device or file system says that it has lost content count. A file that we
 * may not open, a process out of descriptors, or a `close` that fails after all was read, says
 * nothing about the bytes: those stay DISK_FAILED, and the start may be tried again.
 * @module */
import { MillraceError } from '../core/errors.ts';

/** The last two are EBADMSG and EUCLEAN, a failed checksum and a broken structure of the file
 * system, for which Node has no names. */
const LOST_BYTES: ReadonlySet<unknown> = new Set([
  'EIO',
  'EREMOTEIO',
  'ENODATA',
  'Unknown system error -74',
  'Unknown system error -117',
]);

/** What the operating system said when bytes are lost; `undefined` for any other failure. */
export function lostBytesErrno(thrown: unknown): string | undefined {
  if (!(thrown instanceof MillraceError)) return undefined;
  const { errno, call } = thrown.details;
  if (call === 'close') return undefined;
  return LOST_BYTES.has(errno) ? String(errno) : undefined;
}

/** A part of a file that cannot be read. */
export interface ReadFault {
  readonly fromBytes: number;
  readonly toBytes: number;
  /** What the operating system said. */
  readonly errno: string;
}
