/** Everything that is wrong with one call, as one error. @module */
import { MillraceError } from '../core/errors.ts';

/** @param problems one or more. */
export function problemsError(problems: readonly string[], cause?: Error): MillraceError {
  const list = problems.map((each) => `  - ${each.replaceAll('\n', '\n    ')}`).join('\n');
  return new MillraceError(
    'OPTIONS_INVALID',
    problems.length === 1
      ? `wrong use: ${problems[0]}`
      : `${problems.length} things are wrong:\n${list}`,
    { ...(cause === undefined ? {} : { cause }), details: { problemCount: problems.length } },
  );
}
