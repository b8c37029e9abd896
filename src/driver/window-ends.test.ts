/** @module */
import { expect, it } from 'vitest';
import { batchOf, blockOf, shareOf } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import type { StreamId } from '../core/ids.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { BatchShare, TrackerState } from './tracker-state.ts';
import { nextWindowEndMs } from './window-ends.ts';

const streamId = 'q' as StreamId;

/** Streams with these slides, in seconds. */
function timesOf(...slides: readonly number[]): StreamTimes {
  const { nodes } = graphOf((ssc) => {
    const lines = ssc.generatorStream();
    lines.print();
    for (const slide of slides) lines.window(`${slide}s`, `${slide}s`).print();
  });
  return new StreamTimes(nodes, 1_000);
}

function stateOf(...shares: readonly BatchShare[]): TrackerState {
  const state = emptyTrackerState(10);
  for (const share of shares) {
    for (const input of share.inputs) {
      if (input.kind !== 'blocks') continue;
      for (const block of input.blocks) applyEvent(state, { type: 'block-added', block });
    }
    applyEvent(state, { type: 'batch-allocated', share });
  }
  return state;
}

const withBlock = (timeMs: number): BatchShare => shareOf(timeMs, [blockOf(timeMs)]);
const empty = (timeMs: number): BatchShare =>
  batchOf(timeMs, [{ kind: 'queue', streamId, queueIndex: null, slices: 1 }]);

it('is the end of the window that the last records are in', () => {
  const times = timesOf(4, 6);
  expect(nextWindowEndMs(emptyTrackerState(10), times)).toBe(Infinity);
  expect(nextWindowEndMs(stateOf(withBlock(5_000)), times)).toBe(6_000);
  expect(nextWindowEndMs(stateOf(withBlock(5_000), empty(6_000)), times)).toBe(8_000);
  expect(nextWindowEndMs(stateOf(withBlock(5_000), empty(7_000)), times)).toBe(8_000);
  // The batch at 8 s is in a window of 6 s itself, but it has no records.
  expect(nextWindowEndMs(stateOf(withBlock(5_000), empty(8_000)), times)).toBe(Infinity);
  expect(nextWindowEndMs(stateOf(withBlock(12_000)), times)).toBe(Infinity);
  expect(nextWindowEndMs(stateOf(withBlock(5_000)), timesOf())).toBe(Infinity);
});

it('is asked for by files and batches of a queue as well', () => {
  const file = { path: 'f', sizeBytes: 1, mtimeMs: 1, birthtimeMs: 1, inode: 1 };
  const inputs = [
    { kind: 'queue', streamId, queueIndex: 0, slices: 1 },
    { kind: 'files', streamId, files: [file], forgotten: [] },
  ] as const;
  for (const input of inputs) {
    expect(nextWindowEndMs(stateOf(batchOf(5_000, [input])), timesOf(4))).toBe(8_000);
  }
});
