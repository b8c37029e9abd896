/** Batches from the scheduler down to their tasks: scheduler, execution and outputs together, over
 * a pool without threads. @module */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchOf, blockOf, shareOf } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import { InlinePool } from '../../test/support/inline-pool.ts';
import { inlineScheduler } from '../../test/support/inline-scheduler.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import { MillraceError } from '../core/errors.ts';
import { EventBus } from '../core/events.ts';
import type { EngineEvent } from '../core/events.ts';
import { blockKey } from '../core/ids.ts';
import type { StreamId } from '../core/ids.ts';
import type { Batch } from '../dstream/batch.ts';
import type { BuildPipeline } from '../dstream/pipeline.ts';
import type { Sink, SinkBatch } from '../dstream/sink.ts';
import type { BatchScheduler } from './batch-scheduler.ts';
import type { BatchShare, TrackedBatch } from './tracker-state.ts';

let clock: ManualClock;
let arena: BlockArena;
let pool: InlinePool;
let scheduler: BatchScheduler;
let events: EngineEvent[];
let lines: string[];
let completed: number[];
let failures: Error[];
let directory: string;
let droppedBlocks: Set<string>;
/** Why the engine's directory is not its own any more. */
let loss: Error | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'batches-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function setUp(build: BuildPipeline): void {
  const graph = graphOf(build);
  const bus = new EventBus();
  clock = new ManualClock(5_000);
  arena = BlockArena.create(4 * 1024 * 1024);
  pool = new InlinePool(graph, arena);
  events = [];
  lines = [];
  completed = [];
  failures = [];
  loss = undefined;
  droppedBlocks = new Set();
  bus.subscribe((event) => events.push(event));
  ({ scheduler } = inlineScheduler({
    graph,
    arena,
    pool,
    clock,
    events: bus,
    maxTaskFailures: 2,
    outputs: { printLine: (line) => lines.push(line), whyLost: () => loss },
    history: { droppedBlocks },
    onCompleted: ({ share }) => completed.push(share.batchTimeMs),
    onFailed: (error) => failures.push(error),
  }));
}

function tracked(share: BatchShare, finished: readonly string[] = []): TrackedBatch {
  return { share, finishedOutputs: new Set(finished), isDone: false };
}

/** A batch of the queue `q`, in two partitions. */
function batch(timeMs: number, queueIndex = 0, finished: readonly string[] = []): TrackedBatch {
  const input = { kind: 'queue', streamId: 'q' as StreamId, queueIndex, slices: 2 } as const;
  return tracked(batchOf(timeMs, [input]), finished);
}

async function run(...batches: readonly TrackedBatch[]): Promise<void> {
  for (const each of batches) scheduler.submit(each);
  await scheduler.drain();
}

const times = (type: EngineEvent['type']): unknown[] =>
  events.flatMap((event) =>
    event.type === type && 'batchTimeMs' in event ? event.batchTimeMs : [],
  );

/** A gate that outputs wait at. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

describe('BatchScheduler', () => {
  it('begins no output when another process has the directory', async () => {
    const begun: string[] = [];
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.foreachBatch(() => {
        begun.push('first');
        loss = new MillraceError('DIRECTORY_LOCKED', 'taken meanwhile');
      });
      q.saveAsTextFiles(join(directory, 'out'));
      q.foreachBatch(() => void begun.push('last'));
    });
    await run(batch(1_000));
    expect([begun, completed, readdirSync(directory)]).toEqual([['first'], [], []]);
    expect(failures).toEqual([loss]);
  });

  it('runs the outputs of a batch in the order of their declaration', async () => {
    const order: string[] = [];
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.foreachBatch(async () => {
        order.push('first begins');
        await settle();
        order.push('first ends');
      });
      q.foreachBatch(() => void order.push('second'));
    });
    const one = batch(1_000);
    await run(one);
    expect(order).toEqual(['first begins', 'first ends', 'second']);
    expect(one.isDone).toBe(true);
    expect([...one.finishedOutputs]).toEqual(['foreachBatch-0', 'foreachBatch-1']);
    expect(completed).toEqual([1_000]);
  });

  it('runs one batch after the other, and tells how long each waited', async () => {
    const { opened, open } = gate();
    setUp((ssc) => ssc.queueStream([['a']], { id: 'q' }).foreachBatch(() => opened));
    const batches = [batch(1_000), batch(2_000), batch(3_000)];
    for (const each of batches) scheduler.submit(each);
    await settle();
    expect(scheduler.unfinishedCount).toBe(3);
    clock.advance(70);
    open();
    await scheduler.drain();
    expect(completed).toEqual([1_000, 2_000, 3_000]);
    expect(scheduler.unfinishedCount).toBe(0);
    expect(times('batch-submitted')).toEqual([1_000, 2_000, 3_000]);
    const [first, second] = events.filter(({ type }) => type === 'batch-completed');
    expect(first).toMatchObject({ schedulingDelayMs: 4_000, processingMs: 70 });
    expect(second).toMatchObject({ schedulingDelayMs: 3_070, processingMs: 0 });
  });

  it('does not run again what a checkpoint says is finished', async () => {
    const order: string[] = [];
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.foreachBatch(() => void order.push('first'));
      q.foreachBatch(() => void order.push('second'));
    });
    await run(batch(1_000, 0, ['foreachBatch-0']));
    expect(order).toEqual(['second']);
    expect(completed).toEqual([1_000]);
  });

  it('stops at the first failure: nothing is skipped', async () => {
    const order: number[] = [];
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.foreachBatch((_, { batchTime }) => void order.push(batchTime));
      q.foreachBatch((_, { batchTime }) => {
        if (batchTime === 2_000) throw new Error('no room');
      });
    });
    const batches = [batch(1_000), batch(2_000), batch(3_000)];
    await run(...batches);
    await scheduler.drain();
    await settle();
    expect(order).toEqual([1_000, 2_000]);
    expect(batches.map(({ isDone }) => isDone)).toEqual([true, false, false]);
    expect([...(batches[1]?.finishedOutputs ?? [])]).toEqual(['foreachBatch-0']);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({
      code: 'OUTPUT_FAILED',
      message: 'batch 2000: the function given to foreachBatch-1 failed: no room',
      cause: { message: 'no room' },
    });
  });

  it('ends with the running batch when it is stopped', async () => {
    const { opened, open } = gate();
    setUp((ssc) => ssc.queueStream([['a']], { id: 'q' }).print());
    pool.before = () => opened;
    scheduler.submit(batch(1_000));
    scheduler.submit(batch(2_000));
    let isStopped = false;
    const stopped = scheduler.stop().then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    open();
    await stopped;
    expect(completed).toEqual([1_000]);
  });

  it('waits for no function of the user when it is stopped', async () => {
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.foreachBatch(() => new Promise(() => {}));
      q.print();
    });
    const one = batch(1_000);
    scheduler.submit(one);
    await scheduler.stop();
    expect(one.isDone).toBe(false);
    expect(completed).toEqual([]);
    expect(lines).toEqual([]);
  });
});

describe('the tasks of a batch', () => {
  const words: BuildPipeline = (ssc) => {
    const q = ssc.queueStream([['a b', 'b', 'a', 'c']], { id: 'q' });
    const counts = q.flatMap((line) => line.split(' ')).countByValue();
    counts.print();
    counts.map(([word]) => word).print();
  };

  it('run a shuffle once, whichever outputs read it, and free it afterwards', async () => {
    setUp(words);
    await run(batch(1_000));
    expect(failures).toEqual([]);
    expect(pool.count('shuffle-write')).toBe(2);
    expect(pool.count('collect')).toBe(4);
    expect(lines.filter((line) => line.startsWith('(')).toSorted()).toEqual([
      '(a,2)',
      '(b,2)',
      '(c,1)',
    ]);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('are none without records, where nothing but them could give any', async () => {
    const seen: unknown[] = [];
    setUp((ssc) => {
      const q = ssc.queueStream<string>([], { id: 'q' });
      q.count().print();
      q.countByValue().foreachBatch(async (records) => {
        seen.push(await records.collect(), await records.count());
      });
    });
    const input = {
      kind: 'queue',
      streamId: 'q' as StreamId,
      queueIndex: null,
      slices: 2,
    } as const;
    await run(tracked(batchOf(1_000, [input])));
    expect(lines).toContain('0');
    expect(seen).toEqual([[], 0]);
    expect(completed).toEqual([1_000]);
    expect(pool.specs).toEqual([]);
  });

  it('are tried again when they fail, and leave no memory behind', async () => {
    setUp(words);
    pool.before = ({ partition, attempt }) => {
      if (partition === 1 && attempt === 0) throw new Error('the thread died');
    };
    await run(batch(1_000));
    expect(failures).toEqual([]);
    expect(pool.count('shuffle-write')).toBe(3);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('free the shuffle of a batch whose output fails', async () => {
    setUp(words);
    pool.before = ({ action }) => {
      if (action.kind === 'collect') throw new Error('the thread died');
    };
    await run(batch(1_000));
    expect(failures[0]).toMatchObject({ code: 'TASK_FAILED' });
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('say what is missing of blocks that are neither in memory nor in a log', async () => {
    setUp((ssc) => ssc.socketTextStream('h', 1, { id: 'lines' }).print());
    const [one, other] = [blockOf(0, { durability: 'off' }), blockOf(1, { durability: 'off' })];
    await run(tracked(shareOf(1_000, [one])));
    const lost = { type: 'blocks-lost', batchTimeMs: 1_000, recordCount: 3, droppedCount: 0 };
    expect(events).toContainEqual(lost);
    droppedBlocks.add(blockKey(other.blockId));
    await run(tracked(shareOf(2_000, [one, other])));
    const batchTimeMs = 2_000;
    expect(events).toContainEqual({ ...lost, batchTimeMs, recordCount: 6, droppedCount: 3 });
    expect(completed).toEqual([1_000, 2_000]);
  });
});

describe('print', () => {
  it('shows the first records of a batch, and that there are more', async () => {
    setUp((ssc) => ssc.queueStream([['a', 'b', 'c'], ['d']], { id: 'q' }).print(2));
    await run(batch(1_000, 0), batch(2_000, 1));
    const shown = (timeMs: number, records: string[]): string[] => {
      const rule = '-------------------------------------------';
      return [rule, `Time: ${timeMs} ms`, rule, ...records, ''];
    };
    // Record i lies in partition i mod 2.
    expect(lines).toEqual([...shown(1_000, ['a', 'c', '...']), ...shown(2_000, ['d'])]);
    expect(arena.usedExtents('tasks')).toBe(0);
  });
});

describe('foreachBatch', () => {
  it('reads the batch as often as it likes', async () => {
    const seen: unknown[] = [];
    setUp((ssc) =>
      ssc.queueStream([['a', 'b', 'c']], { id: 'q' }).foreachBatch(async (records) => {
        seen.push(await records.count(), await records.take(2), await records.take(0));
        seen.push(...(await Promise.all([records.collect(), records.collect()])));
      }),
    );
    await run(batch(1_000));
    expect(seen).toEqual([3, ['a', 'c'], [], ['a', 'c', 'b'], ['a', 'c', 'b']]);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('cannot read the batch when it is over', async () => {
    let kept: Batch<string> | undefined;
    setUp((ssc) =>
      ssc.queueStream([['a']], { id: 'q' }).foreachBatch((records) => {
        kept = records;
      }),
    );
    await run(batch(1_000));
    await expect(kept?.collect()).rejects.toMatchObject({ code: 'CONTEXT_STATE' });
    expect(pool.specs).toEqual([]);
  });

  it('is not over while it reads, also when its function did not wait for that', async () => {
    const { opened, open } = gate();
    let read: unknown;
    setUp((ssc) => {
      ssc
        .queueStream([['a', 'a']], { id: 'q' })
        .countByValue()
        .foreachBatch((records) => {
          void records.collect().then((all) => (read = all));
        });
    });
    pool.before = ({ action }) => (action.kind === 'collect' ? opened : undefined);
    scheduler.submit(batch(1_000));
    await settle();
    expect(pool.runningCount).toBe(1); // the other reduce partition is empty
    expect(completed).toEqual([]); // its blocks and its shuffle are still being read
    open();
    await scheduler.drain();
    expect(read).toEqual([['a', 2]]);
    expect(completed).toEqual([1_000]);
    expect(arena.usedExtents('tasks')).toBe(0);
  });

  it('fails as its task does', async () => {
    setUp((ssc) =>
      ssc
        .queueStream([['a']], { id: 'q' })
        .map((): string => {
          throw new TypeError('bad record');
        })
        .foreachBatch(async (records) => void (await records.collect())),
    );
    await run(batch(1_000));
    expect(failures[0]).toMatchObject({ code: 'TASK_FAILED' });
    expect(failures[0]?.message).toContain('bad record');
  });
});

it('foreachPartition sees each partition once', async () => {
  const seen = new Map<number, unknown[]>();
  setUp((ssc) =>
    ssc.queueStream([['a', 'b', 'c']], { id: 'q' }).foreachPartition((records, { partition }) => {
      expect(seen.has(partition)).toBe(false);
      seen.set(partition, [...records]);
    }),
  );
  await run(batch(1_000));
  expect(Object.fromEntries(seen)).toEqual({ 0: ['a', 'c'], 1: ['b'] });
});

it('a saved batch that runs again leaves the copy that is there', async () => {
  setUp((ssc) =>
    ssc.queueStream([['a', 'b']], { id: 'q' }).saveAsTextFiles(join(directory, 'out')),
  );
  await run(batch(1_000));
  const attempts = pool.count('sink');
  const before = readdirSync(join(directory, 'out-1000')).toSorted();
  expect(before).toEqual(['_SUCCESS', 'part-00000', 'part-00001']);
  await run(batch(1_000));
  expect(failures).toEqual([]);
  expect(completed).toEqual([1_000, 1_000]);
  expect(pool.count('sink')).toBe(attempts);
  expect(readFileSync(join(directory, 'out-1000', 'part-00000'), 'utf8')).toBe('a\n');
  expect(existsSync(join(directory, 'out-1000', '_SUCCESS'))).toBe(true);
});

describe('a sink of a user', () => {
  const told: string[] = [];
  const committed = new Map<string, readonly unknown[]>();
  /** Keeps records by their key; `commit` may be another. */
  function mapSink(commit?: Sink<string>['commit']): Sink<string> {
    const keyOf = ({ outputId, batchTimeMs }: SinkBatch): string => `${outputId}@${batchTimeMs}`;
    return {
      target: 'a map',
      guarantee: 'exactly-once',
      open: async ({ outputId, epoch }) => void told.push(`open ${outputId} ${epoch}`),
      prepare: async (of) => (committed.has(keyOf(of)) ? 'already-committed' : 'needed'),
      openPartition: async () => {
        const records: string[] = [];
        return {
          write: (record) => void records.push(record),
          close: async () => records,
          abort: async () => {},
        };
      },
      commit: commit ?? (async (of, tokens) => void committed.set(keyOf(of), tokens.flat())),
    };
  }

  beforeEach(() => {
    told.length = 0;
    committed.clear();
  });

  it('is opened before all, and gets each batch once', async () => {
    setUp((ssc) => ssc.queueStream([['a', 'b', 'c']], { id: 'q' }).to(mapSink(), { id: 'out' }));
    await scheduler.openSinks();
    await run(batch(1_000));
    await run(batch(1_000));
    expect(told).toEqual(['open out 1']);
    expect(completed).toEqual([1_000, 1_000]);
    expect(pool.count('sink')).toBe(2);
    expect([...committed]).toEqual([['out@1000', ['a', 'c', 'b']]]);
  });

  it('that fails leaves a batch that is not done; the outputs before it stand', async () => {
    const failing = mapSink(() => Promise.reject(new Error('no room')));
    setUp((ssc) => {
      const q = ssc.queueStream([['a']], { id: 'q' });
      q.to(mapSink(), { id: 'first' });
      q.to(failing, { id: 'second' });
    });
    const one = batch(1_000);
    await run(one, batch(2_000));
    expect([one.isDone, completed, [...committed.keys()]]).toEqual([false, [], ['first@1000']]);
    expect(failures).toMatchObject([
      {
        code: 'OUTPUT_FAILED',
        message: 'batch 1000: the sink of second (a map) could not commit: no room',
        details: { outputId: 'second', batchTimeMs: 1_000 },
      },
    ]);
  });

  it('commits nothing when another process has taken the directory meanwhile', async () => {
    setUp((ssc) => ssc.queueStream([['a']], { id: 'q' }).to(mapSink(), { id: 'out' }));
    pool.before = async () => void (loss = new MillraceError('DIRECTORY_LOCKED', 'taken'));
    await run(batch(1_000));
    expect([failures, committed.size]).toEqual([[loss], 0]);
  });

  it('that never answers is waited for no longer when the run is given up', async () => {
    const { opened, open } = gate();
    const never = mapSink(() => {
      open();
      return new Promise(() => {});
    });
    setUp((ssc) => ssc.queueStream([['a']], { id: 'q' }).to(never));
    scheduler.submit(batch(1_000));
    await opened;
    await scheduler.stop();
    expect([completed, failures]).toMatchObject([[], [{ message: 'the run has ended' }]]);
  });

  it('is checked when the graph is built', () => {
    const build = (sink: object) => () =>
      setUp((ssc) => ssc.queueStream([['a']]).to(sink as Sink<string>));
    expect(build({})).toThrow(
      /^to: target of the sink must be text.*; guarantee .*; prepare of the sink must be a func/,
    );
    expect(build({ ...mapSink(), guarantee: 'mostly' })).toThrow(/one of exactly-once, at-least/);
    expect(build({ ...mapSink(), open: 1 })).toThrow(/open of the sink must be a function/);
  });
});
