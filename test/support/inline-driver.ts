/** Runs batches of a graph on this thread: plans, expands and runs tasks in memory, as a driver
 * would do it, without logs, threads, retries or sinks. For tests of operators.
 * @module */
import type { BlockRef, SharedBytes } from '../../src/blocks/block-ref.ts';
import { present } from '../../src/core/assert.ts';
import type { BatchTimeMs, StreamId } from '../../src/core/ids.ts';
import { expandStage, planJob } from '../../src/dstream/batch-plan.ts';
import type { ExpansionContext, ShuffleMapStage } from '../../src/dstream/batch-plan.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import { buildGraph, definePipeline } from '../../src/dstream/pipeline.ts';
import type { BuildPipeline } from '../../src/dstream/pipeline.ts';
import { StreamTimes } from '../../src/dstream/stream-times.ts';
import type { Sink } from '../../src/dstream/sink.ts';
import type { Leaf, TaskAction, TaskSpec, TaskValue } from '../../src/dstream/task-spec.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import type { TaskEnvironment, TaskOutcome } from '../../src/workers/task-environment.ts';
import { runTask } from '../../src/workers/task-runner.ts';

/** Records of one batch: for each input that has any, one array per partition. */
export type BatchInput = Readonly<Record<string, readonly (readonly unknown[])[]>>;

export interface InlineOptions {
  readonly partitions?: number;
  /** Reorders the tasks of a stage before they run. */
  readonly order?: <T>(tasks: readonly T[]) => readonly T[];
  readonly sink?: Sink<unknown>;
  readonly readFile?: TaskEnvironment['readFile'];
}

export const BATCH_TIME: BatchTimeMs = 1_700_000_000_000 as BatchTimeMs;

export function graphOf(build: BuildPipeline): Graph {
  return buildGraph(definePipeline({ name: 'test' }, build));
}

export class InlineBatch {
  /** Ids of the shuffles whose map stages ran, in order. */
  readonly ranShuffles: string[] = [];
  readonly #graph: Graph;
  readonly #input: BatchInput;
  readonly #options: InlineOptions;
  readonly #stored: Uint8Array[] = [];
  readonly #blocks: (readonly unknown[])[] = [];
  readonly #pieces = new Map<string, (readonly (SharedBytes | null)[])[]>();

  constructor(graph: Graph, input: BatchInput, options: InlineOptions = {}) {
    this.#graph = graph;
    this.#input = input;
    this.#options = options;
  }

  /** The records of an output in this batch, one array per partition. */
  async collect(outputId: string, limit?: number): Promise<unknown[][]> {
    const action = { kind: 'collect', ...(limit === undefined ? {} : { limit }) } as const;
    const outcomes = await this.run(outputId, action);
    return outcomes.map(({ value }) => this.#records(value));
  }

  /** Runs all stages of an output's job. @returns the outcomes of the result stage. */
  async run(outputId: string, action: TaskAction): Promise<readonly TaskOutcome[]> {
    const plan = planJob(this.#graph, outputId, new StreamTimes(this.#graph.nodes, 1_000));
    for (const stage of plan.shuffles) await this.#runShuffle(outputId, stage);
    return this.#runStage(outputId, plan.result, action);
  }

  /** Bytes that tasks wrote, in the order of writing. */
  get stored(): readonly Uint8Array[] {
    return this.#stored;
  }

  async #runShuffle(outputId: string, stage: ShuffleMapStage): Promise<void> {
    if (this.#pieces.has(stage.shuffleId)) return;
    this.ranShuffles.push(stage.shuffleId);
    const partitions = stage.partitions ?? this.#defaultPartitions;
    const { shuffleId } = stage;
    const action: TaskAction = { kind: 'shuffle-write', shuffleId, partitions };
    const outcomes = await this.#runStage(outputId, stage, action);
    this.#pieces.set(
      stage.shuffleId,
      outcomes.map(({ value }) => (value.kind === 'shuffle-write' ? value.pieces : [])),
    );
  }

  async #runStage(
    outputId: string,
    stage: Parameters<typeof expandStage>[0],
    action: TaskAction,
  ): Promise<readonly TaskOutcome[]> {
    const specs = expandStage(stage, () => this.#context).map((part, partition): TaskSpec => ({
      batchTimeMs: BATCH_TIME,
      outputId,
      partition,
      attempt: 0,
      ...part,
      action,
    }));
    const order = this.#options.order ?? ((tasks) => tasks);
    const outcomes: TaskOutcome[] = [];
    for (const spec of order(specs)) {
      // Through a clone, as between threads: a function in a spec would not survive it.
      outcomes[spec.partition] = await runTask(structuredClone(spec), this.#environment);
    }
    return outcomes;
  }

  get #defaultPartitions(): number {
    return this.#options.partitions ?? 2;
  }

  get #context(): ExpansionContext {
    return {
      defaultPartitions: this.#defaultPartitions,
      leavesOf: (streamId) => (this.#input[streamId] ?? []).map((p) => this.#leaf(streamId, p)),
      piecesOf: (shuffleId) => present(this.#pieces.get(shuffleId), `shuffle ${shuffleId}`),
    };
  }

  /** A partition's records as two blocks. */
  #leaf(streamId: StreamId, records: readonly unknown[]): Leaf {
    const middle = Math.ceil(records.length / 2);
    const blocks = [records.slice(0, middle), records.slice(middle)].map((part): BlockRef => {
      const offsetBytes = this.#blocks.push(part) - 1;
      const bytes = { kind: 'arena', extentIndex: 0, offsetBytes, lengthBytes: 0 } as const;
      return { streamId, key: `${offsetBytes}`, recordCount: part.length, codec: 'msgpack', bytes };
    });
    return { kind: 'blocks', streamId, blocks };
  }

  get #environment(): TaskEnvironment {
    return {
      graph: this.#graph,
      codec: msgpackCodec,
      readBlock: async ({ bytes }) => {
        const records = present(this.#blocks[bytes.offsetBytes], 'block');
        return { count: records.length, forEach: (visit) => records.forEach((r) => visit(r)) };
      },
      readFile: this.#options.readFile ?? (() => []),
      readShared: (bytes) => present(this.#stored[bytes.offsetBytes], 'piece'),
      writeShared: (bytes) => {
        const offsetBytes = this.#stored.push(bytes) - 1;
        return { kind: 'arena', extentIndex: 0, offsetBytes, lengthBytes: bytes.byteLength };
      },
      sinkFor: () => present(this.#options.sink, 'sink'),
    };
  }

  #records(value: TaskValue): unknown[] {
    if (value.kind !== 'collect' || value.bytes === null) return [];
    const bytes = present(this.#stored[value.bytes.offsetBytes], 'result');
    return msgpackCodec.unpack(bytes) as unknown[];
  }
}

/** Runs one batch of a pipeline whose single output is `print-0`.
 * @returns its records in partition order, one array per partition. */
export async function runBatch(
  build: BuildPipeline,
  input: BatchInput,
  options?: InlineOptions,
): Promise<unknown[][]> {
  return new InlineBatch(graphOf(build), input, options).collect('print-0');
}
