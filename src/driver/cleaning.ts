/** What may be forgotten, read off the tracker state: the arithmetic of R8 and R9. Pure.
 *
 * A batch is cleaned when it and all before it are done in the oldest kept checkpoint, and no
 * window of a batch that is not looks at it. A receiver log may be recycled below the oldest block
 * that a queue or an uncleaned batch still names. By LSNs and batch times, never by clocks.
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

/** The latest batch that may be cleaned; 0: none.
 * @param facts doneThroughMs: of the oldest kept checkpoint. rememberMs: how far before a batch
 *   that is not done batches are kept. */
export function cleanableThroughMs(
  state: TrackerState,
  { doneThroughMs: doneMs, rememberMs }: CleaningFacts,
): number {
  // What is not done comes one batch interval after `doneMs`, or later, and reaches that far back.
  const throughMs = doneMs - rememberMs;
  return [...state.batches.keys()]
    .filter((time) => time <= throughMs)
    .reduce((latest, time) => Math.max(latest, time), 0);
}

interface CleaningFacts {
  readonly doneThroughMs: number;
  readonly rememberMs: number;
}

/** Tells of a batch whether its blocks will be read: it is not done, or a window of one that is not
 * looks at it. @param reachMs how far back windows look. */
export function batchesToRead(
  state: TrackerState,
  reachMs: number,
): (batch: TrackedBatch) => boolean {
  const afterMs = reachMs === 0 ? Infinity : doneThroughMs(state) - reachMs;
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
