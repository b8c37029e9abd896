/** Runs the batches of a graph on this thread: the plan, the stages and the packed records of a
 * real engine, without threads, logs, files, retries or a clock.
 *
 * A batch is planned as the driver does it (dstream/batch-plan.ts) and its tasks run as an executor
 * runs them (workers/task-runner.ts), one after the other, in the order of their partitions. Task
 * specs and results cross as data. A failed task is not tried again: its error is the test's.
 * Knows no operator, no assertion and no output: who asks for an output's records names it.
 * @module */
import { present } from '../../core/assert.ts';
import { MillraceError } from '../../core/errors.ts';
import type { BatchTimeMs, StreamId } from '../../core/ids.ts';
import { expandStage, planJob, planShuffle, planStates } from '../../dstream/batch-plan.ts';
import type {
  ExpansionContext,
  ResultStage,
  ShuffleMapStage,
  StatePlan,
} from '../../dstream/batch-plan.ts';
import { isSliding } from '../../dstream/graph.ts';
import type { Graph } from '../../dstream/graph.ts';
import { StreamTimes } from '../../dstream/stream-times.ts';
import type { Leaf, TaskAction, TaskSpec, TaskValue } from '../../dstream/task-spec.ts';
import { windowChange } from '../../dstream/window-change.ts';
import type { SharedBytes } from '../../blocks/block-ref.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { TaskEnvironment } from '../../workers/task-environment.ts';
import { runTask } from '../../workers/task-runner.ts';
import { InlineMemory } from './inline-memory.ts';
import { InlineStates } from './inline-states.ts';

/** What a batch has: leaves by input, made in the memory of the run. */
export type LeavesOf = (streamId: StreamId) => readonly Leaf[];

export interface InlineEngineOptions {
  readonly batchIntervalMs: number;
  /** What shuffles spread over, when their author did not say. */
  readonly partitions: number;
}

type Pieces = readonly (readonly (SharedBytes | null)[])[];

/** One run: batches with rising times. All of them stay, for windows that look back. */
export class InlineEngine {
  readonly memory: InlineMemory = new InlineMemory();
  readonly graph: Graph;
  /** Of the batches. */
  readonly partitions: number;
  readonly times: StreamTimes;
  readonly states: InlineStates;
  readonly statePlans: readonly StatePlan[];
  readonly #environment: TaskEnvironment;
  readonly #batches = new Map<number, InlineBatch>();

  /** @throws {MillraceError} PIPELINE_INVALID when a window does not fit the batch interval. */
  constructor(graph: Graph, { partitions, batchIntervalMs }: InlineEngineOptions) {
    this.graph = graph;
    this.partitions = partitions;
    this.times = new StreamTimes(graph.nodes, batchIntervalMs);
    this.statePlans = planStates(graph, this.times);
    this.#environment = this.#makeEnvironment();
    const run = (spec: TaskSpec): Promise<TaskValue> => this.runTask(spec);
    this.states = new InlineStates({ graph, partitions, memory: this.memory, runTask: run });
  }

  /** Begins the next batch. Nothing is computed before it is asked for. */
  begin(batchTimeMs: BatchTimeMs, leavesOf: LeavesOf): InlineBatch {
    const batch = new InlineBatch(this, { batchTimeMs, leavesOf });
    this.#batches.set(batchTimeMs, batch);
    return batch;
  }

  /** @returns `undefined` when there was no batch at this time. */
  at(batchTimeMs: number): InlineBatch | undefined {
    return this.#batches.get(batchTimeMs);
  }

  /** Runs one task. Its spec goes through a clone, as between threads: a function in it would not
   * survive that. */
  async runTask(spec: TaskSpec): Promise<TaskValue> {
    const { value } = await runTask(structuredClone(spec), this.#environment);
    return value;
  }

  #makeEnvironment(): TaskEnvironment {
    const { memory } = this;
    return {
      graph: this.graph,
      codec: msgpackCodec,
      readBlock: (ref) => Promise.resolve(memory.readBlock(ref)),
      readFile: ({ path }) => {
        throw new MillraceError('BROKEN_INVARIANT', `a test reads no file, but ${path} is one`);
      },
      readShared: (bytes) => memory.read(bytes),
      writeShared: (bytes) => memory.write(bytes),
      // Of `to` only, when a test asks for that: nothing else writes in a test.
      sinkFor: (outputId) => present(this.graph.node(outputId).sink, `the sink of ${outputId}`),
    };
  }
}

/** One batch. A shuffle that several outputs read is computed once, as in an engine. */
export class InlineBatch implements ExpansionContext {
  readonly batchTimeMs: BatchTimeMs;
  readonly leavesOf: LeavesOf;
  readonly #engine: InlineEngine;
  readonly #pieces = new Map<string, Pieces>();

  constructor(
    engine: InlineEngine,
    { batchTimeMs, leavesOf }: Pick<InlineBatch, 'batchTimeMs' | 'leavesOf'>,
  ) {
    this.#engine = engine;
    this.batchTimeMs = batchTimeMs;
    this.leavesOf = leavesOf;
  }

  get defaultPartitions(): number {
    return this.#engine.partitions;
  }

  piecesOf(shuffleId: string): Pieces {
    return present(this.#pieces.get(shuffleId), `shuffle ${shuffleId}`);
  }

  stateLeaves(operatorId: string, view: 'output' | 'all'): readonly Leaf[] {
    return this.#engine.states.leavesOf(operatorId, view);
  }

  /** The records of an output, one array for each partition; none at a time at which it has no
   * batch.
   * @throws {MillraceError} TASK_FAILED when a function of the user threw: names the operator, and
   *   `cause` is what it threw. */
  async collect(outputId: string): Promise<unknown[][]> {
    const values = await this.run(outputId, { kind: 'collect' });
    return values.map((value) => {
      if (value.kind !== 'collect' || value.bytes === null) return [];
      return msgpackCodec.unpack(this.#engine.memory.read(value.bytes)) as unknown[];
    });
  }

  /** Runs what an output needs, then `action` on each partition of its result. */
  async run(outputId: string, action: TaskAction): Promise<readonly TaskValue[]> {
    const { graph, times } = this.#engine;
    if (!times.isDue(outputId, this.batchTimeMs)) {
      await this.#runStates();
      return [];
    }
    const plan = planJob(graph, outputId, times);
    await this.#runShuffles(outputId, plan.shuffles);
    return this.#runStage(plan.result, { outputId, action });
  }

  async #runShuffles(outputId: string, stages: readonly ShuffleMapStage[]): Promise<void> {
    for (const stage of stages) {
      if (this.#slides(stage.operatorId)) await this.#slide(outputId, stage.operatorId);
      else await this.#runShuffle(outputId, stage);
    }
  }

  #slides(operatorId: string): boolean {
    return isSliding(this.#engine.graph.node(operatorId).kind);
  }

  /** Moves the window of an operator that takes away again what leaves it, as the driver does. */
  async #slide(outputId: string, operatorId: string): Promise<void> {
    const { graph, times, states } = this.#engine;
    const { batchTimeMs } = this;
    const span = times.spanOf(graph.node(operatorId));
    const change = windowChange(span, states.throughMsOf(operatorId), batchTimeMs);
    if (change === undefined) return;
    const inputs: Pieces[] = [];
    for (const timesMs of [change.leavingMs, change.enteringMs]) {
      const rows: Pieces[number][] = [];
      for (const timeMs of timesMs) {
        const batch = this.#engine.at(timeMs);
        if (batch === undefined) continue;
        const ageMs = batchTimeMs - timeMs;
        for (const stage of planShuffle(graph, times, { operatorId, ageMs })) {
          await this.#runShuffle(outputId, stage);
        }
        rows.push(...batch.piecesOf(operatorId));
      }
      inputs.push(rows);
    }
    await states.run({ operatorId, outputId, batchTimeMs, inputs });
  }

  async #runShuffle(outputId: string, stage: ShuffleMapStage): Promise<void> {
    const { shuffleId, operatorId } = stage;
    const batch = this.#at(stage.ageMs);
    if (batch === undefined || batch.#pieces.has(shuffleId)) return;
    const { states } = this.#engine;
    const ofState = states.partitionsOf(operatorId);
    const partitions = ofState ?? stage.partitions ?? this.defaultPartitions;
    const action: TaskAction = { kind: 'shuffle-write', shuffleId, partitions };
    const values = await this.#runStage(stage, { outputId, action });
    const pieces = values.map((value) => (value.kind === 'shuffle-write' ? value.pieces : []));
    batch.#pieces.set(shuffleId, pieces);
    if (ofState === undefined || this.#slides(operatorId)) return;
    await states.run({ operatorId, outputId, batchTimeMs: this.batchTimeMs, inputs: [pieces] });
  }

  /** Stateful operators run in each batch of their own stream, also when no reader has one. */
  async #runStates(): Promise<void> {
    const { statePlans, times } = this.#engine;
    for (const { operatorId, outputId, shuffles } of statePlans) {
      if (this.#slides(operatorId)) await this.#slide(outputId, operatorId);
      else if (times.isDue(operatorId, this.batchTimeMs)) {
        await this.#runShuffles(outputId, shuffles);
      }
    }
  }

  #at(ageMs: number): InlineBatch | undefined {
    return this.#engine.at(this.batchTimeMs - ageMs);
  }

  async #runStage(
    stage: ResultStage,
    job: Pick<TaskSpec, 'outputId' | 'action'>,
  ): Promise<readonly TaskValue[]> {
    const { batchTimeMs } = this;
    const values: TaskValue[] = [];
    for (const [partition, part] of expandStage(stage, (ageMs) => this.#at(ageMs)).entries()) {
      const spec = { batchTimeMs, partition, attempt: 0, ...part, ...job };
      values.push(await this.#engine.runTask(spec));
    }
    return values;
  }
}
