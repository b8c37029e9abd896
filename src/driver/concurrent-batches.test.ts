/** Batches that run at the same time: what waits for what, and what a failure leaves. @module */
import { beforeEach, describe, expect, it } from 'vitest';
import { batchOf } from '../../test/support/block-samples.ts';
import { graphOf } from '../../test/support/inline-driver.ts';
import { InlinePool } from '../../test/support/inline-pool.ts';
import { inlineScheduler } from '../../test/support/inline-scheduler.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { settle } from '../../test/support/receiver-side.ts';
import { withoutWaiting } from '../../test/support/without-waiting.ts';
import { BlockArena } from '../blocks/block-arena.ts';
import type { StreamId } from '../core/ids.ts';
import { resolveOptions } from '../core/options.ts';
import type { PipelineContext } from '../dstream/pipeline-context.ts';
import { StreamTimes } from '../dstream/stream-times.ts';
import type { BatchScheduler } from './batch-scheduler.ts';
import { checkConcurrency } from './flow-parts.ts';
import type { BatchSpeed } from './pid-rate-estimator.ts';
import type { TrackedBatch } from './tracker-state.ts';

let clock: ManualClock;
let arena: BlockArena;
let pool: InlinePool;
let scheduler: BatchScheduler;
/** What happened: `A1` an output begins a batch, `a1` it ends it, `done 1`, `failed`. */
let story: string[];
let speeds: Omit<BatchSpeed, 'recordCount'>[];
/** Opened by `end`: what outputs wait for. */
let gates: Map<string, () => void>;
let throwing: Set<string>;

beforeEach(() => {
  clock = new ManualClock();
  story = [];
  speeds = [];
  gates = new Map();
  throwing = new Set();
});

function setUp(concurrentBatches: number, build: (ssc: PipelineContext) => void): void {
  const graph = graphOf(build);
  arena = BlockArena.create(4 * 1024 * 1024);
  pool = new InlinePool(graph, arena);
  ({ scheduler } = inlineScheduler({
    graph,
    arena,
    pool,
    clock,
    concurrentBatches,
    onCompleted: ({ share }, speed) => {
      story.push(`done ${share.batchTimeMs / 1_000}`);
      speeds.push(speed);
    },
    onFailed: () => story.push('failed'),
  }));
}

/** Outputs of these names, each of which ends a batch when the test says so. */
function outputs(...names: readonly string[]): (ssc: PipelineContext) => void {
  return (ssc) => {
    const q = ssc.queueStream([['a'], ['b'], ['c']], { id: 'q' });
    for (const name of names) {
      q.foreachBatch(
        async (_, { batchTime }) => {
          const step = `${name}${batchTime / 1_000}`;
          story.push(step);
          await new Promise<void>((resolve) => gates.set(step, resolve));
          if (throwing.has(step)) throw new Error(`${step} went wrong`);
          story.push(step.toLowerCase());
        },
        { id: name },
      );
    }
  };
}

function batch(second: number, finished: readonly string[] = []): TrackedBatch {
  const input = {
    kind: 'queue',
    streamId: 'q' as StreamId,
    queueIndex: second - 1,
    slices: 2,
  } as const;
  return {
    share: batchOf(second * 1_000, [input]),
    finishedOutputs: new Set(finished),
    isDone: false,
  };
}

async function end(step: string): Promise<void> {
  const open = gates.get(step);
  if (open === undefined) throw new Error(`${step} has not begun: ${story.join(' ')}`);
  open();
  await settle();
}

async function submit(...batches: readonly TrackedBatch[]): Promise<void> {
  for (const each of batches) scheduler.submit(each);
  await settle();
}

describe('two batches at the same time', () => {
  it('are at different outputs, and each output gets them in their order', async () => {
    setUp(2, outputs('A', 'B'));
    await submit(batch(1), batch(2), batch(3));
    expect(story).toEqual(['A1']);
    await end('A1');
    expect(story).toEqual(['A1', 'a1', 'A2', 'B1']);
    await end('A2'); // batch 2 waits for output B
    expect(story.slice(4)).toEqual(['a2']);
    await end('B1'); // and batch 3 for a place
    expect(story.slice(5)).toEqual(['b1', 'B2', 'done 1', 'A3']);
    await end('B2');
    await end('A3');
    await end('B3');
    await scheduler.drain();
    expect(story.slice(9)).toEqual(['b2', 'done 2', 'a3', 'B3', 'b3', 'done 3']);
  });

  it('are done in their order, also where the later one has less to do', async () => {
    setUp(2, outputs('A', 'B'));
    const later = batch(2, ['A', 'B']);
    await submit(batch(1), later);
    expect(later.isDone).toBe(false);
    await end('A1');
    await end('B1');
    expect(story).toEqual(['A1', 'a1', 'B1', 'b1', 'done 1', 'done 2']);
  });

  it.each([1, 2, 3])('never are more than %i', async (concurrentBatches) => {
    setUp(concurrentBatches, outputs('A', 'B', 'C', 'D'));
    await submit(batch(1), batch(2), batch(3), batch(4));
    for (const step of ['A1', 'B1', 'C1']) await end(step);
    for (const step of ['A2', 'B2', 'A3']) if (gates.has(step)) await end(step);
    const begun = new Set(story.map((step) => step.slice(1)));
    expect(begun.size).toBe(concurrentBatches);
    expect(scheduler.unfinishedCount).toBe(4);
  });

  it('end with the first failure: nothing that comes later takes effect', async () => {
    setUp(3, outputs('A', 'B'));
    throwing.add('B1');
    const batches = [batch(1), batch(2), batch(3)];
    await submit(...batches);
    await end('A1');
    await end('A2');
    await end('B1');
    expect(story).toEqual(['A1', 'a1', 'A2', 'B1', 'a2', 'A3', 'failed']);
    await end('A3');
    await scheduler.stop();
    expect(story.slice(7)).toEqual(['a3']);
    expect(batches.map(({ isDone }) => isDone)).toEqual([false, false, false]);
    expect(batches.map(({ finishedOutputs }) => [...finishedOutputs])).toEqual([
      ['A'],
      ['A'],
      ['A'],
    ]);
  });

  it('are both waited for no longer when the run is given up', async () => {
    setUp(2, outputs('A', 'B'));
    await submit(batch(1), batch(2));
    await end('A1');
    expect(story).toEqual(['A1', 'a1', 'A2', 'B1']);
    await withoutWaiting(scheduler.stop()); // A2 and B1 never answer
    expect(scheduler.unfinishedCount).toBe(0);
  });

  it('share the time that both of them run: the rate follows what gets done', async () => {
    setUp(2, outputs('A', 'B'));
    await submit(batch(1), batch(2));
    clock.advance(100); // batch 1 at A, batch 2 waits for it
    await end('A1');
    clock.advance(100);
    await end('B1');
    await end('A2');
    clock.advance(30); // batch 2 alone
    await end('B2');
    expect(speeds).toEqual([
      { doneMs: 200, processingMs: 100, schedulingDelayMs: 0 },
      { doneMs: 230, processingMs: 130, schedulingDelayMs: 0 },
    ]);
  });
});

it('the shuffles of a later batch run while an earlier output is under way, and stay', async () => {
  let open = (): void => {};
  const collected: unknown[][] = [];
  setUp(2, (ssc) => {
    const q = ssc.queueStream(
      [
        [['a', 1]],
        [
          ['b', 2],
          ['b', 3],
        ],
      ],
      { id: 'q' },
    );
    q.reduceByKey((a, b) => a + b).foreachBatch(async (each, { batchTime }) => {
      if (batchTime === 1_000) await new Promise<void>((resolve) => (open = resolve));
      collected.push(await each.collect());
    });
  });
  const used = (): number => arena.usedExtents('tasks');
  await submit(batch(1), batch(2));
  expect(collected).toEqual([]);
  expect(used()).toBeGreaterThan(0);
  open();
  await scheduler.drain();
  expect(collected).toEqual([[['a', 1]], [['b', 5]]]);
  expect(used()).toBe(0);
});

describe('concurrentBatches', () => {
  const check = (concurrentBatches: number, build: (ssc: PipelineContext) => void): void => {
    const graph = graphOf(build);
    const options = resolveOptions({ module: { name: 'p', concurrentBatches } });
    checkConcurrency(graph, options, new StreamTimes(graph.nodes, 1_000));
  };
  const windowed = (ssc: PipelineContext): void =>
    ssc
      .queueStream([['a']])
      .window(2_000)
      .print();
  const stateful = (ssc: PipelineContext): void =>
    ssc
      .queueStream([[['a', 1]]] as [string, number][][])
      .updateStateByKey((values: readonly number[]) => values.length, { id: 'counts' })
      .print();

  it('are refused with windows and with state, by name', () => {
    expect(() => check(2, windowed)).toThrow(
      'concurrentBatches is 2 and must be 1 in a pipeline with windows',
    );
    expect(() => check(2, stateful)).toThrow('with state (counts)');
    for (const build of [windowed, stateful]) expect(() => check(1, build)).not.toThrow();
    expect(() => check(3, outputs('A'))).not.toThrow();
  });
});
