/** Runs the stages of one batch: R5. Owns the shuffle pieces of the batch, from their writing to
 * their end. Shuffles are computed once, whichever outputs read them. Knows no output semantics
 * (output-runner.ts) and no schedule (batch-scheduler.ts). @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo, SharedBytes } from '../blocks/block-ref.ts';
import { freeShared } from '../blocks/shared-store.ts';
import { assert, present } from '../core/assert.ts';
import { blockKey } from '../core/ids.ts';
import type { EventBus } from '../core/events.ts';
import type { StreamId } from '../core/ids.ts';
import { expandStage, planJob } from '../dstream/batch-plan.ts';
import type { ExpansionContext, JobPlan, ShuffleMapStage } from '../dstream/batch-plan.ts';
import { roleOf } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import type { Leaf, TaskAction, TaskValue } from '../dstream/task-spec.ts';
import type { BlockMemory } from './block-memory.ts';
import type { KeyedState } from './keyed-state.ts';
import { StateStages } from './state-stage.ts';
import type { LeafHolder, TaskScheduler } from './task-scheduler.ts';
import type { BatchShare, InputShare } from './tracker-state.ts';

export interface BatchExecutionServices {
  readonly graph: Graph;
  readonly tasks: TaskScheduler;
  readonly arena: BlockArena;
  readonly memory: BlockMemory;
  readonly events: EventBus;
  /** Keys of blocks that a repair has taken out of the log. */
  readonly droppedBlocks: ReadonlySet<string>;
  /** Absent for pipelines without stateful operators. */
  readonly state?: KeyedState;
}

type Pieces = readonly (readonly (SharedBytes | null)[])[];

export class BatchExecution {
  readonly share: BatchShare;
  readonly #services: BatchExecutionServices;
  readonly #shuffles = new Map<string, Promise<Pieces>>();
  readonly #finished = new Map<string, Pieces>();
  readonly #leaves = new Map<StreamId, readonly Leaf[]>();
  readonly #states: StateStages;
  /** All blocks of the share that are there, by key. */
  readonly #blocks = new Map<string, BlockInfo>();
  readonly #holder: LeafHolder = {
    hold: (leaf) => this.#hold(leaf),
    release: (leaf) => {
      if (leaf.kind === 'blocks') this.#services.memory.unpin(leaf.blocks);
    },
  };

  constructor(share: BatchShare, services: BatchExecutionServices) {
    this.share = share;
    this.#services = services;
    this.#states = new StateStages(services);
    for (const input of share.inputs) this.#leaves.set(input.streamId, this.#leavesOf(input));
  }

  /** Runs what `outputId` needs, then `action` on each partition of its result.
   * @returns the values in partition order. */
  async runJob(outputId: string, action: TaskAction): Promise<readonly TaskValue[]> {
    const plan = planJob(this.#services.graph, outputId);
    await this.#runShuffles(plan);
    return this.#runStage(plan.result, { outputId, action });
  }

  /** Runs every stateful operator that an output needs and that has not run in this batch: also of
   * outputs that were done before, and when only the state is to be made again. */
  async runStates(): Promise<void> {
    for (const { id } of this.#services.graph.outputs) {
      const plan = planJob(this.#services.graph, id);
      const last = plan.shuffles.findLastIndex(({ operatorId }) => this.#isStateful(operatorId));
      await this.#runShuffles({ ...plan, shuffles: plan.shuffles.slice(0, last + 1) });
    }
  }

  /** Frees the shuffle pieces. No task of this batch may be running. */
  close(): void {
    for (const pieces of this.#finished.values()) {
      for (const piece of pieces.flat()) {
        if (piece !== null) freeShared(this.#services.arena, piece);
      }
    }
    this.#finished.clear();
    this.#shuffles.clear();
    this.#states.close();
  }

  async #runShuffles(plan: JobPlan): Promise<void> {
    for (const stage of plan.shuffles) {
      const { shuffleId } = stage;
      let running = this.#shuffles.get(shuffleId);
      if (running === undefined) {
        running = this.#runShuffle(stage, plan.outputId);
        this.#shuffles.set(shuffleId, running);
      }
      await running;
    }
  }

  async #runShuffle(stage: ShuffleMapStage, outputId: string): Promise<Pieces> {
    const { shuffleId, operatorId } = stage;
    const isStateful = this.#isStateful(operatorId);
    // The state has its partitions, however many the batch was allocated for.
    const partitions = isStateful
      ? this.#states.state.partitionsOf(operatorId)
      : (stage.partitions ?? this.share.partitions);
    const action: TaskAction = { kind: 'shuffle-write', shuffleId, partitions };
    const values = await this.#runStage(stage, { outputId, action });
    const pieces = values.map((value) => {
      assert(value.kind === 'shuffle-write', 'a map task answered something else');
      return value.pieces;
    });
    this.#finished.set(shuffleId, pieces);
    if (isStateful) {
      const { batchTimeMs } = this.share;
      await this.#states.run({ operatorId, batchTimeMs, outputId, pieces });
    }
    return pieces;
  }

  #isStateful(operatorId: string): boolean {
    return roleOf(this.#services.graph.node(operatorId).kind) === 'state';
  }

  #runStage(
    stage: Pick<ShuffleMapStage, 'branches'>,
    { outputId, action }: { readonly outputId: string; readonly action: TaskAction },
  ): Promise<readonly TaskValue[]> {
    const context: ExpansionContext = {
      defaultPartitions: this.share.partitions,
      leavesOf: (streamId) => this.#leaves.get(streamId) ?? [],
      piecesOf: (shuffleId) => present(this.#finished.get(shuffleId), `shuffle ${shuffleId}`),
      stateLeaves: (operatorId, view) => this.#states.leavesOf(operatorId, view),
    };
    const { batchTimeMs } = this.share;
    return this.#services.tasks.runStage(
      expandStage(stage, context).map(({ leaf, via }, partition) => ({
        batchTimeMs,
        outputId,
        partition,
        leaf,
        via,
        action,
      })),
      this.#holder,
    );
  }

  /** Between two tasks blocks may leave memory, so each task is told anew where they are. */
  #hold(leaf: Leaf): Leaf {
    if (leaf.kind !== 'blocks') return leaf;
    const { memory } = this.#services;
    const blocks = leaf.blocks.map(({ key }) =>
      present(memory.pin(present(this.#blocks.get(key), key)), `the place of block ${key}`),
    );
    return { ...leaf, blocks };
  }

  #leavesOf(input: InputShare): readonly Leaf[] {
    const { streamId } = input;
    switch (input.kind) {
      case 'blocks':
        return input.groups.map((group) => ({
          kind: 'blocks',
          streamId,
          blocks: this.#locate(group.map((i) => present(input.blocks[i], 'a block of a group'))),
        }));
      case 'files':
        return input.files.map((file) => ({ kind: 'files', streamId, files: [file] }));
      case 'queue': {
        const { queueIndex, slices } = input;
        if (queueIndex === null) return [];
        return Array.from({ length: slices }, (_, slice) => ({
          kind: 'queue',
          streamId,
          queueIndex,
          slice,
          slices,
        }));
      }
    }
  }

  /** Blocks without a log are gone with the process that held them, or were given up by a repair:
   * said, and run without. */
  #locate(blocks: readonly BlockInfo[]) {
    const { memory, events, droppedBlocks } = this.#services;
    let recordCount = 0;
    let droppedCount = 0;
    const found = blocks.flatMap((block) => {
      const ref = memory.locate(block);
      const key = blockKey(block.blockId);
      if (ref !== undefined) {
        this.#blocks.set(key, block);
        return [ref];
      }
      recordCount += block.recordCount;
      if (droppedBlocks.has(key)) droppedCount += block.recordCount;
      return [];
    });
    if (recordCount > 0) {
      const { batchTimeMs } = this.share;
      events.emit({ type: 'blocks-lost', batchTimeMs, recordCount, droppedCount });
    }
    return found;
  }
}
