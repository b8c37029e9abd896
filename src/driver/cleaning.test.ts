/** @module */
import { describe, expect, it } from 'vitest';
import { batchOf, blockOf, shareOf } from '../../test/support/block-samples.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import {
  batchesToRead,
  cleanableThroughMs,
  doneThroughMs,
  lowestNeededLsns,
  neededLogs,
  settledThroughMs,
} from './cleaning.ts';
import { applyEvent, emptyTrackerState } from './tracker-state.ts';
import type { TrackerState } from './tracker-state.ts';

const block = (seq: number, log?: string) =>
  blockOf(seq, { lsn: 10 + seq, ...(log === undefined ? {} : { log, receiverIndex: 1 }) });

/** Three blocks of one log: two in batches, one queued. */
function sample(): TrackerState {
  const state = emptyTrackerState(10);
  for (const seq of [0, 1, 2]) applyEvent(state, { type: 'block-added', block: block(seq) });
  applyEvent(state, { type: 'batch-allocated', share: shareOf(1_000, [block(0)]) });
  applyEvent(state, { type: 'batch-allocated', share: shareOf(2_000, [block(1)]) });
  return state;
}

function finish(state: TrackerState, timeMs: number): void {
  const batch = state.batches.get(timeMs as BatchTimeMs);
  if (batch === undefined) throw new Error(`no batch ${timeMs}`);
  batch.isDone = true;
}

describe('settledThroughMs', () => {
  it('is no later than what is done, and than the snapshot of keyed state', () => {
    const state = sample();
    finish(state, 1_000);
    expect(settledThroughMs(state)).toBe(1_999);
    expect(settledThroughMs(state, 1_000)).toBe(1_000);
    expect(settledThroughMs(state, 0)).toBe(0);
    expect(settledThroughMs(state, 5_000)).toBe(1_999);
  });
});

describe('doneThroughMs', () => {
  it('is just before the oldest batch that is not done', () => {
    const state = sample();
    expect(doneThroughMs(state)).toBe(999);
    finish(state, 2_000);
    expect(doneThroughMs(state)).toBe(999);
    finish(state, 1_000);
    expect(doneThroughMs(state)).toBe(2_000);
  });

  it('is the last allocated batch when there is none left', () => {
    const state = sample();
    const throughMs = 2_000 as BatchTimeMs;
    applyEvent(state, { type: 'batch-cleaned', throughMs });
    expect(doneThroughMs(state)).toBe(2_000);
    expect(doneThroughMs(emptyTrackerState(10))).toBe(0);
  });
});

/** Empty batches at 1 s, 2 s … */
function batches(count: number): TrackerState {
  const state = emptyTrackerState(10);
  for (let n = 1; n <= count; n += 1) {
    applyEvent(state, { type: 'batch-allocated', share: batchOf(n * 1_000, []) });
  }
  return state;
}

describe('cleanableThroughMs', () => {
  it('keeps what windows of the next batch look at', () => {
    const state = batches(9);
    const through = (settledMs: number, rememberMs: number): number =>
      cleanableThroughMs(state, { settledThroughMs: settledMs, rememberMs });
    expect(through(9_000, 0)).toBe(9_000);
    // The batch at 10 s has a window of 3 s: it looks at 8, 9 and 10.
    expect(through(9_000, 2_000)).toBe(7_000);
    // The batch at 6 s is not done: its window has 4, 5 and 6.
    expect(through(5_999, 2_000)).toBe(3_000);
    expect(through(2_000, 2_000)).toBe(0);
  });

  it('keeps what a slice reads', () => {
    const facts = { settledThroughMs: 9_000, rememberMs: 2_000 };
    expect(cleanableThroughMs(batches(9), { ...facts, heldFromMs: 5_000 })).toBe(4_000);
    expect(cleanableThroughMs(batches(9), { ...facts, heldFromMs: -1 })).toBe(0);
    expect(cleanableThroughMs(batches(9), { ...facts, heldFromMs: Infinity })).toBe(7_000);
  });

  it('keeps what windows of batches look at that run again for keyed state', () => {
    const state = batches(9);
    for (const time of state.batches.keys()) finish(state, time);
    // All is done, and the state has the batches up to 5 s: the one at 6 s runs again, and its
    // window of 3 s has 4, 5 and 6.
    const settledMs = settledThroughMs(state, 5_000);
    expect(cleanableThroughMs(state, { settledThroughMs: settledMs, rememberMs: 2_000 })).toBe(
      3_000,
    );
    // Before the first snapshot every batch may run again.
    const facts = { settledThroughMs: settledThroughMs(state, 0), rememberMs: 0 };
    expect(cleanableThroughMs(state, facts)).toBe(0);
  });
});

describe('batchesToRead', () => {
  it('are those that are not done, and those that their windows look at', () => {
    const state = batches(6);
    for (const time of [1_000, 2_000, 3_000, 4_000]) finish(state, time);
    const toRead = (reachMs: number, replayAfterMs: number = Infinity): number[] =>
      [...state.batches.values()]
        .filter(batchesToRead(state, { reachMs, replayAfterMs }))
        .map(({ share }) => share.batchTimeMs);
    expect(toRead(0)).toEqual([5_000, 6_000]);
    expect(toRead(2_000)).toEqual([3_000, 4_000, 5_000, 6_000]);
    finish(state, 5_000);
    finish(state, 6_000);
    expect(toRead(2_000)).toEqual([5_000, 6_000]);
    // The state has the batches up to 4 s: 5 and 6 run again, and the window of 5 has 3, 4 and 5.
    expect(toRead(0, 4_000)).toEqual([5_000, 6_000]);
    expect(toRead(2_000, 4_000)).toEqual([3_000, 4_000, 5_000, 6_000]);
    expect(toRead(0, 0)).toHaveLength(6);
  });
});

describe('lowestNeededLsns', () => {
  it('is pinned by uncleaned batches, done or not', () => {
    const state = sample();
    finish(state, 1_000);
    expect(lowestNeededLsns(state).get('receiver-log-0')).toBe(10);
  });

  it('rises when a batch is cleaned, up to what is queued', () => {
    const state = sample();
    applyEvent(state, { type: 'batch-cleaned', throughMs: 1_000 as BatchTimeMs });
    expect(lowestNeededLsns(state).get('receiver-log-0')).toBe(11);
    applyEvent(state, { type: 'batch-cleaned', throughMs: 2_000 as BatchTimeMs });
    expect(lowestNeededLsns(state).get('receiver-log-0')).toBe(12);
  });

  it('is behind the last registered block when nothing is needed', () => {
    const state = sample();
    applyEvent(state, { type: 'batch-allocated', share: shareOf(3_000, [block(2)]) });
    applyEvent(state, { type: 'batch-cleaned', throughMs: 3_000 as BatchTimeMs });
    expect(Object.fromEntries(lowestNeededLsns(state))).toEqual({ 'receiver-log-0': 13 });
  });

  it('counts each log for itself, and blocks without a log not at all', () => {
    const state = sample();
    applyEvent(state, { type: 'block-added', block: block(7, 'receiver-log-1') });
    applyEvent(state, { type: 'block-added', block: blockOf(0, { receiverIndex: 2 }) });
    expect(Object.fromEntries(lowestNeededLsns(state))).toEqual({
      'receiver-log-0': 10,
      'receiver-log-1': 17,
    });
  });
});

it('neededLogs names the logs of queued blocks and of uncleaned batches', () => {
  const state = sample();
  applyEvent(state, { type: 'block-added', block: block(7, 'receiver-log-1') });
  expect(neededLogs(state)).toEqual(new Set(['receiver-log-0', 'receiver-log-1']));
  applyEvent(state, {
    type: 'batch-allocated',
    share: shareOf(3_000, [block(2), block(7, 'receiver-log-1')]),
  });
  applyEvent(state, { type: 'batch-cleaned', throughMs: 3_000 as BatchTimeMs });
  expect(neededLogs(state)).toEqual(new Set());
});
