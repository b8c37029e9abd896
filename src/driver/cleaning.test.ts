/** @module */
import { describe, expect, it } from 'vitest';
import { blockOf, shareOf } from '../../test/support/block-samples.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import { cleanableThroughMs, doneThroughMs, lowestNeededLsns, neededLogs } from './cleaning.ts';
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

describe('cleanableThroughMs', () => {
  it('is no later than what is done, and than the snapshot of keyed state', () => {
    const state = sample();
    finish(state, 1_000);
    expect(cleanableThroughMs(state)).toBe(1_999);
    expect(cleanableThroughMs(state, 1_000)).toBe(1_000);
    expect(cleanableThroughMs(state, 0)).toBe(0);
    expect(cleanableThroughMs(state, 5_000)).toBe(1_999);
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
