/** What the engine's process and the receivers in it tell each other while a cell is measured: on a
 * broadcast channel, because receivers live in threads of the engine's own. @module */

export const LOAD_CHANNEL = 'millrace-bench-load';
/** In the driver: how many lines of a batch were selected; published before it is done. */
export const COUNT_CHANNEL = 'millrace:bench:count';

/** `full`: as fast as records are taken. `settle`: at the given rate. `half`: the same, and
 * acknowledgements are timed. `end`: no more records. */
export interface LoadOrder {
  readonly kind: 'order';
  readonly phase: 'full' | 'settle' | 'half' | 'end';
  /** Of each receiver; absent: as fast as they are taken. */
  readonly recordsPerSecond?: number;
}

/** The answer to `end`, when every record has been acknowledged. */
export interface LoadEnd {
  readonly kind: 'ended';
  readonly receiver: number;
  /** From `store` to its resolution, of the calls made at half speed, in milliseconds. */
  readonly ackMs: readonly number[];
  /** Share of the time at full speed in which the receiver's thread was busy. */
  readonly busyShare: number;
  /** Records at half speed, and for how long. */
  readonly halfRecords: number;
  readonly halfMs: number;
}

export type LoadMessage = LoadOrder | LoadEnd;

/** What each receiver hands over again and again: equal calls, so that the count of any number of
 * records is known. */
const CALL_BYTES_MAX = 64 * 1024;

/** @returns records of one `store` call. */
export function callRecords(recordBytes: number): number {
  return Math.max(1, Math.min(512, Math.floor(CALL_BYTES_MAX / recordBytes)));
}

/** The work of the built-in pipeline: passes about one line in ten, and is cheap, so that what is
 * measured is the engine and its log. */
export function isSelected(line: string): boolean {
  return line.endsWith('7');
}
