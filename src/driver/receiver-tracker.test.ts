/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { LINES, blockOf, queued, sourceId } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { fakeExecutors } from '../../test/support/fake-executor.ts';
import type { FakeExecutor } from '../../test/support/fake-executor.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo } from '../blocks/block-ref.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import type { Lsn, StreamId } from '../core/ids.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { toWireError } from '../serde/wire-error.ts';
import type { BlockAnnouncement, ReceiverLife } from '../workers/protocol.ts';
import { BlockMemory } from './block-memory.ts';
import { BlockTracker } from './block-tracker.ts';
import { ReceiverTracker } from './receiver-tracker.ts';
import type { ReceiverPlace } from './receiver-places.ts';
import type { MoveLog } from './receiver-tracker.ts';
import { SourceIdClaims } from './source-id-claims.ts';
import { SpaceWatch } from './space-watch.ts';
import { emptyTrackerState } from './tracker-state.ts';

const EPOCH = 4;
const RESPAWN_MS = 500;
const OTHER = 'other' as StreamId;

let clock: ManualClock;
let arena: BlockArena;
let memory: BlockMemory;
let blocks: BlockTracker;
let claims: SourceIdClaims;
let receivers: ReceiverTracker;
let executors: FakeExecutor[];
let events: EngineEvent[];
let fatal: Error[];
let space: SpaceWatch;
let moveLog: MoveLog | undefined;
/** Called when an executor is made. */
let onSpawn: (executor: FakeExecutor) => void;
/** What the driver log waits for. */
let appended: Promise<void>;

beforeEach(() => {
  setUp([[place(LINES)]]);
});

function place(streamId: StreamId, receiverIndex = 0, receiverCount = 1): ReceiverPlace {
  return { streamId, receiverIndex, receiverCount };
}

function setUp(places: ReceiverPlace[][]): void {
  clock = new ManualClock();
  arena = BlockArena.create(1024 * 1024);
  memory = new BlockMemory(arena, { lastLsn: new Map<string, Lsn>() });
  executors = [];
  events = [];
  fatal = [];
  moveLog = undefined;
  onSpawn = () => {};
  appended = Promise.resolve();
  const bus = new EventBus();
  bus.subscribe((event) => events.push(event));
  claims = new SourceIdClaims({
    isCurrent: (life) => life.receiverIndex > 0 || receivers.isCurrentLife(life),
    clock,
    known: (streamId, key) => blocks.knownSourceId(streamId, key),
  });
  let lsn = 0;
  blocks = new BlockTracker(0 as Lsn, {
    state: emptyTrackerState(100),
    log: {
      async append() {
        await appended;
        lsn += 1;
        return { lsn: lsn as Lsn };
      },
    },
    codec: msgpackCodec,
    isCurrent: (id) => receivers.isCurrent(id),
    onRegistered: (block) => {
      for (const { key } of block.sourceIds) claims.settle(block.blockId.streamId, key);
    },
  });
  space = new SpaceWatch({
    events: bus,
    receivers: places.map((ofOne) => ofOne.map(({ streamId }) => `${streamId}/0`)),
    onDriverHeld: (isHeld) => receivers.hold(isHeld),
  });
  receivers = new ReceiverTracker({
    epoch: EPOCH,
    executors: places,
    ...fakeExecutors(arena, (executor) => {
      executors.push(executor);
      onSpawn(executor);
    }),
    tracker: blocks,
    claims,
    arena,
    memory,
    space,
    moveLog: async (index) => moveLog?.(index),
    events: bus,
    clock,
    onFatal: (error) => fatal.push(error),
  });
}

async function start(): Promise<void> {
  await receivers.open();
  await receivers.start();
}

function executor(index = executors.length - 1): FakeExecutor {
  return executors[index] as FakeExecutor;
}

/** A block of the executor's receiver, in an extent of its own that the thread has acquired. */
function blockIn(by: FakeExecutor, seq: number, more: Partial<BlockInfo> = {}): BlockAnnouncement {
  const extentIndex = arena.acquire('receivers', by.data.arenaOwner, 1);
  if (extentIndex === undefined) throw new Error('no room');
  const { epoch, n } = by.life.incarnation;
  const { streamId, receiverIndex } = by.life;
  const info = blockOf(seq, { epoch, n, streamId, receiverIndex, ...more });
  return { info, bytes: { kind: 'arena', extentIndex, offsetBytes: 0, lengthBytes: 300 } };
}

async function advance(ms: number): Promise<void> {
  clock.advance(ms);
  await settle();
}

/** Blocks of the driver's books, by the extents they are in. */
const kept = (): number[] => [...memory.references().keys()];
const ADDED = { kind: 'added' };
const REFUSED = expect.objectContaining({ kind: 'refused' }) as unknown;

/** A promise that the test resolves. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

describe('the start', () => {
  it('gives each receiver a life of its own, from its positions', async () => {
    setUp([[place(LINES, 0, 2), place(OTHER)], [place(LINES, 1, 2)]]);
    const merged = new Map([['p', 7]]);
    blocks.state.positions.set(LINES, merged);
    await start();
    const lives = executors.flatMap((each) => each.lives);
    expect(
      lives.map(({ streamId, receiverIndex }) => `${streamId}/${receiverIndex}`).toSorted(),
    ).toEqual(['lines/0', 'lines/1', 'other/0']);
    expect(new Set(lives.map(({ incarnation }) => incarnation.n)).size).toBe(3);
    for (const { incarnation, streamId, lastPosition } of lives) {
      expect(incarnation.epoch).toBe(EPOCH);
      expect(lastPosition).toEqual(streamId === LINES ? { p: 7 } : {});
    }
    expect(new Set(executors.map(({ data }) => data.arenaOwner)).size).toBe(2);
  });

  it('refuses threads that built another graph', async () => {
    onSpawn = (each) => (each.graph = []);
    await expect(receivers.open()).rejects.toMatchObject({ code: 'PIPELINE_MISMATCH' });
  });
});

describe('an announcement', () => {
  it('registers blocks and takes over their memory', async () => {
    await start();
    const announced = [blockIn(executor(), 0), blockIn(executor(), 1)];
    expect(await executor().announce(...announced)).toEqual([ADDED, ADDED]);
    expect(queued(blocks.state)).toEqual(['lines/0/4.1/0', 'lines/0/4.1/1']);
    expect(kept()).toEqual(announced.map(({ bytes }) => bytes.extentIndex));
  });

  it('answers each block for itself, and takes no memory of a refused one', async () => {
    await start();
    const gap = { positions: [{ partition: '', follows: 3, last: 4 }] };
    const announced = [blockIn(executor(), 0, gap), blockIn(executor(), 1)];
    expect(await executor().announce(...announced)).toEqual([REFUSED, ADDED]);
    expect(kept()).toEqual([announced[1]?.bytes.extentIndex]);
  });

  it('of a life that never was is refused', async () => {
    await start();
    const { info, bytes } = blockIn(executor(), 0);
    const stranger = { ...info, blockId: { ...info.blockId, receiverIndex: 9 } };
    expect(await executor().announce({ info: stranger, bytes })).toEqual([REFUSED]);
  });
});

describe('when a thread dies', () => {
  it('what it had posted of its receivers is no news any more when it comes late', async () => {
    await start();
    const { driver, life } = executor();
    executor().die();
    await settle();
    await driver.receiverEvent(life, { kind: 'started' });
    await driver.receiverEvent(life, { kind: 'ended' });
    await driver.receiverEvent(life, { kind: 'error', message: 'it hurts' });
    const types = events.map(({ type }) => type);
    expect(types).toEqual(['executor-died', 'receiver-error']);
    expect(receivers.hasEnded).toBe(false);
  });

  it('another takes its place, with new lives from the merged positions', async () => {
    await start();
    const position = { positions: [{ partition: '', follows: null, last: 5 }] };
    await executor().announce(blockIn(executor(), 0, position));
    executor(0).die();
    await settle();
    expect(events).toContainEqual({
      type: 'executor-died',
      executor: 'receiver executor 0',
      receivers: ['lines/0'],
      error: 'exited with code 1',
    });
    expect(executors).toHaveLength(1);
    await advance(RESPAWN_MS);
    expect(executors).toHaveLength(2);
    expect(executor(1).data.arenaOwner).not.toBe(executor(0).data.arenaOwner);
    expect(executor(1).life).toMatchObject({
      incarnation: { epoch: EPOCH, n: 2 },
      lastPosition: { '': 5 },
    });
    expect(fatal).toEqual([]);
  });

  it('its announced blocks live on, and the rest of its memory is free', async () => {
    await start();
    const announced = blockIn(executor(), 0);
    await executor().announce(announced);
    blockIn(executor(), 1);
    expect(arena.usedExtents('receivers')).toBe(2);
    executor().die();
    await settle();
    expect(arena.usedExtents('receivers')).toBe(1);
    memory.free(announced.info);
    expect(arena.usedExtents('receivers')).toBe(0);
  });

  it('blocks that are on their way to the log are kept, whatever their memory', async () => {
    await start();
    const { opened, open } = gate();
    appended = opened;
    const announced = blockIn(executor(), 0);
    const outcome = executor().announce(announced);
    executor().die();
    await settle();
    expect(arena.usedExtents('receivers')).toBe(1); // nothing is given back before it is clear
    open();
    expect(await outcome).toEqual([ADDED]);
    await settle();
    expect(arena.usedExtents('receivers')).toBe(1);
    expect(kept()).toEqual([announced.bytes.extentIndex]);
  });

  it('what it had posted and arrives later is refused', async () => {
    await start();
    const { opened, open } = gate();
    appended = opened;
    const first = executor().announce(blockIn(executor(), 0));
    const [second, third] = [blockIn(executor(), 1), blockIn(executor(), 2)];
    executor().die();
    await settle();
    const late = executor().announce(second);
    open();
    expect(await first).toEqual([ADDED]);
    expect(await late).toEqual([REFUSED]);
    await settle();
    await advance(RESPAWN_MS);
    await executor(1).announce(blockIn(executor(1), 0));
    expect(await executor(0).announce(third)).toEqual([REFUSED]);
    expect(queued(blocks.state)).toEqual(['lines/0/4.1/0', 'lines/0/4.2/0']);
    expect(arena.usedExtents('receivers')).toBe(2);
  });

  it('its claims are free for the next delivery', async () => {
    await start();
    const { driver, life } = executor();
    await driver.claim(life, 'k', 'd');
    const waiting = claims.claim({ ...life, receiverIndex: 1 }, 'k', 'd');
    executor().die();
    expect(await waiting).toEqual({ kind: 'new' });
  });

  it('again and again, its successors come later and later; a long life resets that', async () => {
    await start();
    for (const delayMs of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      executor().die();
      await settle();
      expect(clock.pendingMs).toEqual([delayMs]);
      await advance(delayMs);
    }
    await executor().driver.receiverEvent(executor().life, { kind: 'started' });
    await advance(59_999);
    executor().die();
    await settle();
    expect(clock.pendingMs).toEqual([30_000]);
    await advance(30_000);
    await advance(60_000);
    executor().die();
    await settle();
    expect(clock.pendingMs).toEqual([RESPAWN_MS]);
  });

  it('while it starts, it is replaced too', async () => {
    await start();
    executor().die();
    await settle();
    onSpawn = (each) => each.die();
    await advance(RESPAWN_MS);
    onSpawn = () => {};
    await advance(2 * RESPAWN_MS);
    expect(executors).toHaveLength(3);
    expect(executor().life.incarnation.n).toBeGreaterThan(1);
    expect(fatal).toEqual([]);
  });

  it('and its successor cannot run, the engine ends', async () => {
    await start();
    onSpawn = (each) => (each.graph = []);
    executor().die();
    await settle();
    await advance(RESPAWN_MS);
    expect(fatal).toHaveLength(1);
    expect(fatal[0]).toMatchObject({
      code: 'RECEIVER_FAILED',
      cause: { code: 'PIPELINE_MISMATCH' },
    });
  });

  it('the cleaning of the other logs goes on', async () => {
    setUp([[place(LINES)], [place(OTHER)]]);
    await start();
    executor(0).die();
    await settle();
    await receivers.truncateLogs((index) => (10 + index) as Lsn);
    expect(executor(1).truncations).toEqual([11]);
    expect(executor(0).truncations).toEqual([]);
  });
});

describe('an address that cannot be had', () => {
  const error = toWireError(new MillraceError('ADDRESS_UNAVAILABLE', 'the port is in use'));
  const failed = { kind: 'error', message: 'onStart failed', error } as const;

  it('ends the engine at the first start', async () => {
    await start();
    await executor().driver.receiverEvent(executor().life, failed);
    expect(fatal).toMatchObject([{ code: 'ADDRESS_UNAVAILABLE' }]);
  });

  it('is tried again once the receiver has run', async () => {
    await start();
    await executor().driver.receiverEvent(executor().life, { kind: 'started' });
    await executor().driver.receiverEvent(executor().life, failed);
    expect(fatal).toEqual([]);
  });
});

describe('a new life in place', () => {
  it('comes after the adds of the old one, and ends it', async () => {
    await start();
    const position = { positions: [{ partition: '', follows: null, last: 5 }] };
    const { opened, open } = gate();
    appended = opened;
    const old = executor().life;
    const late = blockIn(executor(), 1);
    const outcome = executor().announce(blockIn(executor(), 0, position));
    let life: ReceiverLife | undefined;
    const renewed = executor()
      .driver.renewLife(old)
      .then((given) => (life = given));
    await settle();
    expect(life).toBeUndefined();
    open();
    expect(await outcome).toEqual([ADDED]);
    await renewed;
    expect(life).toMatchObject({ incarnation: { epoch: EPOCH, n: 2 }, lastPosition: { '': 5 } });
    expect(await executor().announce(late)).toEqual([REFUSED]);
  });

  it('frees the claims of the old one, and no others', async () => {
    setUp([[place(LINES, 0, 2), place(LINES, 1, 2)]]);
    await start();
    const [first, second] = executor().lives as [ReceiverLife, ReceiverLife];
    const { driver } = executor();
    await driver.claim(first, 'k0', 'd');
    await driver.claim(second, 'k1', 'd');
    const renewed = await driver.renewLife(first);
    expect(await driver.claim(second, 'k0', 'd')).toEqual({ kind: 'new' });
    let other: unknown;
    void driver.claim(renewed, 'k1', 'd').then((outcome) => (other = outcome));
    await settle();
    expect(other).toBeUndefined();
  });

  it('is refused while the engine stops', async () => {
    await start();
    const { driver, life } = executor();
    await receivers.stopReceivers();
    await expect(driver.renewLife(life)).rejects.toMatchObject({ code: 'RECEIVER_STOPPED' });
  });
});

describe('an idempotency key', () => {
  it('is settled when its block is registered, or when its store failed', async () => {
    await start();
    const { driver, life } = executor();
    expect(await driver.claim(life, 'k', 'd')).toEqual({ kind: 'new' });
    await executor().announce(blockIn(executor(), 0, { sourceIds: [sourceId('k', 'd')] }));
    expect(await driver.claim(life, 'k', 'd')).toEqual({ kind: 'known', recordCount: 1 });
    await driver.claim(life, 'j', 'd');
    await driver.releaseClaim(life, 'j');
    expect(await driver.claim(life, 'j', 'd')).toEqual({ kind: 'new' });
  });
});

describe('stopReceivers', () => {
  it('waits for an announcement that comes after the answer, and for its adds', async () => {
    await start();
    const { opened, open } = gate();
    appended = opened;
    executor().lastAnnouncementSeq = 1; // it says so, and the message is still on its way
    let isDrained = false;
    const drained = receivers.stopReceivers().then(() => (isDrained = true));
    await settle();
    expect(isDrained).toBe(false);
    executor().lastAnnouncementSeq = 0;
    const outcome = executor().announce(blockIn(executor(), 0));
    await settle();
    expect(isDrained).toBe(false);
    open();
    await drained;
    expect(await outcome).toEqual([ADDED]);
    expect(queued(blocks.state)).toHaveLength(1);
  });

  it('replaces no thread any more', async () => {
    await start();
    executor().die();
    await settle();
    await receivers.stopReceivers();
    await receivers.close();
    expect(clock.pendingMs).toEqual([]);
    await advance(60_000);
    expect(executors).toHaveLength(1);
    expect(executor().isTerminated).toBe(true);
  });

  it('comes to its end when the thread dies before its last announcement came', async () => {
    await start();
    executor().lastAnnouncementSeq = 1;
    const drained = receivers.stopReceivers();
    await settle();
    executor().die();
    await drained;
  });
});

it('close ends every thread, also when a log does not close', async () => {
  setUp([[place(LINES)], [place(OTHER)]]);
  await start();
  executor(0).api.close = () => Promise.reject(new MillraceError('WAL_POISONED', 'no'));
  await expect(receivers.close()).rejects.toMatchObject({ code: 'WAL_POISONED' });
  await settle();
  expect(executors.map(({ isTerminated }) => isTerminated)).toEqual([true, true]);
});

describe('terminate', () => {
  it('lets receivers answer whom they owe one, and ends the threads', async () => {
    await start();
    let isAsked = false;
    executor().api.stopReceivers = async () => {
      isAsked = true;
      return { lastAnnouncementSeq: 0 };
    };
    await receivers.terminate();
    expect([isAsked, executor().isTerminated]).toEqual([true, true]);
    expect(clock.pendingMs).toEqual([]);
  });

  it('waits for them no longer than five seconds', async () => {
    await start();
    executor().api.stopReceivers = () => new Promise(() => {});
    const ended = receivers.terminate();
    await settle();
    expect(executor().isTerminated).toBe(false);
    await advance(4_999);
    expect(executor().isTerminated).toBe(false);
    await advance(1);
    await ended;
    expect(executor().isTerminated).toBe(true);
  });
});

it('all have ended when each has said so', async () => {
  setUp([[place(LINES)], [place(OTHER)]]);
  await start();
  expect(receivers.hasEnded).toBe(false);
  for (const each of executors) {
    expect(receivers.hasEnded).toBe(false);
    await each.driver.receiverEvent(each.life, { kind: 'ended' });
  }
  expect(receivers.hasEnded).toBe(true);
});

describe('a poisoned log', () => {
  const wire = { name: 'MillraceError', message: 'a sync failed', code: 'WAL_POISONED' };
  const places = { from: '/the-home/receiver-log-0', to: '/other/receiver-log-0.4q' };

  it('ends the engine', async () => {
    await start();
    await executor().driver.logPoisoned(wire);
    expect(fatal[0]).toMatchObject({ code: 'WAL_POISONED', message: 'a sync failed' });
  });

  it('is replaced, when there is another: new thread, new lives, old blocks live on', async () => {
    await start();
    const old = executor();
    const kept = blockIn(old, 0);
    await old.announce(kept);
    const late = blockIn(old, 1);
    const steps: string[] = [];
    moveLog = async () => {
      steps.push(`moved, thread alive: ${!old.isTerminated}, threads: ${executors.length}`);
      return places;
    };
    await old.driver.logPoisoned(wire);
    expect(steps).toEqual(['moved, thread alive: true, threads: 1']);
    expect(executors).toHaveLength(2);
    expect(executor().life.incarnation).toEqual({ epoch: EPOCH, n: 2 });
    expect(await old.announce(late)).toEqual([
      { kind: 'refused', reason: 'it belongs to an earlier life of its receiver' },
    ]);
    expect(queued(blocks.state)).toHaveLength(1);
    const told = { type: 'log-quarantined', receivers: ['lines/0'], error: 'a sync failed' };
    expect(events).toContainEqual({ ...told, ...places });
    expect(events.filter(({ type }) => type === 'executor-died')).toEqual([]);
  });

  it('gives its receivers no new life in the old thread', async () => {
    await start();
    const old = executor();
    let isKnown = (): void => {};
    moveLog = async () => {
      await new Promise<void>((resolve) => (isKnown = resolve));
      return places;
    };
    const moving = old.driver.logPoisoned(wire);
    await settle();
    const refused = { code: 'RECEIVER_STOPPED' };
    await expect(old.driver.renewLife(old.life)).rejects.toMatchObject(refused);
    isKnown();
    await moving;
    expect(executor().life.incarnation.n).toBe(2);
  });

  it('ends the engine when no other log can be had', async () => {
    await start();
    moveLog = () => Promise.reject(new Error('MANIFEST cannot be written'));
    await executor().driver.logPoisoned(wire);
    expect(fatal[0]).toMatchObject({ code: 'WAL_POISONED' });
    expect(fatal[0]?.message).toContain('MANIFEST cannot be written');
  });

  it('that answers a cleaning is no failure of the cleaning', async () => {
    await start();
    executor().truncationFailure = new MillraceError('WAL_POISONED', 'a sync failed');
    await receivers.truncateLogs(() => 5 as Lsn);
    expect(fatal).toEqual([]);
  });
});

describe('a full disk', () => {
  const short = { directory: '/the-home/log', wantedBytes: 64, missingBytes: 10 };

  it('holds receivers back, also those of a new thread', async () => {
    await start();
    await executor().driver.logShortage(short); // forgotten with the thread
    expect(space.heldReceivers).toEqual(['lines/0']);
    space.ofDriverLog(short);
    await settle();
    expect(executor(0).holds).toEqual([true]);
    executor(0).die();
    await settle();
    await advance(RESPAWN_MS);
    expect(executor(1).holds).toEqual([true]);
    space.ofDriverLog(undefined);
    expect(space.heldReceivers).toEqual([]);
    await settle();
    expect(executor(1).holds).toEqual([true, false]);
  });
});
