/** @module */
import { describe, expect, it } from 'vitest';
import {
  LINES,
  blockOf,
  queued,
  shareOf,
  sourceId,
  viewOf,
} from '../../test/support/block-samples.ts';
import { withoutWaiting } from '../../test/support/without-waiting.ts';
import type { BlockInfo, PositionRange, PositionValue } from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';
import type { BatchTimeMs, BlockId, Lsn } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockTracker } from './block-tracker.ts';
import type { EventLog } from './block-tracker.ts';
import { decodeEvent } from './tracker-events.ts';
import { emptyTrackerState } from './tracker-state.ts';

/** A log whose appends are durable when the test says so, in order. */
class HandLog implements EventLog {
  readonly payloads: Uint8Array[] = [];
  #lsn = 0;
  #waiting: { resolve: (at: { lsn: Lsn }) => void; reject: (cause: Error) => void }[] = [];

  append(payload: Uint8Array): Promise<{ readonly lsn: Lsn }> {
    this.payloads.push(payload);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** The oldest `count` appends are durable now. */
  sync(count = Infinity): void {
    for (const { resolve } of this.#waiting.splice(0, count)) {
      this.#lsn += 1;
      resolve({ lsn: this.#lsn as Lsn });
    }
  }

  fail(): void {
    const cause = new MillraceError('WAL_POISONED', 'a sync failed');
    for (const { reject } of this.#waiting.splice(0)) reject(cause);
  }

  get types(): string[] {
    return this.payloads.map((payload) => decodeEvent(payload, msgpackCodec).type);
  }
}

function setUp(
  isCurrent: (id: BlockId) => boolean = () => true,
  admit: () => Promise<void> | undefined = () => undefined,
) {
  const log = new HandLog();
  const state = emptyTrackerState(100);
  const registered: BlockInfo[] = [];
  const tracker = new BlockTracker(0 as Lsn, {
    state,
    log,
    codec: msgpackCodec,
    isCurrent,
    admit,
    onRegistered: (block) => registered.push(block),
  });
  /** Adds a block that must be taken, and syncs it. */
  const register = async (block: BlockInfo): Promise<void> => {
    const outcome = tracker.add(block);
    log.sync();
    expect(await outcome).toEqual({ kind: 'added' });
  };
  return { log, state, registered, tracker, register };
}

function range(follows: PositionValue | null, last: PositionValue, partition = ''): PositionRange {
  return { partition, follows, last };
}

const at = (...positions: PositionRange[]) => ({ positions });
const refused = (reason: string) => ({
  kind: 'refused',
  reason: expect.stringContaining(reason) as string,
});

describe('R2, a block is registered', () => {
  it('only when its event is durable', async () => {
    const { log, state, registered, tracker } = setUp();
    const outcome = tracker.add(blockOf(0, { lsn: 1 }));
    await Promise.resolve();
    expect(queued(state)).toEqual([]);
    expect(registered).toEqual([]);
    expect(tracker.hasPendingAdds).toBe(true);
    expect(tracker.appliedLsn).toBe(0);
    log.sync();
    expect(await outcome).toEqual({ kind: 'added' });
    expect(queued(state)).toEqual(['lines/0/1.1/0']);
    expect(registered).toHaveLength(1);
    expect(tracker.hasPendingAdds).toBe(false);
    expect(tracker.appliedLsn).toBe(1);
  });

  it('in the order of the log', async () => {
    const { log, state, tracker } = setUp();
    const outcomes = [0, 1, 2].map((seq) => tracker.add(blockOf(seq)));
    log.sync(2);
    await outcomes[1];
    expect(queued(state)).toEqual(['lines/0/1.1/0', 'lines/0/1.1/1']);
    log.sync();
    await Promise.all(outcomes);
    expect(tracker.appliedLsn).toBe(3);
  });

  it('once: the same block again is no second event', async () => {
    const { log, state, tracker, register } = setUp();
    await register(blockOf(0));
    expect(await tracker.add(blockOf(0))).toEqual({ kind: 'added' });
    expect(log.payloads).toHaveLength(1);
    expect(queued(state)).toHaveLength(1);
  });

  it('not at all when the log fails: the state stays as it was', async () => {
    const { log, state, registered, tracker } = setUp();
    const before = structuredClone(viewOf(state));
    const block = blockOf(0, { sourceIds: [sourceId('k')], ...at(range(null, 5)) });
    const outcome = tracker.add(block);
    log.fail();
    await expect(outcome).rejects.toThrow('a sync failed');
    expect(viewOf(state)).toEqual(before);
    expect(registered).toEqual([]);
    expect(tracker.appliedLsn).toBe(0);
    expect(tracker.hasPendingAdds).toBe(false);
  });
});

describe('while the disk of the driver is full', () => {
  it('blocks wait in order, and allocation and cleaning do not', async () => {
    const atGate: (() => void)[] = [];
    const isFull = { now: true };
    const admit = (): Promise<void> | undefined =>
      isFull.now ? new Promise((resolve) => atGate.push(resolve)) : undefined;
    const { log, tracker } = setUp(undefined, admit);
    const added = [tracker.add(blockOf(0)), tracker.add(blockOf(1))];
    const cleaned = tracker.clean(1_000 as BatchTimeMs);
    await Promise.resolve();
    expect(log.types).toEqual(['batch-cleaned']);
    expect(tracker.hasPendingAdds).toBe(true);
    isFull.now = false;
    for (const open of atGate) open();
    await Promise.resolve();
    await Promise.resolve();
    log.sync();
    expect(await Promise.all(added)).toEqual([{ kind: 'added' }, { kind: 'added' }]);
    await cleaned;
    expect(log.types).toEqual(['batch-cleaned', 'block-added', 'block-added']);
    expect(queued(tracker.state)).toEqual(['lines/0/1.1/0', 'lines/0/1.1/1']);
  });

  it('a block that waited to the end is not registered, and its key is free', async () => {
    let isFull = true;
    const admit = (): Promise<void> | undefined =>
      isFull ? Promise.reject(new MillraceError('DISK_FULL', 'the end')) : undefined;
    const { log, tracker, register } = setUp(undefined, admit);
    const block = blockOf(0, { sourceIds: [sourceId('k')] });
    await expect(tracker.add(block)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(log.payloads).toEqual([]);
    isFull = false;
    await register(block);
  });
});

describe('a block with a source id', () => {
  const first = blockOf(0, { sourceIds: [sourceId('k')] });
  const second = blockOf(0, { receiverIndex: 1, sourceIds: [sourceId('j'), sourceId('k')] });

  it('is refused while another block with it is on its way', async () => {
    const { log, tracker } = setUp();
    const outcome = tracker.add(first);
    expect(await withoutWaiting(tracker.add(second))).toEqual(refused('key k came before'));
    log.sync();
    await outcome;
    expect(log.payloads).toHaveLength(1);
  });

  it('is refused when the id is registered', async () => {
    const { log, tracker, register } = setUp();
    await register(first);
    expect(await withoutWaiting(tracker.add(second))).toEqual(refused('key k came before'));
    expect(log.payloads).toHaveLength(1);
    expect(tracker.knownSourceId(LINES, 'k')).toMatchObject({ digest: 'd', recordCount: 1 });
    expect(tracker.knownSourceId(LINES, 'j')).toBeUndefined();
  });

  it('is taken when the id is another input’s', async () => {
    const { register } = setUp();
    await register(first);
    await register(blockOf(0, { streamId: 'other', sourceIds: [sourceId('k')] }));
  });

  it('leaves nothing behind when it is refused', async () => {
    const { tracker, register } = setUp();
    await register(first);
    await withoutWaiting(tracker.add(second));
    await register(blockOf(1, { sourceIds: [sourceId('j')] }));
  });
});

describe('a block with positions', () => {
  it('may follow one that is still on its way', async () => {
    const { log, state, tracker } = setUp();
    const outcomes = [
      tracker.add(blockOf(0, at(range(null, 5)))),
      tracker.add(blockOf(1, at(range(5, 9)))),
      tracker.add(blockOf(2, at(range(9, 'ten')))),
    ];
    log.sync(1);
    await outcomes[0];
    // The first is registered now, and must not hide that the others are under way.
    const fourth = tracker.add(blockOf(3, at(range(5, 6))));
    expect(await withoutWaiting(fourth)).toEqual(refused('is at ten'));
    log.sync();
    expect(await Promise.all(outcomes)).toEqual(Array(3).fill({ kind: 'added' }));
    expect(state.positions.get(LINES)?.get('')).toBe('ten');
    expect(tracker.positionsOf(LINES)).toEqual({ '': 'ten' });
  });

  it.each([
    ['a gap', range(7, 9)],
    ['a repetition', range(null, 5)],
    ['another type', range('5', 9)],
  ])('is refused when it leaves %s', async (_name, next) => {
    const { tracker, register } = setUp();
    await register(blockOf(0, at(range(null, 5))));
    expect(await withoutWaiting(tracker.add(blockOf(1, at(next))))).toEqual(
      refused("partition '', which is at 5"),
    );
  });

  it('is judged partition by partition', async () => {
    const { state, tracker, register } = setUp();
    await register(blockOf(0, at(range(null, 5, 'a'), range(null, 0, 'b'))));
    const half = blockOf(1, at(range(5, 6, 'a'), range(null, 1, 'b')));
    expect(await withoutWaiting(tracker.add(half))).toEqual(
      refused("partition 'b', which is at 0"),
    );
    await register(blockOf(1, at(range(5, 6, 'a'), range(0, 1, 'b'))));
    expect(Object.fromEntries(state.positions.get(LINES) ?? [])).toEqual({ a: 6, b: 1 });
  });

  it('starts again where it stood when the add before it failed', async () => {
    const { log, tracker, register } = setUp();
    const outcome = tracker.add(blockOf(0, at(range(null, 5))));
    log.fail();
    await expect(outcome).rejects.toThrow('a sync failed');
    await register(blockOf(1, at(range(null, 4))));
  });
});

describe('a block of an earlier life', () => {
  const isCurrent = ({ incarnation }: BlockId): boolean => incarnation.n === 2;

  it('is refused', async () => {
    const { log, tracker } = setUp(isCurrent);
    expect(await withoutWaiting(tracker.add(blockOf(0)))).toEqual(refused('earlier life'));
    expect(log.payloads).toHaveLength(0);
  });

  it('is refused, and not called added, when the new life has registered blocks', async () => {
    const { state, tracker, register } = setUp(isCurrent);
    await register(blockOf(0, { n: 2 }));
    expect(await withoutWaiting(tracker.add(blockOf(7, { n: 1 })))).toEqual(
      refused('earlier life'),
    );
    expect(queued(state)).toEqual(['lines/0/1.2/0']);
  });
});

describe('R4, a batch is allocated', () => {
  it('and takes its blocks only when its event is durable', async () => {
    const { log, state, tracker, register } = setUp();
    await register(blockOf(0));
    const allocation = tracker.allocate(shareOf(1_000, [blockOf(0)]));
    await Promise.resolve();
    expect(queued(state)).toHaveLength(1);
    expect(state.batches.size).toBe(0);
    log.sync();
    await allocation;
    expect(queued(state)).toEqual([]);
    expect(state.batches.get(1_000 as BatchTimeMs)?.isDone).toBe(false);
    expect(log.types).toEqual(['block-added', 'batch-allocated']);
  });

  it('and a block that came between copy and sync stays queued', async () => {
    const { log, state, tracker, register } = setUp();
    await register(blockOf(0));
    const share = shareOf(1_000, [...(state.queues.get(LINES) ?? [])]);
    const before = tracker.add(blockOf(1));
    const allocation = tracker.allocate(share);
    const after = tracker.add(blockOf(2));
    log.sync();
    await Promise.all([before, allocation, after]);
    expect(queued(state)).toEqual(['lines/0/1.1/1', 'lines/0/1.1/2']);
  });

  it('and when the append fails nothing moves', async () => {
    const { log, state, tracker, register } = setUp();
    await register(blockOf(0));
    const before = structuredClone(viewOf(state));
    const allocation = tracker.allocate(shareOf(1_000, [blockOf(0)]));
    log.fail();
    await expect(allocation).rejects.toThrow('a sync failed');
    expect(viewOf(state)).toEqual(before);
    expect(tracker.appliedLsn).toBe(1);
  });

  it('never twice', async () => {
    const { log, tracker } = setUp();
    const allocation = tracker.allocate(shareOf(1_000, []));
    log.sync();
    await allocation;
    await expect(tracker.allocate(shareOf(1_000, []))).rejects.toThrow('allocated twice');
    expect(log.payloads).toHaveLength(1);
  });
});

it('R8 forgets batches only when that is durable', async () => {
  const { log, state, tracker } = setUp();
  const allocation = tracker.allocate(shareOf(1_000, []));
  log.sync();
  await allocation;
  const cleaning = tracker.clean(1_000 as BatchTimeMs);
  await Promise.resolve();
  expect(state.batches.size).toBe(1);
  log.sync();
  await cleaning;
  expect(state.batches.size).toBe(0);
});
