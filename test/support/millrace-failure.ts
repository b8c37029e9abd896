/** @module */
import { MillraceError } from '../../src/core/errors.ts';

/** The error of the engine that `doing` rejects with. */
export async function millraceFailure(doing: Promise<unknown>): Promise<MillraceError> {
  const outcome = await doing.then(
    () => 'no failure',
    (error: unknown) => error,
  );
  if (outcome instanceof MillraceError) return outcome;
  throw new Error(`it did not fail as it should: ${String(outcome)}`);
}
