/** Which batch times must not be left out, because windows end there. Pure.
 *
 * Batch times have gaps. When windows do not overlap, a record is in one of them only, so the batch
 * at the window's end has to come, late and perhaps empty, whatever the clock says. Slides of
 * windows of windows are multiples of each other: the end of each of them follows from the record's
 * own batch. See docs/decisions/0011-slides-since-1970.md. @module */
import type { StreamTimes } from '../dstream/stream-times.ts';
import type { InputShare, TrackerState } from './tracker-state.ts';

/** The first time after the last batch at which a stream with a slide has the batch that records of
 * earlier batches are in. @returns Infinity when each record is in a batch of each stream. */
export function nextWindowEndMs(
  { batches, lastAllocatedMs }: TrackerState,
  { longSlidesMs }: StreamTimes,
): number {
  let next = Infinity;
  if (longSlidesMs.length === 0) return next;
  for (const [timeMs, { share }] of batches) {
    if (share.inputs.every(isEmptyShare)) continue;
    for (const slideMs of longSlidesMs) {
      const endMs = Math.ceil(timeMs / slideMs) * slideMs;
      if (endMs > lastAllocatedMs) next = Math.min(next, endMs);
    }
  }
  return next;
}

function isEmptyShare(input: InputShare): boolean {
  switch (input.kind) {
    case 'blocks':
      return input.blocks.length === 0;
    case 'files':
      return input.files.length === 0;
    case 'queue':
      return input.queueIndex === null;
  }
}
