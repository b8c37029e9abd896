/** Batches of a pipeline over queues, one after the other, on this thread: the engine's scheduler,
 * execution, outputs and stage code, over a pool without threads and a log that is a map. Windows
 * see earlier batches, and `restart` forgets all that a dead process would have in memory: keyed
 * state goes on from its snapshot.
 * @module */
import { join } from 'node:path';
import { BlockArena } from '../../src/blocks/block-arena.ts';
import type { BatchTimeMs, StreamId } from '../../src/core/ids.ts';
import type { BatchScheduler } from '../../src/driver/batch-scheduler.ts';
import { cleanableThroughMs, settledThroughMs } from '../../src/driver/cleaning.ts';
import { HeldBatches } from '../../src/driver/held-batches.ts';
import { KeyedState } from '../../src/driver/keyed-state.ts';
import { Slices } from '../../src/driver/slices.ts';
import { emptyTrackerState } from '../../src/driver/tracker-state.ts';
import type { BatchShare, InputShare, TrackerState } from '../../src/driver/tracker-state.ts';
import type { DStream } from '../../src/dstream/dstream.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import type { PipelineContext } from '../../src/dstream/pipeline-context.ts';
import { StreamTimes } from '../../src/dstream/stream-times.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { blockOf } from './block-samples.ts';
import { graphOf } from './inline-driver.ts';
import { InlinePool } from './inline-pool.ts';
import { inlineScheduler } from './inline-scheduler.ts';
import { SavedState } from './saved-state.ts';

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

/** What is gone with the process. */
interface Process {
  readonly pool: InlinePool;
  readonly arena: BlockArena;
  readonly scheduler: BatchScheduler;
  readonly state: KeyedState;
  readonly slices: Slices;
}

const ARENA_BYTES = 4 * 1024 * 1024;

export class InlineBatches {
  /** By output, then by batch time: its records, in partition order. */
  readonly results = new Map<string, Map<number, readonly unknown[]>>();
  /** Shares of batches that are not cleaned. */
  readonly shares = new Map<BatchTimeMs, BatchShare>();
  /** The same, as the driver has them. */
  readonly tracked: TrackerState = emptyTrackerState(1);
  /** Of slices: what they keep, and what has been forgotten. */
  readonly held = new HeldBatches();
  readonly times: StreamTimes;
  readonly #graph: Graph;
  readonly #partitions: number;
  readonly #spillDirectory: string;
  #process: Process;
  #saved: SavedState | undefined;
  #failure: Error | undefined;
  /** Of keyed state, in the next process. */
  statePartitions = 2;
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
    this.#process = this.#parts();
  }

  /** Tasks that ran since the start, or the restart. */
  get pool(): InlinePool {
    return this.#process.pool;
  }

  get scheduler(): BatchScheduler {
    return this.#process.scheduler;
  }

  get slices(): Slices {
    return this.#process.slices;
  }

  /** Some operator keeps state. */
  get hasState(): boolean {
    return this.#process.state.isUsed;
  }

  /** References to the tasks' part of the arena: one for each shuffle that is kept in it, and one for
   * the extent that kept ones are written to. */
  get references(): number {
    const { receiverExtents, extentCount } = this.#process.arena.handle;
    let sum = 0;
    for (let index = receiverExtents; index < extentCount; index += 1) {
      sum += this.#process.arena.references(index);
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
    this.tracked.lastAllocatedMs = batchTimeMs;
    await this.#submit([share], false);
  }

  /** The process dies and comes back: what is in memory is gone. Keyed state is made again from
   * the last `snapshot`, and from the batches since. */
  async restart(): Promise<void> {
    this.restarts += 1;
    this.#process = this.#parts();
    const { state } = this.#process;
    if (!state.isUsed) return;
    await this.#saved?.restoreTo(state);
    const sinceMs = this.#saved?.batchTimeMs ?? 0;
    const replayed = [...this.shares.values()].filter(({ batchTimeMs }) => batchTimeMs > sinceMs);
    await this.#submit(replayed, true);
  }

  /** A snapshot of keyed state, after the batch that ran last. */
  async snapshot(): Promise<void> {
    const last = Math.max(...this.shares.keys()) as BatchTimeMs;
    this.#saved = await SavedState.of(this.#process.state, last);
  }

  /** The records of a batch are in no log, and were in the memory of a process that is gone. */
  lose(batchTimeMs: number): void {
    const share = this.shares.get(batchTimeMs as BatchTimeMs);
    if (share === undefined) throw new Error(`there is no batch ${batchTimeMs}`);
    const inputs = share.inputs.map(({ streamId }): InputShare => {
      return { kind: 'blocks', streamId, blocks: [blockOf(1, { streamId })], groups: [[0]] };
    });
    const lost = { ...share, inputs };
    this.shares.set(share.batchTimeMs, lost);
    const isDone = true;
    this.tracked.batches.set(share.batchTimeMs, {
      share: lost,
      finishedOutputs: new Set(),
      isDone,
    });
  }

  /** What the driver would have cleaned by now is not there any more (R8). */
  clean(): void {
    const finishedOutputs = new Set<string>();
    const batches = new Map(
      [...this.shares].map(([timeMs, share]) => [timeMs, { share, finishedOutputs, isDone: true }]),
    );
    const lastAllocatedMs = Math.max(...this.shares.keys());
    const tracked = { ...emptyTrackerState(1), batches, lastAllocatedMs };
    const stateMs = this.#process.state.isUsed ? (this.#saved?.batchTimeMs ?? 0) : Infinity;
    const throughMs = cleanableThroughMs(tracked, {
      settledThroughMs: settledThroughMs(tracked, stateMs),
      rememberMs: this.times.reachMs,
    });
    for (const timeMs of this.shares.keys()) if (timeMs <= throughMs) this.shares.delete(timeMs);
  }

  async #submit(shares: readonly BatchShare[], isDone: boolean): Promise<void> {
    const { scheduler } = this.#process;
    for (const share of shares) {
      const batch = { share, finishedOutputs: new Set<string>(), isDone };
      this.tracked.batches.set(share.batchTimeMs, batch);
      scheduler.submit(batch);
    }
    await scheduler.drain();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #keep(name: string, stream: DStream<unknown>): void {
    const results = new Map<number, readonly unknown[]>();
    this.results.set(name, results);
    stream.foreachBatch(
      async (batch, { batchTime }) => void results.set(batchTime, await batch.collect()),
      { id: name },
    );
  }

  #parts(): Process {
    const graph = this.#graph;
    const arena = BlockArena.create(ARENA_BYTES);
    const spillDirectory = join(this.#spillDirectory, `${this.restarts}`);
    const pool = new InlinePool(graph, arena, spillDirectory);
    const state = new KeyedState({
      graph,
      codec: msgpackCodec,
      partitions: this.statePartitions,
      seed: this.restarts,
    });
    const { scheduler, tasks, memory } = inlineScheduler({
      graph,
      arena,
      pool,
      times: this.times,
      state,
      history: { spillDirectory, shareAt: (timeMs) => this.shares.get(timeMs) },
      onCompleted: () => {},
      onFailed: (error) => {
        this.#failure = error;
      },
    });
    const slices = new Slices({
      graph,
      times: this.times,
      state: this.tracked,
      held: this.held,
      scheduler,
      tasks,
      memory,
      arena,
      codec: msgpackCodec,
      spillDirectory,
      droppedBlocks: new Set(),
    });
    return { pool, arena, scheduler, state, slices };
  }
}
