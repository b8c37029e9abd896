/** How much the simulations do, and from which seed.
 *
 * MILLRACE_SEED replays a run; MILLRACE_RUNS=0.1 does a tenth of the work, 10 ten times as much.
 * @module */

export const simSeed: number = Number(process.env['MILLRACE_SEED'] ?? 20_260_101);

const factor = Number(process.env['MILLRACE_RUNS'] ?? 1);

/** @param runs what a run in CI does. */
export function scaled(runs: number): number {
  return Math.max(1, Math.ceil(runs * factor));
}

/** Distance of the cases that are tried where all would be. Odd: the cases come in eights (bits of a
 * byte) and in pairs, and of these each kind comes up. */
const CASE_STRIDE = factor < 1 ? 2 * Math.round(1 / factor / 2) + 1 : 1;

/** All of `cases`; where MILLRACE_RUNS asks for less, that share of them. */
export function* everyNth<T>(cases: Iterable<T>): Generator<T> {
  let index = 0;
  for (const each of cases) {
    if (index % CASE_STRIDE === 0) yield each;
    index += 1;
  }
}

/** @returns how many are left of `count` by `everyNth`. */
export function wantedCases(count: number): number {
  return Math.floor(count / CASE_STRIDE);
}

/** A limit for a test that does `scaled` work: far above what it takes, so that only a hang hits it. */
export function scaledTimeoutMs(): number {
  return Math.ceil(900_000 * Math.max(1, factor));
}

/** For titles of tests. */
export const seedNote: string = `MILLRACE_SEED=${simSeed}`;

/** Fails a simulation; cheaper than `expect` where millions of things are checked. */
export function check(isTrue: boolean, message: string | (() => string)): asserts isTrue {
  if (!isTrue) throw new Error(typeof message === 'string' ? message : message());
}
