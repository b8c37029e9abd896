/** @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { LINES, blockOf, queued } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import { InlinePool } from '../../test/support/inline-pool.ts';
import { inlineScheduler } from '../../test/support/inline-scheduler.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { EventBus } from '../core/events.ts';
import type { Lsn, WallMs } from '../core/ids.ts';
import type { BuildPipeline } from '../dstream/pipeline.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { BatchGenerator, UNFINISHED_BATCHES_MAX } from './batch-generator.ts';
import type { BatchGeneratorOptions } from './batch-generator.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import { BlockTracker } from './block-tracker.ts';
import { emptyTrackerState } from './tracker-state.ts';

const INTERVAL_MS = 1_000;

/** Somebody sets the wall clock; timers go on. */
class SettableClock extends ManualClock {
  offsetMs = 0;

  override wallMs(): WallMs {
    return (super.wallMs() + this.offsetMs) as WallMs;
  }
}

let clock: SettableClock;
let tracker: BlockTracker;
let generator: BatchGenerator;
let allocations: number;
let failures: string[];
let warnings: string[];
/** What the driver log does with an append. */
let appended: () => Promise<void>;
/** What the only output waits for. */
let output: Promise<void>;
let nextSeq: number;

beforeEach(() => {
  clock = new SettableClock(10_250);
  allocations = 0;
  failures = [];
  warnings = [];
  nextSeq = 0;
  appended = () => Promise.resolve();
  output = Promise.resolve();
  setUp((ssc) => ssc.socketTextStream('h', 1, { id: LINES }).foreachBatch(() => output));
});

function setUp(build: BuildPipeline, more: Partial<BatchGeneratorOptions> = {}): void {
  const graph = graphOf(build);
  const events = new EventBus();
  events.subscribe((event) => {
    if (event.type === 'warning') warnings.push(event.message);
  });
  let lsn = 0;
  tracker = new BlockTracker(0 as Lsn, {
    state: emptyTrackerState(10),
    log: {
      async append() {
        await appended();
        lsn += 1;
        return { lsn: lsn as Lsn };
      },
    },
    codec: msgpackCodec,
    isCurrent: () => true,
    onRegistered: () => {},
  });
  const arena = BlockArena.create(1024 * 1024);
  const times = new StreamTimes(graph.nodes, INTERVAL_MS);
  const pool = new InlinePool(graph, arena);
  const onFailed = (error: Error): void => void failures.push(error.message);
  const parts = { graph, clock, events, times };
  const { scheduler } = inlineScheduler({
    ...parts,
    arena,
    pool,
    onCompleted: () => {},
    onFailed,
  });
  generator = new BatchGenerator({
    ...parts,
    tracker,
    scheduler,
    executors: 2,
    shareBytesMax: 20_000,
    codeHash: 'c',
    onAllocated: () => (allocations += 1),
    onFailed,
    ...more,
  });
}

async function advance(ms: number): Promise<void> {
  clock.advance(ms);
  await settle();
}

/** A block arrives and is registered. */
async function receive(): Promise<void> {
  const block = blockOf(nextSeq, { durability: 'off' });
  nextSeq += 1;
  expect(await tracker.add(block)).toEqual({ kind: 'added' });
}

/** Allocated batches: time and number of blocks. */
function batches(): [number, number][] {
  return [...tracker.state.batches.values()].map(({ share }) => {
    const [input] = share.inputs;
    return [share.batchTimeMs, input?.kind === 'blocks' ? input.blocks.length : -1];
  });
}

describe('a tick', () => {
  it('comes at each multiple of the batch interval, also when nothing was received', async () => {
    generator.start();
    expect(clock.pendingMs).toEqual([750]);
    await receive();
    await advance(750);
    await advance(999);
    expect(batches()).toEqual([[11_000, 1]]);
    await advance(1);
    expect(batches()).toEqual([
      [11_000, 1],
      [12_000, 0],
    ]);
    expect(allocations).toBe(2);
  });

  it('takes what was registered before it, and leaves the rest for the next', async () => {
    generator.start();
    await receive();
    await receive();
    await advance(750);
    await receive();
    await advance(INTERVAL_MS);
    expect(batches()).toEqual([
      [11_000, 2],
      [12_000, 1],
    ]);
    expect(queued(tracker.state)).toEqual([]);
  });

  it('on the grid itself begins a whole interval', () => {
    clock.advance(750);
    generator.start();
    expect(clock.pendingMs).toEqual([INTERVAL_MS]);
  });

  it('that takes long is not made up for', async () => {
    generator.start();
    let release = (): void => {};
    appended = () => new Promise((resolve) => (release = resolve));
    await advance(750);
    await advance(3_600);
    expect(clock.pendingMs).toEqual([]);
    appended = () => Promise.resolve();
    release();
    await settle();
    expect(batches().map(([time]) => time)).toEqual([11_000]);
    expect(clock.pendingMs).toEqual([400]);
    await advance(400);
    expect(batches().map(([time]) => time)).toEqual([11_000, 15_000]);
  });

  it('follows the last batch when the clock has been set back', async () => {
    generator.start();
    await advance(750);
    clock.offsetMs = -5_300;
    for (let step = 0; step < 30; step += 1) await advance(100);
    const times = batches().map(([time]) => time);
    expect(times).toEqual([11_000, 12_000, 13_000, 14_000]);
  });

  it('follows the clock when that has been set forward', async () => {
    generator.start();
    await advance(750);
    clock.offsetMs = 60_000;
    await advance(INTERVAL_MS);
    expect(batches().map(([time]) => time)).toEqual([11_000, 72_000]);
  });

  it('goes on from the batches of an earlier run', async () => {
    tracker.state.lastAllocatedMs = 20_000;
    generator.start();
    await advance(750);
    expect(batches().map(([time]) => time)).toEqual([21_000]);
  });
});

describe('a batch time that a stream with a slide waits for', () => {
  const times = (): number[] => [...tracker.state.batches.keys()];

  it('is not left out by a clock that jumps', async () => {
    setUp((ssc) => {
      const lines = ssc.socketTextStream('h', 1, { id: LINES });
      lines.window('7s', '7s').print();
      lines.window('6s', '6s').print();
    });
    generator.start();
    await receive();
    await advance(750); // 11 s
    clock.offsetMs = 40_000;
    for (let tick = 0; tick < 4; tick += 1) await advance(1_000);
    // What the batch at 11 s has is in the windows that end at 12 and at 14 s.
    expect(times()).toEqual([11_000, 12_000, 14_000, 54_000, 55_000]);
  });

  it('may be left out when nothing was received', async () => {
    setUp((ssc) => ssc.socketTextStream('h', 1, { id: LINES }).window('7s', '7s').print());
    generator.start();
    await advance(750);
    clock.offsetMs = 40_000;
    await advance(1_000);
    expect(times()).toEqual([11_000, 52_000]);
  });
});

describe('when too many batches are unfinished', () => {
  it('nothing is allocated until one is done, and that is said once', async () => {
    let finish = (): void => {};
    output = new Promise((resolve) => (finish = resolve));
    generator.start();
    await advance(750);
    for (let tick = 1; tick < UNFINISHED_BATCHES_MAX + 3; tick += 1) {
      await receive();
      await advance(INTERVAL_MS);
    }
    expect(batches()).toHaveLength(UNFINISHED_BATCHES_MAX);
    expect(queued(tracker.state)).toHaveLength(3);
    expect(warnings).toHaveLength(1);
    finish();
    await settle();
    await advance(INTERVAL_MS);
    expect(batches()).toHaveLength(UNFINISHED_BATCHES_MAX + 1);
    expect(batches().at(-1)?.[1]).toBe(3);
    expect(batches().at(-1)?.[0]).toBe(30_000);
  });

  it('that is said once of a run that stays at the bound, and again after a calm', async () => {
    const finishes: (() => void)[] = [];
    const block = (): void => {
      output = new Promise((resolve) => finishes.push(resolve));
    };
    const tick = async (count: number): Promise<void> => {
      for (let ticks = 0; ticks < count; ticks += 1) {
        await receive();
        await advance(INTERVAL_MS);
      }
    };
    block();
    generator.start();
    await advance(750);
    await tick(UNFINISHED_BATCHES_MAX + 2);
    expect(warnings).toHaveLength(1);
    const atBound = batches().length;
    for (let done = 0; done < 4; done += 1) {
      const finish = finishes.shift();
      block();
      finish?.();
      await settle();
      await tick(2);
    }
    expect(batches()).toHaveLength(atBound + 4);
    expect(warnings).toHaveLength(1);
    output = Promise.resolve();
    finishes.shift()?.();
    await settle();
    await advance(INTERVAL_MS);
    block();
    await tick(UNFINISHED_BATCHES_MAX + 2);
    expect(warnings).toHaveLength(2);
  });
});

describe('stop', () => {
  it('allocates what is left, if asked to', async () => {
    generator.start();
    await receive();
    await generator.stop(true);
    expect(batches()).toEqual([[10_000, 1]]);
    await advance(5 * INTERVAL_MS);
    expect(batches()).toHaveLength(1);
  });

  it('allocates all that is left, also when that is more than one batch may have', async () => {
    for (let block = 0; block < 250; block += 1) await receive();
    await generator.stop(true);
    expect(queued(tracker.state)).toEqual([]);
    const sizes = batches().map(([, size]) => size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(250);
    expect(sizes.length).toBeGreaterThan(1);
    expect(batches().map(([time]) => time)).toEqual(
      sizes.map((_, index) => 10_000 + 1_000 * index),
    );
  });

  it('allocates no empty batch', async () => {
    generator.start();
    await generator.stop(true);
    expect(batches()).toEqual([]);
  });

  it('leaves what is queued, if not asked', async () => {
    generator.start();
    await receive();
    await generator.stop(false);
    expect(batches()).toEqual([]);
  });

  it('waits for the tick under way, and then sees what that has left', async () => {
    generator.start();
    await receive();
    let release = (): void => {};
    appended = () => new Promise((resolve) => (release = resolve));
    await advance(750);
    let isStopped = false;
    const stopped = generator.stop(true).then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    release();
    await stopped;
    expect(batches()).toEqual([[11_000, 1]]);
    expect(clock.pendingMs).toEqual([]);
  });
});

it('an allocation that cannot be logged is told once, and ends the ticks', async () => {
  appended = () => Promise.reject(new Error('a sync failed'));
  generator.start();
  await advance(750);
  await advance(5 * INTERVAL_MS);
  expect(failures).toEqual(['a sync failed']);
  expect(batches()).toEqual([]);
  expect(allocations).toBe(0);
  expect(clock.pendingMs).toEqual([]);
});

describe('after downtime', () => {
  /** The last batch was that of 7,000; it is 10,250 now. */
  function restart(catchUp: 'coalesce' | 'replay', build?: BuildPipeline): void {
    const lines: BuildPipeline = (ssc) =>
      ssc.socketTextStream('h', 1, { id: LINES }).foreachBatch(() => output);
    setUp(build ?? lines, { catchUp });
    tracker.state.lastAllocatedMs = 7_000;
  }

  it('one batch has all that an earlier process has left, and what came since', async () => {
    restart('coalesce');
    await receive();
    await generator.makeUp();
    await receive();
    generator.start();
    await advance(750);
    expect(batches()).toEqual([[11_000, 2]]);
  });

  it('each missed time has a batch, and what was left is in the first', async () => {
    restart('replay');
    await receive();
    await generator.makeUp();
    expect(batches()).toEqual([[8_000, 1]]);
    await receive(); // by a receiver of this process
    generator.start();
    expect(clock.pendingMs).toEqual([63]); // and not at the next full second
    await advance(63);
    expect(batches()).toEqual([
      [8_000, 1],
      [9_000, 0],
      [10_000, 0],
    ]);
    expect(clock.pendingMs).toEqual([687]);
    await advance(687);
    expect(batches().at(-1)).toEqual([11_000, 1]);
  });

  it('a first start has missed nothing', async () => {
    restart('replay');
    tracker.state.lastAllocatedMs = 0;
    await generator.makeUp();
    generator.start();
    await advance(750);
    expect(batches()).toEqual([[11_000, 0]]);
  });

  it('each missed time has the next element of a queue', async () => {
    restart('replay', (ssc) => ssc.queueStream([['a'], ['b'], ['c'], ['d']]).print());
    await generator.makeUp();
    generator.start();
    await advance(63);
    const indexes = [...tracker.state.batches.values()].map(({ share }) => {
      const [input] = share.inputs;
      return input?.kind === 'queue' ? input.queueIndex : undefined;
    });
    expect(indexes).toEqual([0, 1, 2]);
  });

  it('makes up no more than there is room for, and goes on when there is', async () => {
    let release = (): void => {};
    output = new Promise((resolve) => (release = resolve));
    restart('replay');
    tracker.state.lastAllocatedMs = 1_000_000 - 30_000;
    clock.offsetMs = 1_000_000 - 10_250;
    await generator.makeUp();
    generator.start();
    for (let step = 0; step < 10; step += 1) await advance(63);
    // The engine submits the first one, which nobody does here.
    expect(batches()).toHaveLength(1 + UNFINISHED_BATCHES_MAX);
    release();
    await settle();
    await advance(63);
    await advance(63);
    expect(batches().at(-1)?.[0]).toBe(1_000_000);
    expect(batches()).toHaveLength(30);
  });

  it('a backlog or a clock that is set forward later on is not made up', async () => {
    restart('replay');
    await generator.makeUp();
    generator.start();
    await advance(63);
    clock.offsetMs = 60_000;
    await advance(687);
    expect(batches().map(([time]) => time)).toEqual([8_000, 9_000, 10_000, 71_000]);
  });

  it('a stop puts what is queued into a batch, however many are missing', async () => {
    restart('replay');
    await generator.makeUp();
    await receive();
    await generator.stop(true);
    expect(batches()).toEqual([
      [8_000, 0],
      [9_000, 1],
    ]);
    expect(queued(tracker.state)).toEqual([]);
  });
});
