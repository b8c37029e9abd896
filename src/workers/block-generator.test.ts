/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { LINES } from '../../test/support/block-samples.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { AnnounceDesk, HandSlotLog, lifeOf, settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { BlockWriter } from '../blocks/block-writer.ts';
import { MillraceError } from '../core/errors.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BlockGenerator, STALLED_CALLS_MAX } from './block-generator.ts';
import type { BlockGeneratorOptions } from './block-generator.ts';
import { BlockPusher, IN_FLIGHT_BYTES_MAX } from './block-pusher.ts';
import { RateGate } from './rate-gate.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const INTERVAL_MS = 200;

let clock: ManualClock;
let arena: BlockArena;
let desk: AnnounceDesk;
let pusher: BlockPusher;
let generator: BlockGenerator;
let broken: Error[];

beforeEach(() => {
  setUp();
});

/** A generator without a log: what it cuts is announced at once. */
function setUp(more: Partial<BlockGeneratorOptions> & { log?: HandSlotLog } = {}): void {
  const { log, ...options } = more;
  clock = new ManualClock();
  arena = options.arena ?? BlockArena.create(MIB); // 12 extents of 64 KiB for receivers
  desk = new AnnounceDesk();
  pusher = new BlockPusher({
    arena,
    durability: log === undefined ? 'off' : 'sync',
    ...(log === undefined ? {} : { log: { wal: log, name: 'receiver-log-0' } }),
    announce: desk.announce,
  });
  broken = [];
  generator = new BlockGenerator({
    life: lifeOf(),
    writer: new BlockWriter(arena, msgpackCodec, 1),
    pusher,
    rate: new RateGate({ clock }),
    arena,
    clock,
    blockIntervalMs: INTERVAL_MS,
    blockBytesMax: 32 * KIB,
    onBroken: (cause) => broken.push(cause),
    ...options,
  });
}

/** Leaves `extents` of the receivers' region free. @returns gives one back. */
function fillArena(extents: number): () => void {
  const taken: number[] = [];
  for (;;) {
    const index = arena.acquire('receivers', 99, 1);
    if (index === undefined) break;
    taken.push(index);
  }
  const giveBack = (): void => arena.drop(taken.pop() as number);
  for (let left = 0; left < extents; left += 1) giveBack();
  return giveBack;
}

/** What became of a promise, so far. */
async function outcomeOf(promise: void | Promise<void>): Promise<string> {
  let outcome = 'waiting';
  Promise.resolve(promise).then(
    () => (outcome = 'resolved'),
    (error: unknown) => (outcome = error instanceof MillraceError ? error.code : 'rejected'),
  );
  await settle();
  return outcome;
}

/** Stores a record while there is room. */
function put(record: unknown): void {
  expect(generator.storeOne(record)).toBeUndefined();
}

/** Cuts the current block. */
async function nextInterval(): Promise<void> {
  clock.advance(INTERVAL_MS);
  await settle();
}

const positionsOf = (): unknown[] => desk.blocks.map(({ info }) => info.positions);

describe('a block is cut', () => {
  it('an interval after its first record', async () => {
    put('a');
    clock.advance(INTERVAL_MS - 1);
    put('b');
    await settle();
    expect(desk.batches).toEqual([]);
    clock.advance(1);
    await settle();
    clock.advance(1_000);
    put('c');
    clock.advance(INTERVAL_MS);
    await settle();
    expect(desk.records(arena)).toEqual([['a', 'b'], ['c']]);
    expect(desk.blocks.map(({ info }) => info.blockId)).toEqual(
      [0, 1].map((seq) => ({
        streamId: LINES,
        receiverIndex: 0,
        incarnation: { epoch: 1, n: 1 },
        seq,
      })),
    );
  });

  it('never when nothing was stored', () => {
    expect(clock.pendingMs).toEqual([]);
    clock.advance(10 * INTERVAL_MS);
    expect(desk.batches).toEqual([]);
  });

  it('when it has the bytes it may have, and the next one has a full interval', async () => {
    setUp({ blockBytesMax: 100 });
    clock.advance(150);
    for (let i = 0; i < 10; i += 1) put('0123456789');
    await settle();
    expect(desk.records(arena)).toEqual([Array(10).fill('0123456789')]);
    expect(clock.pendingMs).toEqual([]);
    clock.advance(30);
    put('next');
    expect(clock.pendingMs).toEqual([INTERVAL_MS]);
  });

  it('before a record of another kind, and order is kept', async () => {
    put('text');
    put({ n: 1 });
    put('text again');
    const acknowledged = generator.storeAll(['x', 2], {});
    await nextInterval();
    await acknowledged;
    expect(desk.records(arena)).toEqual([['text'], [{ n: 1 }, 'text again', 'x', 2]]);
  });
});

describe('storeOne', () => {
  it('gives no promise while there is room', () => {
    for (let i = 0; i < 10_000; i += 1) expect(generator.storeOne('0123456789')).toBeUndefined();
  });

  it('marks its block as one that the source will not send again', async () => {
    put('a');
    await nextInterval();
    const acknowledged = generator.storeAll(['b'], {});
    await nextInterval();
    void generator.storeAll(['c'], {});
    put('d');
    await nextInterval();
    await acknowledged;
    expect(desk.blocks.map(({ info }) => info.isBuffered)).toEqual([true, false, true]);
  });

  it('refuses a record that cannot be stored, and goes on', async () => {
    put('a');
    expect(() => generator.storeOne('\ud800')).toThrow('lone surrogate');
    put('b');
    await nextInterval();
    expect(desk.records(arena)).toEqual([['a', 'b']]);
    expect(broken).toEqual([]);
  });
});

describe('storeAll', () => {
  it('resolves when its block is added, not before', async () => {
    desk.hold();
    const stored = generator.storeAll(['a', 'b'], {});
    expect(await outcomeOf(stored)).toBe('waiting');
    await nextInterval();
    expect(desk.batches).toHaveLength(1);
    expect(await outcomeOf(stored)).toBe('waiting');
    desk.release();
    expect(await outcomeOf(stored)).toBe('resolved');
  });

  it('resolves at once for nothing, and makes no block', async () => {
    expect(await outcomeOf(generator.storeAll([], { position: 5 }))).toBe('resolved');
    expect(clock.pendingMs).toEqual([]);
  });

  it('keeps the records of a call in one block, and the order of the calls', async () => {
    const calls = Array.from({ length: 40 }, (_, call) =>
      Array.from({ length: 5 }, (__, i) => `${call}.${i} ${'x'.repeat(1_500)}`),
    );
    const stored = Promise.all(calls.map((records) => generator.storeAll(records, {})));
    await nextInterval();
    await stored;
    const blocks = desk.records(arena);
    expect(blocks.length).toBeGreaterThan(4);
    expect(blocks.flat()).toEqual(calls.flat());
    for (const block of blocks) expect(block.length % 5).toBe(0);
  });

  it('rejects only the call that cannot be stored', async () => {
    const [good, bad, too] = [
      generator.storeAll(['a'], {}),
      generator.storeAll(['b', '\ud800'], {}),
      generator.storeAll(['c'], {}),
    ];
    expect(await outcomeOf(bad)).toBe('RECORD_UNSUPPORTED');
    await nextInterval();
    await Promise.all([good, too]);
    expect(desk.records(arena)).toEqual([['a', 'c']]);
  });

  it('names the positions that a block covers, each block after the one before', async () => {
    setUp({ life: lifeOf({ lastPosition: { '': 3 } }) });
    const stored = [
      generator.storeAll(['a'], { position: 5 }),
      generator.storeAll(['b'], {}),
      generator.storeAll(['c'], { position: 9 }),
    ];
    await nextInterval();
    stored.push(generator.storeAll(['d'], {}));
    await nextInterval();
    stored.push(generator.storeAll(['e'], { position: { '': 12, p1: 'x' } }));
    stored.push(generator.storeAll(['f'], { position: { p1: 'y' } }));
    await nextInterval();
    await Promise.all(stored);
    expect(positionsOf()).toEqual([
      [{ partition: '', follows: 3, last: 9 }],
      [],
      [
        { partition: '', follows: 9, last: 12 },
        { partition: 'p1', follows: null, last: 'y' },
      ],
    ]);
  });

  it('records idempotency keys with the records of their call', async () => {
    const idempotency = (key: string) => ({ idempotency: { key, digest: `of ${key}` } });
    const stored = [
      generator.storeAll(['a', 'b'], idempotency('k1')),
      generator.storeAll(['c'], {}),
      generator.storeAll(['d'], idempotency('k2')),
    ];
    await nextInterval();
    void generator.storeAll(['e'], {});
    await nextInterval();
    await Promise.all(stored);
    expect(desk.blocks.map(({ info }) => info.sourceIds)).toEqual([
      [
        { key: 'k1', digest: 'of k1', recordCount: 2 },
        { key: 'k2', digest: 'of k2', recordCount: 1 },
      ],
      [],
    ]);
  });

  it('has room for a long position that the block follows, in a full extent', async () => {
    setUp({ life: lifeOf({ lastPosition: { '': 'L'.repeat(5_000) } }), blockBytesMax: MIB });
    const record = 'x'.repeat(1_000);
    const stored = [generator.storeAll([record], { position: 'short' })];
    while (clock.pendingMs.length > 0 && desk.batches.length === 0 && stored.length < 64) {
      stored.push(generator.storeAll([record], {}));
      await settle();
    }
    await nextInterval();
    await Promise.all(stored);
    expect(positionsOf()[0]).toEqual([
      { partition: '', follows: 'L'.repeat(5_000), last: 'short' },
    ]);
  });
});

describe('when the arena is full', () => {
  it('calls wait, in order, and resume in order', async () => {
    const giveBack = fillArena(0);
    const waiting = [
      generator.storeOne('a'),
      generator.storeAll(['b', 'c'], {}),
      generator.storeOne('d'),
    ];
    expect(waiting.every((each) => each instanceof Promise)).toBe(true);
    expect(generator.isFull).toBe(true);
    expect(await outcomeOf(waiting[0])).toBe('waiting');
    giveBack();
    await settle();
    expect(generator.isFull).toBe(false);
    expect(await outcomeOf(waiting[0])).toBe('resolved');
    expect(generator.storeOne('e')).toBeUndefined();
    await nextInterval();
    expect(await Promise.all(waiting.map(outcomeOf))).toEqual(Array(3).fill('resolved'));
    expect(desk.records(arena)).toEqual([['a', 'b', 'c', 'd', 'e']]);
  });

  it('a small call does not overtake a large one that waits', async () => {
    const giveBack = fillArena(0);
    giveBack();
    arena.drop(0); // far from the other one: each has room for a small call, and no two neighbours
    put('a');
    const large = generator.storeAll(['b'.repeat(70 * KIB)], {});
    const small = [generator.storeOne('c'), generator.storeAll(['d'], {})];
    expect(await outcomeOf(large)).toBe('waiting');
    for (let extent = 1; extent < 11; extent += 1) giveBack();
    await settle();
    await nextInterval();
    expect(await Promise.all([large, ...small].map(outcomeOf))).toEqual(Array(3).fill('resolved'));
    expect(desk.records(arena).flat()).toEqual(['a', 'b'.repeat(70 * KIB), 'c', 'd']);
  });

  it('a waiting call that cannot be stored holds nobody back', async () => {
    const giveBack = fillArena(0);
    const waiting = [
      generator.storeAll(['a'], {}),
      generator.storeAll(['\ud800'], {}),
      generator.storeAll(['b'], {}),
    ];
    const outcomes = Promise.all(waiting.map(outcomeOf));
    giveBack();
    await outcomes;
    await nextInterval();
    expect(await Promise.all(waiting.map(outcomeOf))).toEqual([
      'resolved',
      'RECORD_UNSUPPORTED',
      'resolved',
    ]);
    expect(desk.records(arena)).toEqual([['a', 'b']]);
  });

  it('the block in hand is cut on time all the same', async () => {
    fillArena(1);
    put('a');
    const large = generator.storeAll(['b'.repeat(70 * KIB)], {});
    expect(await outcomeOf(large)).toBe('waiting');
    await nextInterval();
    expect(desk.records(arena)).toEqual([['a']]);
    expect(await outcomeOf(large)).toBe('waiting');
  });

  it('a receiver that never waits gets an error, in the end', async () => {
    fillArena(0);
    const waiting = Array.from({ length: STALLED_CALLS_MAX }, () => generator.storeOne('a'));
    expect(await outcomeOf(generator.storeOne('one too many'))).toBe('RECEIVER_FAILED');
    expect(await outcomeOf(waiting.at(-1))).toBe('waiting');
    const refused = Promise.all([waiting[0], waiting.at(-1)].map(outcomeOf));
    for (const each of waiting) Promise.resolve(each).catch(() => undefined);
    await generator.stop();
    expect(await refused).toEqual(['RECEIVER_STOPPED', 'RECEIVER_STOPPED']);
  });
});

it('calls wait while too many bytes are on their way to the log, and resume in order', async () => {
  const log = new HandSlotLog();
  setUp({ arena: BlockArena.create(128 * MIB), blockBytesMax: MIB, log });
  const record = 'x'.repeat(MIB - 8 * KIB);
  let stored = 0;
  let waiting: void | Promise<void>;
  while ((waiting = generator.storeOne(record)) === undefined) stored += 1;
  expect(pusher.inFlightBytes).toBeGreaterThanOrEqual(IN_FLIGHT_BYTES_MAX);
  expect(pusher.inFlightBytes).toBeLessThan(IN_FLIGHT_BYTES_MAX + 2 * MIB);
  const last = generator.storeOne('last');
  expect(await outcomeOf(waiting)).toBe('waiting');
  log.sync(2);
  await settle();
  expect(await outcomeOf(waiting)).toBe('resolved');
  log.sync();
  await settle();
  await Promise.all([waiting, last, generator.stop(), syncAll(log)]);
  const all = desk.records(arena).flat();
  expect(all).toHaveLength(stored + 2);
  expect(all.at(-1)).toBe('last');
});

/** Lets the last blocks through, whenever they come. */
async function syncAll(log: HandSlotLog): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    await settle();
    log.sync();
  }
}

describe('stop', () => {
  it('pushes what was taken, and resolves when it is settled', async () => {
    desk.hold();
    const stored = generator.storeAll(['a'], {});
    put('b');
    const stopped = generator.stop();
    expect(await outcomeOf(stopped)).toBe('waiting');
    expect(desk.records(arena)).toEqual([['a', 'b']]);
    desk.release();
    expect(await outcomeOf(stopped)).toBe('resolved');
    expect(await outcomeOf(stored)).toBe('resolved');
    expect(clock.pendingMs).toEqual([]);
  });

  it('refuses calls that wait and calls that come', async () => {
    const giveBack = fillArena(0);
    const waiting = [generator.storeOne('a'), generator.storeAll(['b'], {})];
    const outcomes = Promise.all(waiting.map(outcomeOf));
    await generator.stop();
    expect(await outcomes).toEqual(['RECEIVER_STOPPED', 'RECEIVER_STOPPED']);
    giveBack();
    expect(() => generator.storeOne('c')).toThrow('stopping');
    expect(await outcomeOf(generator.storeAll(['d'], {}))).toBe('RECEIVER_STOPPED');
    await settle();
    expect(desk.batches).toEqual([]);
    expect(broken).toEqual([]);
  });

  it('leaves no memory behind', async () => {
    put('a');
    await generator.stop();
    for (const { bytes } of desk.blocks) arena.drop(bytes.extentIndex);
    expect(arena.usedExtents('receivers')).toBe(0);
  });
});

describe('when a block is refused', () => {
  it('its calls and all later ones are refused, and the life ends once', async () => {
    desk.hold();
    const first = generator.storeAll(['a'], {});
    await nextInterval();
    const second = generator.storeAll(['b'], {});
    await nextInterval();
    const inHand = generator.storeAll(['c'], {});
    desk.refusal = 'it follows a gap';
    desk.release();
    expect(await Promise.all([first, second, inHand].map(outcomeOf))).toEqual(
      Array(3).fill('BLOCK_REFUSED'),
    );
    expect(broken.map(({ message }) => message)).toEqual(['block refused: it follows a gap']);
    expect(() => generator.storeOne('d')).toThrow(
      expect.objectContaining({ code: 'BLOCK_REFUSED' }),
    );
    clock.advance(10 * INTERVAL_MS);
    await generator.stop();
    expect(desk.blocks).toHaveLength(2);
    expect(arena.usedExtents('receivers')).toBe(0);
    expect(clock.pendingMs).toEqual([]);
  });

  it('calls that wait for room are refused too', async () => {
    fillArena(1);
    desk.hold();
    const inFlight = generator.storeAll(['a'], {});
    await nextInterval();
    const waiting = generator.storeAll(['b'.repeat(70 * KIB)], {});
    expect(await outcomeOf(waiting)).toBe('waiting');
    desk.refusal = 'no';
    desk.release();
    expect(await Promise.all([waiting, inFlight].map(outcomeOf))).toEqual([
      'BLOCK_REFUSED',
      'BLOCK_REFUSED',
    ]);
    expect(broken).toHaveLength(1);
  });

  it('while stopping, the stop comes to its end', async () => {
    desk.refusal = 'no';
    const stored = outcomeOf(generator.storeAll(['a'], {}));
    await generator.stop();
    expect(await stored).toBe('BLOCK_REFUSED');
    expect(arena.usedExtents('receivers')).toBe(0);
  });
});

it('when the log is poisoned, nothing is acknowledged and the life ends once', async () => {
  const log = new HandSlotLog();
  setUp({ log });
  const stored = generator.storeAll(['a'], {});
  await nextInterval();
  const next = generator.storeAll(['b'], {});
  await nextInterval();
  log.poison();
  expect(await Promise.all([stored, next].map(outcomeOf))).toEqual([
    'WAL_POISONED',
    'WAL_POISONED',
  ]);
  expect(broken).toHaveLength(1);
  expect(desk.batches).toEqual([]);
});

describe('with a rate', () => {
  function setUpRate(maxRate: number): RateGate {
    setUp();
    const rate = new RateGate({ clock, maxRate });
    generator = new BlockGenerator({
      life: lifeOf(),
      writer: new BlockWriter(arena, msgpackCodec, 1),
      pusher,
      rate,
      arena,
      clock,
      blockIntervalMs: INTERVAL_MS,
      blockBytesMax: 32 * KIB,
      onBroken: (cause) => broken.push(cause),
    });
    return rate;
  }

  it('gives a promise for a record without a token, until there is one', async () => {
    setUpRate(10); // two at once, then one each 100 ms
    const taken: string[] = [];
    put('a');
    put('b');
    expect(generator.isFull).toBe(true);
    for (const record of ['c', 'd']) {
      void generator.storeOne(record)?.then(() => taken.push(record));
    }
    expect(clock.pendingMs).toEqual([100, INTERVAL_MS]); // one wait, and the block's own timer
    clock.advance(99);
    await settle();
    expect(taken).toEqual([]);
    clock.advance(1);
    await settle();
    expect(taken).toEqual(['c']);
    clock.advance(100);
    await settle();
    expect(taken).toEqual(['c', 'd']);
    await nextInterval();
    expect(desk.records(arena).flat()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('takes a call as a whole, and lets the next one wait for its debt', async () => {
    setUpRate(100); // 20 at once: 101 are missing after this call
    const large = generator.storeAll(Array(120).fill('x'), {});
    void generator.storeOne('y')?.catch(() => undefined);
    clock.advance(1_009);
    await large;
    await settle();
    expect(generator.isFull).toBe(true);
    clock.advance(1);
    await settle();
    clock.advance(INTERVAL_MS);
    await settle();
    expect(desk.records(arena).map((records) => records.length)).toEqual([120, 1]);
  });

  it('spends nothing on records that cannot be stored', async () => {
    const rate = setUpRate(10);
    expect(() => generator.storeOne('\ud800')).toThrow('lone surrogate');
    await expect(generator.storeAll(['\ud800'], {})).rejects.toThrow('lone surrogate');
    expect(rate.allowance.records).toBe(2);
  });

  it('keeps the order of calls that wait, when the rate rises', async () => {
    const rate = setUpRate(1);
    put('0');
    for (const record of ['1', '2', '3']) void generator.storeAll([record], {});
    rate.setRate(0.5);
    await settle();
    expect(generator.isFull).toBe(true);
    clock.advance(6_000);
    await settle();
    expect(desk.records(arena).flat()[0]).toBe('0');
    for (let turn = 0; turn < 10; turn += 1) {
      clock.advance(2_000);
      await settle();
    }
    expect(desk.records(arena).flat()).toEqual(['0', '1', '2', '3']);
  });

  it('refuses what waits for a token when it stops, and leaves no timer', async () => {
    setUpRate(1);
    put('a');
    const waiting = Promise.resolve(generator.storeOne('b'));
    const refused = expect(waiting).rejects.toThrow('stopping');
    await generator.stop();
    await refused;
    expect(clock.pendingMs).toEqual([]);
    expect(desk.records(arena)).toEqual([['a']]);
  });
});
