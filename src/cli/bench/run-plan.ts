/** How long each part of a run takes, and how a budget of time is spent. Pure.
 *
 * A sample is one engine's life: start, warm-up, full speed, a change to half of that speed, and
 * half speed, at which acknowledgements are timed:
 *
 *      start ─ warm-up ─ full speed ─ settling ─ half speed ─ end
 *              WARM_UP    fullMs       SETTLE     halfMs
 *
 * @module */
import type { Cell } from './cell.ts';

/** Until the compiler has seen the hot loops, and the first spare segments are there. */
const WARM_UP_MS = 1_000;
const SMOKE_WARM_UP_MS = 200;
/** Of an engine's process: until it has started, and until its directory is gone. */
const START_AND_END_MS = 1_200;
/** Until what full speed has left is processed. */
const SETTLE_MS = 600;
const PROBE_MS = 2_000;
/** A shorter measurement says nothing: a few batches. */
const FULL_MS_MIN = 500;
const FULL_MS_MAX = 10_000;
/** An acknowledgement waits for its block: that many have to be seen. */
const BLOCKS_AT_HALF_MIN = 5;

export interface RunPlan {
  readonly isSmoke: boolean;
  readonly repetitions: number;
  readonly warmUpMs: number;
  readonly fullMs: number;
  /** After this long no round is begun that is not expected to end in time; absent: all are. */
  readonly budgetMs?: number;
  /** Of all rounds, roughly. */
  readonly expectedMs: number;
}

export interface WantedRun {
  readonly isSmoke: boolean;
  readonly seconds: number;
  readonly repetitions: number;
  readonly budgetMs: number | undefined;
}

/** @returns what is wrong when the budget is too small. */
export function planRun(cells: readonly Cell[], wanted: WantedRun): RunPlan | string {
  const { isSmoke, repetitions, budgetMs } = wanted;
  const warmUpMs = isSmoke ? SMOKE_WARM_UP_MS : WARM_UP_MS;
  const withFull = (fullMs: number): RunPlan => {
    const plan = { isSmoke, repetitions, warmUpMs, fullMs };
    const ofRound = cells.reduce((sum, cell) => sum + sampleMs(cell, plan), 0);
    const expectedMs = probesMs(plan) + repetitions * ofRound;
    return { ...plan, ...(budgetMs === undefined ? {} : { budgetMs }), expectedMs };
  };
  if (isSmoke || budgetMs === undefined) return withFull(wanted.seconds * 1_000);
  const least = withFull(FULL_MS_MIN);
  if (least.expectedMs > budgetMs) {
    const needed = Math.ceil(least.expectedMs / 1_000);
    return (
      `--budget is too small for ${cells.length} cells, ${repetitions} times each: ` +
      `give ${needed}s or more, fewer repetitions, or fewer values`
    );
  }
  let fullMs = FULL_MS_MIN;
  while (fullMs < FULL_MS_MAX && withFull(fullMs + 100).expectedMs <= budgetMs) fullMs += 100;
  return withFull(fullMs);
}

export function halfMsOf({ blockIntervalMs }: Cell, { fullMs }: Pick<RunPlan, 'fullMs'>): number {
  return Math.max(fullMs / 2, BLOCKS_AT_HALF_MIN * blockIntervalMs);
}

/** What one sample takes, roughly. */
export function sampleMs(cell: Cell, plan: Pick<RunPlan, 'warmUpMs' | 'fullMs'>): number {
  const measured = plan.warmUpMs + plan.fullMs + SETTLE_MS + halfMsOf(cell, plan);
  return START_AND_END_MS + measured;
}

/** The disk alone, before and after. */
export function probesMs({ isSmoke }: Pick<RunPlan, 'isSmoke'>): number {
  return isSmoke ? PROBE_MS / 10 : 2 * PROBE_MS;
}
