/** @module */
import { expect, it } from 'vitest';
import { LINES, batchOf, blockOf, shareOf } from '../../test/support/block-samples.ts';
import type { Lsn } from '../core/ids.ts';
import type { ScannedRecord } from '../wal/scanned-record.ts';
import type { ReadAgain } from './cleaning.ts';
import { KnownBlocks } from './examination-blocks.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

const LOG = 'receiver-log-0';

/** As `blockOf` places it. */
function recordOf(lsn: number, change: Partial<ScannedRecord> = {}): ScannedRecord {
  return {
    lsn: lsn as Lsn,
    type: 1,
    durableLsn: 0 as Lsn,
    segmentSeq: 1,
    path: '',
    offsetBytes: 4096 * lsn,
    payloadBytes: 400,
    payloadCrc: lsn,
    ...change,
  };
}

function neededOf(state: TrackerState, readAgain: ReadAgain): readonly number[] {
  const log = new KnownBlocks(state, { readAgain }).of(LOG);
  return log.neededLeft.map(({ position }) => position.lsn);
}

it('counts queued blocks and those of unfinished batches as needed, all as known', () => {
  const state = emptyTrackerState(1);
  const blocks = [1, 2, 3, 4].map((lsn) => blockOf(lsn, { lsn }));
  for (const block of [...blocks, blockOf(5)]) applyEvent(state, { type: 'block-added', block });
  const [first, second] = blocks;
  if (first === undefined || second === undefined) throw new Error('no blocks');
  applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, [first]) });
  const queue = { kind: 'queue', streamId: LINES, queueIndex: 0, slices: 1 } as const;
  const share = batchOf(2_000, [...shareOf(2_000, [second]).inputs, queue]);
  applyEvent(state, { type: 'batch-allocated', share });
  const [done] = state.batches.values();
  if (done !== undefined) done.isDone = true;
  const known = new KnownBlocks(state);
  const log = known.of(LOG);
  expect(known.logs).toEqual([LOG]); // the block that is in no log has none
  expect(log.left.map(({ position }) => position.lsn)).toEqual([1, 2, 3, 4]);
  expect(log.neededLeft.map(({ position }) => position.lsn)).toEqual([2, 3, 4]);
  // Batches that are done run again when keyed state is older than they are.
  const neededAfter = (replayAfterMs: number): readonly number[] =>
    neededOf(state, { reachMs: 0, replayAfterMs });
  expect(neededAfter(999)).toEqual([1, 2, 3, 4]);
  expect(neededAfter(1_000)).toEqual([2, 3, 4]);
});

it('counts blocks of done batches as needed when a window looks at them', () => {
  const state = emptyTrackerState(1);
  for (const lsn of [1, 2, 3]) {
    const block = blockOf(lsn, { lsn });
    applyEvent(state, { type: 'block-added', block });
    applyEvent(state, { type: 'batch-allocated', share: shareOf(lsn * 1_000, [block]) });
  }
  for (const batch of state.batches.values()) batch.isDone = true;
  const needed = (reachMs: number): readonly number[] =>
    neededOf(state, { reachMs, replayAfterMs: Infinity });
  expect([needed(0), needed(1_000), needed(2_000)]).toEqual([[], [3], [2, 3]]);
  // The batch at 3 s runs again for the state, and its window looks back from there.
  const replayAfterMs = 2_000;
  expect(neededOf(state, { reachMs: 0, replayAfterMs })).toEqual([3]);
  expect(neededOf(state, { reachMs: 1_000, replayAfterMs })).toEqual([2, 3]);
});

it('crosses off what is found at its place, with its checksum, and nothing else', () => {
  const state = emptyTrackerState(1);
  for (const lsn of [2, 3, 4, 5]) {
    applyEvent(state, { type: 'block-added', block: blockOf(lsn, { lsn }) });
  }
  const log = new KnownBlocks(state).of(LOG);
  log.found(recordOf(2));
  log.found(recordOf(3, { payloadCrc: 99 }));
  log.found(recordOf(4, { offsetBytes: 8 }));
  log.found(recordOf(5, { segmentSeq: 2 }));
  log.found(recordOf(77));
  expect(log.left.map(({ position }) => position.lsn)).toEqual([3, 4, 5]);
});
