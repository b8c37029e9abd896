/** Packages that a sink needs and millrace does not bring along.
 * @module */
import { MillraceError, toError } from '../core/errors.ts';

/** What an import gave. @throws {MillraceError} OPTIONS_INVALID that says what to install. */
export async function orMissing<T>(
  { sink, name }: { readonly sink: string; readonly name: string },
  importing: Promise<T>,
): Promise<T> {
  try {
    return await importing;
  } catch (thrown) {
    const cause = toError(thrown);
    throw new MillraceError(
      'OPTIONS_INVALID',
      `${sink} needs the package ${name}, which cannot be loaded here: npm install ${name} ` +
        `(${cause.message.split('\n')[0]})`,
      { cause },
    );
  }
}
