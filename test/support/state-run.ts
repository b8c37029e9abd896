/** A pipeline with keyed state, run batch after batch on this thread: scheduler, execution and tasks
 * over a pool without threads. Lives end and are followed by others, from snapshots.
 * @module */
import { BlockArena } from '../../src/blocks/block-arena.ts';
import type { BatchTimeMs, StreamId } from '../../src/core/ids.ts';
import type { BatchScheduler } from '../../src/driver/batch-scheduler.ts';
import type { TaskPool } from '../../src/driver/executor-pool.ts';
import { KeyedState } from '../../src/driver/keyed-state.ts';
import type { TrackedBatch } from '../../src/driver/tracker-state.ts';
import type { DStream } from '../../src/dstream/dstream.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import type { PipelineContext } from '../../src/dstream/pipeline-context.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { batchOf } from './block-samples.ts';
import { graphOf } from './inline-driver.ts';
import { InlinePool } from './inline-pool.ts';
import { inlineScheduler } from './inline-scheduler.ts';

export const INTERVAL_MS: number = 1_000;
const HASH_SEED = 99;

/** Adds operators and outputs; `keep` hands the records of a stream to the test. */
export type BuildState = (
  pairs: DStream<[unknown, number]>,
  keep: (name: string, stream: DStream<unknown>) => void,
  ssc: PipelineContext,
) => void;

/** Records of one output in one batch. */
export type Kept = readonly [name: string, batch: number, records: readonly unknown[]];

export interface StateRunOptions {
  readonly partitions?: number;
  /** Wraps the pool: for deaths of threads. */
  readonly wrap?: (pool: TaskPool, arena: BlockArena) => TaskPool;
}

/** One life of the engine over batches of a queue; batch `i` has the time `(i + 1)` intervals. */
export class StateRun {
  readonly graph: Graph;
  readonly state: KeyedState;
  readonly pool: InlinePool;
  readonly kept: Kept[] = [];
  failure: Error | undefined;
  readonly #scheduler: BatchScheduler;

  constructor(
    batches: readonly (readonly (readonly [unknown, number])[])[],
    build: BuildState,
    { partitions = 2, wrap = (pool) => pool }: StateRunOptions = {},
  ) {
    const { kept } = this;
    this.graph = graphOf((ssc) => {
      const pairs = ssc.queueStream<unknown, number>(batches, { id: 'q' });
      const keep = (name: string, stream: DStream<unknown>): void =>
        stream.foreachBatch(async (batch, { batchTime }) => {
          kept.push([name, batchTime / INTERVAL_MS - 1, await batch.collect()]);
        });
      build(pairs, keep, ssc);
    });
    this.state = new KeyedState({
      graph: this.graph,
      codec: msgpackCodec,
      partitions,
      seed: HASH_SEED,
    });
    const arena = BlockArena.create(8 * 1024 * 1024);
    this.pool = new InlinePool(this.graph, arena);
    const { scheduler } = inlineScheduler({
      graph: this.graph,
      arena,
      pool: wrap(this.pool, arena),
      maxTaskFailures: 4,
      state: this.state,
      onCompleted: () => {},
      onFailed: (error) => (this.failure = error),
    });
    this.#scheduler = scheduler;
  }

  /** Runs batches from `first` to `last`. @param isDone they are done: for their state only. */
  async run(first: number, last: number, isDone = false): Promise<void> {
    for (let index = first; index <= last; index += 1) this.#scheduler.submit(batch(index, isDone));
    await this.#scheduler.drain();
    if (this.failure !== undefined) throw this.failure;
  }

  /** What an output got in a batch. */
  records(name: string, batchIndex: number): readonly unknown[] {
    return this.kept.find(([of, index]) => of === name && index === batchIndex)?.[2] ?? [];
  }
}

export function timeOf(batchIndex: number): BatchTimeMs {
  return ((batchIndex + 1) * INTERVAL_MS) as BatchTimeMs;
}

function batch(queueIndex: number, isDone: boolean): TrackedBatch {
  const input = { kind: 'queue', streamId: 'q' as StreamId, queueIndex, slices: 2 } as const;
  return { share: batchOf(timeOf(queueIndex), [input]), finishedOutputs: new Set(), isDone };
}
