/** What may be forgotten, read off the tracker state: the arithmetic of R8 and R9. Pure.
 *
 * A batch is settled when it and all before it are done in the oldest kept checkpoint, and keyed
 * state, if there is any, has them in the snapshot that this checkpoint points to: then it does not
 * run again. It is cleaned when, besides, no window of a batch that may run again looks at it:
 *
 *      cleaned ──► │ windows look back, or `remember` │ run again for the state │ not done
 *                                                     └─ snapshot               └─ done through
 *
 * A receiver log may be recycled below the oldest block that a queue or an uncleaned batch still
 * names. By LSNs and batch times, never by clocks.
 * @module */
import type { BlockInfo } from '../blocks/block-ref.ts';
import type { Lsn } from '../core/ids.ts';
import { blocksOf } from './tracker-state.ts';
import type { TrackedBatch, TrackerState } from './tracker-state.ts';

/** The latest batch time up to which every allocated batch is done. */
export function doneThroughMs(state: TrackerState): number {
  let oldestUnfinishedMs = Infinity;
  for (const [time, { isDone }] of state.batches) {
    if (!isDone && time < oldestUnfinishedMs) oldestUnfinishedMs = time;
  }
  return oldestUnfinishedMs === Infinity ? state.lastAllocatedMs : oldestUnfinishedMs - 1;
}

/** The latest batch time up to which no batch has to run again after a crash: neither for its
 * outputs nor for keyed state, which is made again from its newest snapshot on.
 * @param stateThroughMs of that snapshot; absent for pipelines without state. */
export function settledThroughMs(state: TrackerState, stateThroughMs: number = Infinity): number {
  return Math.min(doneThroughMs(state), stateThroughMs);
}

/** The latest batch that may be cleaned; 0: none.
 * @param facts settledThroughMs: of the oldest kept checkpoint. rememberMs: how far before a batch
 *   that may run again batches are kept. heldFromMs: from this batch on somebody reads them. */
export function cleanableThroughMs(
  state: TrackerState,
  { settledThroughMs: settledMs, rememberMs, heldFromMs = Infinity }: CleaningFacts,
): number {
  // What may run again comes one batch interval after `settledMs`, or later, and reaches that far
  // back.
  const throughMs = settledMs - rememberMs;
  return [...state.batches.keys()]
    .filter((time) => time <= throughMs && time < heldFromMs)
    .reduce((latest, time) => Math.max(latest, time), 0);
}

interface CleaningFacts {
  readonly settledThroughMs: number;
  readonly rememberMs: number;
  readonly heldFromMs?: number;
}

/** What a start reads besides batches that are not done. */
export interface ReadAgain {
  /** How far before a batch its windows look. */
  readonly reachMs: number;
  /** Batches later than this run again for keyed state, also when they are done; Infinity: none. */
  readonly replayAfterMs: number;
}

/** Tells of a batch whether its blocks will be read: it runs again, because it is not done or for
 * keyed state, or a window of one that runs again or is still to come looks at it. */
export function batchesToRead(
  state: TrackerState,
  { reachMs, replayAfterMs }: ReadAgain,
): (batch: TrackedBatch) => boolean {
  const settledMs = settledThroughMs(state, replayAfterMs);
  const afterMs = reachMs === 0 ? replayAfterMs : settledMs - reachMs;
  return ({ share, isDone }) => !isDone || share.batchTimeMs > afterMs;
}

/** Per receiver log, the LSN below which nothing is needed any more. Logs with no needed block are
 * free up to their highest registered one: what comes after that is still on its way. */
export function lowestNeededLsns(state: TrackerState): Map<string, Lsn> {
  const lowest = new Map<string, Lsn>();
  for (const [log, lsn] of state.registeredLsn) lowest.set(log, (lsn + 1) as Lsn);
  for (const { position } of neededBlocks(state)) {
    if (position === undefined) continue;
    if (position.lsn < (lowest.get(position.log) ?? Infinity)) {
      lowest.set(position.log, position.lsn);
    }
  }
  return lowest;
}

/** Receiver logs that some block still needs. */
export function neededLogs(state: TrackerState): Set<string> {
  const logs = new Set<string>();
  for (const { position } of neededBlocks(state)) {
    if (position !== undefined) logs.add(position.log);
  }
  return logs;
}

/** Blocks that will be read: queued, or in a batch that is not done. */
export function* blocksToRun(state: TrackerState): Generator<BlockInfo> {
  for (const queue of state.queues.values()) yield* queue;
  for (const { share, isDone } of state.batches.values()) {
    if (!isDone) yield* blocksOf(share);
  }
}

/** Blocks that may have to be read again: queued, or in a batch that is not cleaned. */
function* neededBlocks(state: TrackerState): Generator<BlockInfo> {
  for (const queue of state.queues.values()) yield* queue;
  for (const { share } of state.batches.values()) yield* blocksOf(share);
}
