/** @module */
import { describe, expect, it } from 'vitest';
import {
  LINES,
  batchOf,
  blockOf,
  queued,
  shareOf,
  sourceId,
} from '../../test/support/block-samples.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import type { FileShare } from '../dstream/task-spec.ts';
import { applyEvent, emptyTrackerState, isRegistered } from './tracker-state.ts';
import type { BatchShare, InputShare, TrackerEvent, TrackerState } from './tracker-state.ts';

const KEYS_MAX = 100;

function replay(...events: TrackerEvent[]): TrackerState {
  const state = emptyTrackerState(KEYS_MAX);
  for (const event of events) applyEvent(state, event);
  return state;
}

const added = (block: BlockInfo): TrackerEvent => ({ type: 'block-added', block });
const allocated = (share: BatchShare): TrackerEvent => ({ type: 'batch-allocated', share });
const cleaned = (throughMs: number): TrackerEvent => ({
  type: 'batch-cleaned',
  throughMs: throughMs as BatchTimeMs,
});

const [b0, b1, b2] = [blockOf(0), blockOf(1), blockOf(2)];

describe('block-added', () => {
  it('queues blocks in the order of the events', () => {
    const other = blockOf(0, { receiverIndex: 1 });
    const state = replay(added(b0), added(other), added(b1));
    expect(queued(state)).toEqual(['lines/0/1.1/0', 'lines/1/1.1/0', 'lines/0/1.1/1']);
  });

  it('keeps the queues of streams apart', () => {
    const state = replay(added(b0), added(blockOf(0, { streamId: 'other' })));
    expect(queued(state)).toEqual(['lines/0/1.1/0']);
    expect(queued(state, 'other' as StreamId)).toEqual(['other/0/1.1/0']);
  });

  it('is idempotent for a block that is queued, and for one that a batch has', () => {
    const state = replay(added(b0), added(b0), allocated(shareOf(1_000, [b0])), added(b0));
    expect(queued(state)).toEqual([]);
    expect(state.batches.size).toBe(1);
  });

  it('knows a later life from an earlier one, also when its numbers start anew', () => {
    const state = replay(added(b2), added(blockOf(0, { n: 2 })));
    expect(queued(state)).toEqual(['lines/0/1.1/2', 'lines/0/1.2/0']);
    expect(isRegistered(state, blockOf(1, { n: 2 }).blockId)).toBe(false);
    expect(isRegistered(state, blockOf(0, { epoch: 2, n: 1 }).blockId)).toBe(false);
    expect(isRegistered(state, b2.blockId)).toBe(true);
  });

  it('merges positions per partition and input', () => {
    const range = (partition: string, follows: number | null, last: number) => ({
      positions: [{ partition, follows, last }],
    });
    const state = replay(
      added(blockOf(0, range('p0', null, 5))),
      added(blockOf(1, range('p1', null, 7))),
      added(blockOf(2, range('p0', 5, 9))),
      added(blockOf(0, { streamId: 'other', ...range('p0', null, 1) })),
    );
    expect(state.positions.get(LINES)).toEqual(
      new Map([
        ['p0', 9],
        ['p1', 7],
      ]),
    );
    expect(state.positions.get('other' as StreamId)).toEqual(new Map([['p0', 1]]));
  });

  it('remembers idempotency keys per input', () => {
    const state = replay(added(blockOf(0, { sourceIds: [sourceId('k', 'digest')] })));
    expect(state.sourceIds.get(LINES)?.get('k')?.digest).toBe('digest');
    expect(state.sourceIds.get('other' as StreamId)).toBeUndefined();
  });

  it('raises the registered LSN of each log, the synced one for synced blocks only', () => {
    const state = replay(
      added(blockOf(0, { lsn: 4 })),
      added(blockOf(1, { lsn: 6, durability: 'flush' })),
      added(blockOf(0, { lsn: 2, log: 'receiver-log-1', receiverIndex: 1 })),
      added(blockOf(2, { durability: 'off' })),
    );
    expect(Object.fromEntries(state.registeredLsn)).toEqual({
      'receiver-log-0': 6,
      'receiver-log-1': 2,
    });
    expect(Object.fromEntries(state.syncedLsn)).toEqual({
      'receiver-log-0': 4,
      'receiver-log-1': 2,
    });
  });
});

describe('batch-allocated', () => {
  it('leaves a block that came after the share was made for the next batch', () => {
    const state = replay(added(b0), added(b1), allocated(shareOf(1_000, [b0])));
    expect(queued(state)).toEqual(['lines/0/1.1/1']);
    expect(state.batches.get(1_000 as BatchTimeMs)?.share).toEqual(shareOf(1_000, [b0]));
    expect(state.lastAllocatedMs).toBe(1_000);
  });

  it('does nothing when the batch is at or before the last allocated one', () => {
    const share = shareOf(1_000, [b0]);
    const state = replay(added(b0), allocated(share), added(b1));
    applyEvent(state, allocated(shareOf(1_000, [b1])));
    applyEvent(state, allocated(shareOf(500, [b1])));
    expect(queued(state)).toEqual(['lines/0/1.1/1']);
    expect([...state.batches.values()].map((batch) => batch.share)).toEqual([share]);
  });

  it('refuses blocks that are not in the queue (I5)', () => {
    const state = replay(added(b0), allocated(shareOf(1_000, [b0])));
    expect(() => applyEvent(state, allocated(shareOf(2_000, [b0])))).toThrow('I5');
    expect(() => applyEvent(state, allocated(shareOf(2_000, [b1])))).toThrow('I5');
  });

  it('remembers files that were taken until they are gone from the directory', () => {
    const file = (path: string): FileShare => {
      return { path, sizeBytes: 10, mtimeMs: 1, birthtimeMs: 2, inode: 3 };
    };
    const share = (timeMs: number, files: FileShare[], forgotten: string[]): TrackerEvent =>
      allocated(batchOf(timeMs, [{ kind: 'files', streamId: LINES, files, forgotten }]));
    const state = replay(share(1_000, [file('a'), file('b')], []));
    const [identityA = '', identityB = ''] = state.seenFiles.get(LINES) ?? [];
    expect(identityA).not.toBe(identityB);
    applyEvent(state, share(2_000, [], []));
    expect(state.seenFiles.get(LINES)?.size).toBe(2);
    applyEvent(state, share(3_000, [file('c')], [identityA]));
    expect(state.seenFiles.get(LINES)?.has(identityA)).toBe(false);
    expect(state.seenFiles.get(LINES)?.has(identityB)).toBe(true);
    expect(state.seenFiles.get(LINES)?.size).toBe(2);
  });

  it('counts the batches of a queue until it has ended', () => {
    const queue = (queueIndex: number | null): InputShare => {
      return { kind: 'queue', streamId: LINES, queueIndex, slices: 2 };
    };
    const state = replay(
      allocated(batchOf(1_000, [queue(0)])),
      allocated(batchOf(2_000, [queue(1)])),
      allocated(batchOf(3_000, [queue(null)])),
    );
    expect(state.queueIndexes.get(LINES)).toBe(2);
  });
});

describe('batch-cleaned', () => {
  it('forgets batches up to its time, and no others', () => {
    const state = replay(
      added(b0),
      allocated(shareOf(1_000, [b0])),
      allocated(shareOf(2_000, [])),
      allocated(shareOf(3_000, [])),
      cleaned(2_000),
    );
    expect([...state.batches.keys()]).toEqual([3_000]);
    expect(state.cleanedThroughMs).toBe(2_000);
    applyEvent(state, cleaned(1_000));
    expect(state.cleanedThroughMs).toBe(2_000);
  });

  it('keeps what protects from doing things twice', () => {
    const block = blockOf(0, {
      lsn: 3,
      sourceIds: [sourceId('k')],
      positions: [{ partition: '', follows: null, last: 9 }],
    });
    const state = replay(added(block), allocated(shareOf(1_000, [block])), cleaned(1_000));
    applyEvent(state, added(block));
    applyEvent(state, allocated(shareOf(1_000, [block])));
    expect(queued(state)).toEqual([]);
    expect(state.batches.size).toBe(0);
    expect(state.positions.get(LINES)?.get('')).toBe(9);
    expect(state.sourceIds.get(LINES)?.get('k')).toBeDefined();
    expect(state.registeredLsn.get('receiver-log-0')).toBe(3);
  });
});
