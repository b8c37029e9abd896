/** How rates reach the threads that receive. @module */
import { expect, it } from 'vitest';
import { fakeExecutors } from '../../test/support/fake-executor.ts';
import type { FakeExecutor } from '../../test/support/fake-executor.ts';
import { LINES } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { EventBus } from '../core/events.ts';
import type { Lsn, StreamId } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockMemory } from './block-memory.ts';
import { BlockTracker } from './block-tracker.ts';
import { ReceiverTracker } from './receiver-tracker.ts';
import { SourceIdClaims } from './source-id-claims.ts';
import { SpaceWatch } from './space-watch.ts';
import { emptyTrackerState } from './tracker-state.ts';

const OTHER = 'other' as StreamId;

function trackerOf(executors: FakeExecutor[], fatal: Error[]): ReceiverTracker {
  const clock = new ManualClock();
  const arena = BlockArena.create(1024 * 1024);
  const events = new EventBus();
  const one = { receiverIndex: 0, receiverCount: 1 };
  return new ReceiverTracker({
    epoch: 3,
    executors: [
      [
        { streamId: LINES, ...one },
        { streamId: OTHER, ...one },
      ],
      [{ streamId: OTHER, ...one }],
    ],
    ...fakeExecutors(arena, (executor) => executors.push(executor)),
    tracker: new BlockTracker(0 as Lsn, {
      state: emptyTrackerState(100),
      log: { append: () => Promise.resolve({ lsn: 1 as Lsn }) },
      codec: msgpackCodec,
      isCurrent: () => true,
      onRegistered: () => {},
    }),
    claims: new SourceIdClaims({ isCurrent: () => true, clock, known: () => undefined }),
    arena,
    memory: new BlockMemory(arena, { lastLsn: new Map() }),
    space: new SpaceWatch({ events, receivers: [[LINES], [OTHER]], onDriverHeld: () => {} }),
    events,
    clock,
    onFatal: (error) => fatal.push(error),
  });
}

it('a rate goes to the threads that receive the input, and a dead one is no failure', async () => {
  const executors: FakeExecutor[] = [];
  const fatal: Error[] = [];
  const receivers = trackerOf(executors, fatal);
  await receivers.open();
  await receivers.start();
  receivers.setRate(LINES, 250);
  executors[1]?.die();
  receivers.setRate(OTHER, 50);
  await settle();
  expect(executors.map(({ rates }) => rates)).toEqual([
    [
      [LINES, 250],
      [OTHER, 50],
    ],
    [],
  ]);
  expect(fatal).toEqual([]);
});
