/** What moves when a window moves on: which batches leave it and which come in. Pure.
 *
 *      slide 2 s, length 4 s          10  11  12  13  14
 *      the window that ended at 12    9──────────12
 *      the window that ends at 14             11──────────14      9, 10 leave; 13, 14 come in
 *
 * The window ends at the last multiple of the slide at or before a batch, also when no batch came
 * at that time. So after each batch it is known where the window ends, whatever gaps there are, and
 * nothing has to be remembered but the last batch.
 * @module */

/** Of a stream: its length, how far it moves at once, and the distance of the batches in it. */
export interface SlidingSpan {
  readonly windowMs: number;
  readonly slideMs: number;
  readonly batchMs: number;
}

/** Batch times, oldest first; there may have been no batch at some of them. */
export interface WindowChange {
  readonly leavingMs: readonly number[];
  readonly enteringMs: readonly number[];
}

/** @param throughMs the batch after which the window is as it is; `undefined`: it is empty yet.
 * @returns `undefined` when it stays where it is. */
export function windowChange(
  span: SlidingSpan,
  throughMs: number | undefined,
  batchTimeMs: number,
): WindowChange | undefined {
  const { windowMs } = span;
  const endMs = endOf(span, batchTimeMs);
  const beforeMs = throughMs === undefined ? -Infinity : endOf(span, throughMs);
  if (beforeMs === endMs) return undefined;
  const startMs = endMs - windowMs;
  return {
    leavingMs:
      throughMs === undefined
        ? []
        : timesWithin(span, beforeMs - windowMs, Math.min(beforeMs, startMs)),
    enteringMs: timesWithin(span, Math.max(beforeMs, startMs), endMs),
  };
}

/** The batch times of the window after a batch. */
export function windowTimes(span: SlidingSpan, throughMs: number): readonly number[] {
  const endMs = endOf(span, throughMs);
  return timesWithin(span, endMs - span.windowMs, endMs);
}

function endOf({ slideMs }: SlidingSpan, batchTimeMs: number): number {
  return Math.floor(batchTimeMs / slideMs) * slideMs;
}

/** Later than `afterMs`, up to `throughMs`; both are such times. */
function timesWithin(
  { batchMs }: SlidingSpan,
  afterMs: number,
  throughMs: number,
): readonly number[] {
  const count = Math.max(0, (throughMs - afterMs) / batchMs);
  return Array.from({ length: count }, (_, index) => afterMs + (index + 1) * batchMs);
}
