/** Looks at a directory in which an engine may be writing. Files grow and go while they are read:
 * one look proves nothing bad. An error counts when two looks in a row end with the same, or when
 * nobody writes there. What differs from look to look is never a verdict. @module */
import { MillraceError, toError } from '../../core/errors.ts';

/** Looks beside an engine; most need one or two. */
const LOOKS_MAX = 20;

interface Looks<R> {
  readonly directory: string;
  /** @throws what a start would say. */
  readonly look: () => Promise<R>;
  /** Equal when nothing was written between two calls. */
  readonly stamp: () => Promise<string>;
  /** An engine has the directory open. */
  readonly isRunning: boolean;
}

/** @throws what two looks found, or one that nobody has disturbed; DIRECTORY_LOCKED when no two
 *   agree. */
export async function lookUntilSure<R>(looks: Looks<R>): Promise<R> {
  const { directory, look, stamp, isRunning } = looks;
  let before: string | undefined;
  for (let count = 0; count < LOOKS_MAX; count += 1) {
    const stamped = await stamp();
    try {
      return await look();
    } catch (error) {
      const { message } = toError(error);
      const isLive = isRunning || stamped !== (await stamp());
      if (!isLive || message === before) throw error;
      before = message;
    }
  }
  throw new MillraceError(
    'DIRECTORY_LOCKED',
    `${directory} was written to during each of ${LOOKS_MAX} looks, and no two of them found the ` +
      'same: nothing is known. Check again while less comes in, or when the engine has stopped',
    { details: { directory } },
  );
}
