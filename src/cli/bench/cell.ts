/** One combination of what `millrace bench wal` varies, and all of them. Pure. @module */
import type { DurabilityLevel } from '../../blocks/block-ref.ts';

export interface Cell {
  readonly wal: DurabilityLevel;
  /** Each with a thread and a log of its own. */
  readonly receivers: number;
  readonly blockIntervalMs: number;
  readonly recordBytes: number;
}

/** The values of each axis, each value once. */
export interface Grid {
  readonly wal: readonly DurabilityLevel[];
  readonly receivers: readonly number[];
  readonly blockIntervalsMs: readonly number[];
  readonly recordBytes: readonly number[];
}

/** All cells; those that differ in the log alone stand together, in the order of `grid.wal`. */
export function cellsOf(grid: Grid): Cell[] {
  const cells: Cell[] = [];
  for (const receivers of grid.receivers) {
    for (const blockIntervalMs of grid.blockIntervalsMs) {
      for (const recordBytes of grid.recordBytes) {
        for (const wal of grid.wal) cells.push({ wal, receivers, blockIntervalMs, recordBytes });
      }
    }
  }
  return cells;
}

/** All but the log: cells that have it in common can be compared. `1 receiver, 50 ms, 100 B` */
export function settingText({
  receivers,
  blockIntervalMs,
  recordBytes,
}: Omit<Cell, 'wal'>): string {
  const threads = `${receivers} receiver${receivers === 1 ? '' : 's'}`;
  return `${threads}, ${blockIntervalMs} ms, ${recordBytes} B`;
}

/** `sync, 1 receiver, 50 ms, 100 B`: names a cell, and is a key for it. */
export function cellText(cell: Cell): string {
  return `${cell.wal}, ${settingText(cell)}`;
}

/** Longest batch interval of a run. */
export const BATCH_INTERVAL_MS_MAX = 2_000;
const BATCH_INTERVAL_MS_MIN = 200;

/** The batch interval of all cells, so that they differ in nothing else: the least one from 200 ms
 * on that all block intervals divide.
 * @returns `undefined` when that is longer than BATCH_INTERVAL_MS_MAX. */
export function batchIntervalOf(blockIntervalsMs: readonly number[]): number | undefined {
  for (let ms = BATCH_INTERVAL_MS_MIN; ms <= BATCH_INTERVAL_MS_MAX; ms += 1) {
    if (blockIntervalsMs.every((each) => ms % each === 0)) return ms;
  }
  return undefined;
}
