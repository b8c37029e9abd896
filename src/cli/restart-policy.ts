/** What a supervisor does after the engine's process has ended. Pure: history in, next step out.
 *
 * Starts again after a crash, ever more slowly; not where another start cannot help (damaged data,
 * wrong use, a broken disk, a directory in use), and not when it never got anywhere. Once a batch
 * was completed the pipeline is known to work: what stops it now, such as a database that is down,
 * may pass, so that it is tried again for as long as it takes.
 * @module */

/** One life of the engine's process. */
export interface ChildEnd {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  /** What ended it, as an exit code would say it: 128 + its number; 0 without one. */
  readonly signalExitCode: number;
  readonly ranMs: number;
  /** True when it completed at least one batch. */
  readonly hasCompletedBatch: boolean;
}

export type NextStep =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'end'; readonly exitCode: number; readonly reason: string };

const RESTART_DELAY_MS = 500;
const RESTART_DELAY_MS_MAX = 30_000;
/** Starts without a completed batch, from the first one on, after which there is no other. */
const FRUITLESS_STARTS_MAX = 5;
/** Whoever ran this long has overcome what made earlier lives short: the delay begins anew. */
const HEALTHY_MS = 60_000;

const FINAL_EXIT_CODES: ReadonlyMap<number, string> = new Map([
  [0, 'the run has ended'],
  [2, 'damaged data has to be looked at first'],
  [64, 'wrong use stays wrong'],
  [74, 'the disk has to be looked at first'],
  [75, 'another process runs on the same directory'],
]);

/** @param history every life so far, the newest last; not empty.
 * @param isStopping a stop was asked for: whatever the end was, it is the last. */
export function nextStep(history: readonly ChildEnd[], isStopping: boolean): NextStep {
  const last = history.at(-1);
  if (last === undefined) return { kind: 'restart', delayMs: 0 };
  const exitCode = last.exitCode ?? last.signalExitCode;
  const final = last.exitCode === null ? undefined : FINAL_EXIT_CODES.get(last.exitCode);
  if (final !== undefined) return { kind: 'end', exitCode, reason: final };
  if (isStopping) return { kind: 'end', exitCode, reason: 'a stop was asked for' };
  const isFruitless = history.every((each) => !each.hasCompletedBatch);
  if (isFruitless && history.length >= FRUITLESS_STARTS_MAX) {
    const reason = `${FRUITLESS_STARTS_MAX} starts in a row completed no batch`;
    return { kind: 'end', exitCode, reason };
  }
  const lastHealthy = history.findLastIndex(({ ranMs }) => ranMs >= HEALTHY_MS);
  // The end of a healthy life is the first of a new row.
  const inRow = history.length - Math.max(lastHealthy, 0);
  const delayMs = Math.min(RESTART_DELAY_MS * 2 ** (inRow - 1), RESTART_DELAY_MS_MAX);
  return { kind: 'restart', delayMs };
}
