/** Threads that die around a start, and while the disk is full: when they are replaced, and when
 * the start fails. What becomes of their blocks: receiver-tracker.test.ts. @module */
import { beforeEach, expect, it } from 'vitest';
import { fakeExecutors } from '../../test/support/fake-executor.ts';
import type { FakeExecutor } from '../../test/support/fake-executor.ts';
import { LINES } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { Lsn } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockMemory } from './block-memory.ts';
import { BlockTracker } from './block-tracker.ts';
import { ReceiverTracker } from './receiver-tracker.ts';
import { SourceIdClaims } from './source-id-claims.ts';
import { SpaceWatch } from './space-watch.ts';
import { emptyTrackerState } from './tracker-state.ts';

const RESPAWN_MS = 500;

let clock: ManualClock;
let executors: FakeExecutor[];
let events: EngineEvent[];
let fatal: Error[];
let onSpawn: (executor: FakeExecutor) => void;
let receivers: ReceiverTracker;

beforeEach(() => {
  clock = new ManualClock();
  executors = [];
  events = [];
  fatal = [];
  onSpawn = () => {};
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  const arena = BlockArena.create(1024 * 1024);
  const tracker = new BlockTracker(0 as Lsn, {
    state: emptyTrackerState(100),
    log: { append: () => Promise.resolve({ lsn: 1 as Lsn }) },
    codec: msgpackCodec,
    isCurrent: () => true,
    onRegistered: () => {},
  });
  receivers = new ReceiverTracker({
    epoch: 3,
    executors: [[{ streamId: LINES, receiverIndex: 0, receiverCount: 1 }]],
    ...fakeExecutors(arena, (executor) => {
      executors.push(executor);
      onSpawn(executor);
    }),
    tracker,
    claims: new SourceIdClaims({ isCurrent: () => true, clock, known: () => undefined }),
    arena,
    memory: new BlockMemory(arena, { lastLsn: new Map() }),
    space: new SpaceWatch({ events: bus, receivers: [[LINES]], onDriverHeld: () => {} }),
    events: bus,
    clock,
    onFatal: (error) => fatal.push(error),
  });
});

async function advance(ms: number): Promise<void> {
  await settle();
  clock.advance(ms);
  await settle();
}

it('a thread that dies while the first receivers are being started is replaced', async () => {
  await receivers.open();
  const starting = receivers.start();
  executors[0]?.die();
  await starting;
  expect(executors[0]?.lives).toEqual([]);
  await advance(RESPAWN_MS);
  expect(executors).toHaveLength(2);
  expect(executors[1]?.life).toMatchObject({ incarnation: { epoch: 3, n: 2 } });
  expect(fatal).toEqual([]);
});

it('a thread that dies before makes the start fail', async () => {
  await receivers.open();
  executors[0]?.die();
  await settle();
  await expect(receivers.start()).rejects.toMatchObject({ code: 'EXECUTOR_DIED' });
});

it('the successor of a dead thread waits for room when the disk is full by then', async () => {
  await receivers.open();
  await receivers.start();
  onSpawn = (each) => {
    if (executors.length === 2) each.openFailure = new MillraceError('DISK_FULL', 'no room');
  };
  executors[0]?.die();
  await advance(RESPAWN_MS);
  expect(executors).toHaveLength(2);
  expect(executors[1]?.isTerminated).toBe(true);
  const message = 'receiver executor 0 waits for room: no room';
  expect(events).toContainEqual({ type: 'warning', message });
  await advance(2 * RESPAWN_MS);
  expect(executors).toHaveLength(3);
  expect(executors[2]?.life).toMatchObject({ incarnation: { epoch: 3, n: 2 } });
  expect(fatal).toEqual([]);
});

it.each([
  ['DISK_FAILED', 'DISK_FAILED'],
  ['WAL_CORRUPT', 'WAL_CORRUPT'],
  ['ADDRESS_UNAVAILABLE', 'RECEIVER_FAILED'],
] as const)('a successor that cannot start for %s ends the run with %s', async (why, code) => {
  await receivers.open();
  await receivers.start();
  const cause = new MillraceError(why, 'what happened', { details: { path: '/log' } });
  onSpawn = (each) => (each.openFailure = cause);
  executors[0]?.die();
  await advance(RESPAWN_MS);
  expect(fatal).toEqual([expect.objectContaining({ code, cause })]);
  expect(fatal[0]?.message).toBe('receiver executor 0 cannot be replaced: what happened');
});
