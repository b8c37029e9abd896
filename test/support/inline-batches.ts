/** Batches of a pipeline over queues, one after the other, on this thread: the engine's scheduler,
 * execution, outputs and stage code, over a pool without threads and a log that is a map. Windows
 * see earlier batches, and `restart` forgets all that a dead process would have in memory.
 * @module */
import { join } from 'node:path';
import { BlockArena } from '../../src/blocks/block-arena.ts';
import { EventBus } from '../../src/core/events.ts';
import type { BatchTimeMs, Lsn, StreamId } from '../../src/core/ids.ts';
import { BatchHistory } from '../../src/driver/batch-history.ts';
import { BatchScheduler } from '../../src/driver/batch-scheduler.ts';
import { BlockMemory } from '../../src/driver/block-memory.ts';
import { OutputRunner } from '../../src/driver/output-runner.ts';
import { TaskScheduler } from '../../src/driver/task-scheduler.ts';
import type { BatchShare } from '../../src/driver/tracker-state.ts';
import type { DStream } from '../../src/dstream/dstream.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import type { PipelineContext } from '../../src/dstream/pipeline-context.ts';
import { StreamTimes } from '../../src/dstream/stream-times.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { graphOf } from './inline-driver.ts';
import { InlinePool } from './inline-pool.ts';
import { ManualClock } from './manual-clock.ts';

/** Adds an output with this name. */
type Keep = (name: string, stream: DStream<unknown>) => void;

export interface InlineBatchesOptions {
  /** For shuffle pieces that find no room: tasks have 16 extents. */
  readonly spillDirectory: string;
  /** @defaultValue 1,000 */
  readonly batchIntervalMs?: number;
  /** Reduce partitions, and partitions of each queue. @defaultValue 2 */
  readonly partitions?: number;
}

const ARENA_BYTES = 4 * 1024 * 1024;

export class InlineBatches {
  /** By output, then by batch time: its records, in partition order. */
  readonly results = new Map<string, Map<number, readonly unknown[]>>();
  /** Shares of batches that are not cleaned. */
  readonly shares = new Map<BatchTimeMs, BatchShare>();
  readonly times: StreamTimes;
  readonly #graph: Graph;
  readonly #partitions: number;
  readonly #spillDirectory: string;
  #pool: InlinePool;
  #arena: BlockArena;
  #scheduler: BatchScheduler;
  #failure: Error | undefined;
  /** How often `restart` was called. */
  restarts = 0;

  constructor(
    build: (ssc: PipelineContext, keep: Keep) => void,
    { batchIntervalMs = 1_000, partitions = 2, spillDirectory }: InlineBatchesOptions,
  ) {
    this.#spillDirectory = spillDirectory;
    this.#graph = graphOf((ssc) => build(ssc, (name, stream) => this.#keep(name, stream)));
    this.#partitions = partitions;
    this.times = new StreamTimes(this.#graph.nodes, batchIntervalMs);
    ({ pool: this.#pool, arena: this.#arena, scheduler: this.#scheduler } = this.#parts());
  }

  /** Tasks that ran since the start, or the restart. */
  get pool(): InlinePool {
    return this.#pool;
  }

  /** References to the tasks' part of the arena: one for each shuffle that is kept in it, and one for
   * the extent that kept ones are written to. */
  get references(): number {
    const { receiverExtents, extentCount } = this.#arena.handle;
    let sum = 0;
    for (let index = receiverExtents; index < extentCount; index += 1) {
      sum += this.#arena.references(index);
    }
    return sum;
  }

  /** Runs the batch that takes the records `queueIndex` of every queue; `null`: none. */
  async run(batchTimeMs: number, queueIndex: number | null): Promise<void> {
    const share: BatchShare = {
      batchTimeMs: batchTimeMs as BatchTimeMs,
      inputs: this.#graph.inputs.map(({ id }) => ({
        kind: 'queue',
        streamId: id as StreamId,
        queueIndex,
        slices: this.#partitions,
      })),
      partitions: this.#partitions,
      codeHash: 'code',
    };
    this.shares.set(share.batchTimeMs, share);
    this.#scheduler.submit({ share, finishedOutputs: new Set(), isDone: false });
    await this.#scheduler.drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The process dies and comes back: what is in memory is gone. */
  restart(): void {
    this.restarts += 1;
    ({ pool: this.#pool, arena: this.#arena, scheduler: this.#scheduler } = this.#parts());
  }

  #keep(name: string, stream: DStream<unknown>): void {
    const results = new Map<number, readonly unknown[]>();
    this.results.set(name, results);
    stream.foreachBatch(
      async (batch, { batchTime }) => void results.set(batchTime, await batch.collect()),
      { id: name },
    );
  }

  #parts() {
    const graph = this.#graph;
    const events = new EventBus();
    const arena = BlockArena.create(ARENA_BYTES);
    const spillDirectory = join(this.#spillDirectory, `${this.restarts}`);
    const pool = new InlinePool(graph, arena, spillDirectory);
    const memory = new BlockMemory(arena, { lastLsn: new Map<string, Lsn>() });
    const scheduler = new BatchScheduler({
      graph,
      clock: new ManualClock(0),
      events,
      outputs: new OutputRunner({
        graph,
        arena,
        codec: msgpackCodec,
        logId: 'none',
        printLine: () => {},
      }),
      execution: {
        tasks: new TaskScheduler({ pool, events, maxTaskFailures: 1, threads: 2 }),
        memory,
        history: new BatchHistory({
          graph,
          times: this.times,
          arena,
          spillDirectory,
          memory,
          events,
          droppedBlocks: new Set(),
          shareAt: (timeMs) => this.shares.get(timeMs),
        }),
      },
      onCompleted: () => {},
      onFailed: (error) => {
        this.#failure = error;
      },
    });
    return { pool, arena, scheduler };
  }
}
