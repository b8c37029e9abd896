/** The seed with which random tests begin: MILLRACE_SEED replays one that failed.
 *
 * The only place of the kit that looks at the environment. @module */

const FIRST_SEED = 1;

/** @returns NaN when MILLRACE_SEED is no number. */
export function firstSeed(): number {
  return Number(process.env['MILLRACE_SEED'] ?? FIRST_SEED);
}
