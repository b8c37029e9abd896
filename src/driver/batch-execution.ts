/** Runs the stages of one batch: R5. Shuffles are computed once, whichever outputs read them, and
 * those of earlier batches only when batch-history.ts no longer has them. A stateful operator runs
 * when its shuffle is written, which is of the batch itself and never of an earlier one. Knows no
 * output semantics (output-runner.ts) and no schedule (batch-scheduler.ts). @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { assert, present } from '../core/assert.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import { expandStage } from '../dstream/batch-plan.ts';
import type { ExpansionContext, JobPlan, ShuffleMapStage } from '../dstream/batch-plan.ts';
import type { Leaf, TaskAction, TaskValue } from '../dstream/task-spec.ts';
import type { BatchHistory, KnownBatch } from './batch-history.ts';
import type { BlockMemory } from './block-memory.ts';
import type { KeyedState } from './keyed-state.ts';
import { StateStages } from './state-stage.ts';
import type { LeafHolder, TaskScheduler } from './task-scheduler.ts';
import type { BatchShare } from './tracker-state.ts';

export interface BatchExecutionServices {
  readonly tasks: TaskScheduler;
  readonly memory: BlockMemory;
  readonly arena: BlockArena;
  readonly history: BatchHistory;
  /** Absent for pipelines without stateful operators. */
  readonly state?: KeyedState;
}

/** What has to be written for an output. */
type ShufflesPlan = Pick<JobPlan, 'outputId' | 'shuffles'>;

export class BatchExecution {
  readonly share: BatchShare;
  readonly #services: BatchExecutionServices;
  readonly #states: StateStages;

  /** One at a time; `close` ends it. */
  constructor(share: BatchShare, services: BatchExecutionServices) {
    this.share = share;
    this.#services = services;
    this.#states = new StateStages(services);
    services.history.begin(share);
  }

  /** Runs what `outputId` needs, then `action` on each partition of its result.
   * @returns the values in partition order. */
  async runJob(outputId: string, action: TaskAction): Promise<readonly TaskValue[]> {
    const plan = this.#services.history.planOf(outputId);
    await this.#runShuffles(plan);
    return this.#runStage(plan.result, { outputId, action });
  }

  /** Runs every stateful operator that an output needs, that has a batch at this time, and that has
   * not run in it: also of outputs that were done before, that have no batch now, and when only the
   * state is to be made again. */
  async runStates(): Promise<void> {
    const { history } = this.#services;
    for (const plan of history.statePlans) {
      if (!history.times.isDue(plan.operatorId, this.share.batchTimeMs)) continue;
      await this.#runShuffles(plan);
    }
  }

  /** Frees the shuffle pieces that no later window needs. No task of this batch may be running. */
  close(): void {
    this.#services.history.end(this.share.batchTimeMs);
    this.#states.close();
  }

  async #runShuffles(plan: ShufflesPlan): Promise<void> {
    for (const stage of plan.shuffles) {
      const { shuffleId, ageMs } = stage;
      const batch = this.#batchAt(ageMs);
      if (batch === undefined) continue; // a time without a batch
      let running = batch.shuffles.get(shuffleId);
      if (running === undefined) {
        running = this.#runShuffle(stage, { batch, outputId: plan.outputId });
        batch.shuffles.set(shuffleId, running);
      }
      await running;
    }
  }

  async #runShuffle(
    stage: ShuffleMapStage,
    { batch, outputId }: { readonly batch: KnownBatch; readonly outputId: string },
  ): Promise<void> {
    const { shuffleId, operatorId } = stage;
    const { state } = this.#services;
    const isStateful = state?.has(operatorId) === true;
    // The state has its partitions, however many the batch was allocated for.
    const partitions = isStateful
      ? state.partitionsOf(operatorId)
      : (stage.partitions ?? batch.defaultPartitions);
    const action: TaskAction = { kind: 'shuffle-write', shuffleId, partitions };
    const values = await this.#runStage(stage, { outputId, action });
    const pieces = values.map((value) => {
      assert(value.kind === 'shuffle-write', 'a map task answered something else');
      return value.pieces;
    });
    const { history } = this.#services;
    // Of a window that begins anew there may be many, and each task has filled its own extents.
    batch.finished.set(shuffleId, stage.ageMs === 0 ? { pieces } : history.pack({ pieces }));
    if (!isStateful) return;
    const { batchTimeMs } = this.share;
    await this.#states.run({ operatorId, batchTimeMs, outputId, pieces });
  }

  #runStage(
    stage: Pick<ShuffleMapStage, 'branches'>,
    { outputId, action }: { readonly outputId: string; readonly action: TaskAction },
  ): Promise<readonly TaskValue[]> {
    const { batchTimeMs } = this.share;
    const parts = expandStage(stage, (ageMs) => this.#contextAt(ageMs));
    return this.#services.tasks.runStage(
      parts.map(({ leaf, via }, partition) => ({
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

  #batchAt(ageMs: number): KnownBatch | undefined {
    return this.#services.history.at((this.share.batchTimeMs - ageMs) as BatchTimeMs);
  }

  /** State is only ever that of the batch itself. */
  #contextAt(ageMs: number): ExpansionContext | undefined {
    const batch = this.#batchAt(ageMs);
    if (batch === undefined || ageMs !== 0) return batch;
    return {
      defaultPartitions: batch.defaultPartitions,
      leavesOf: (streamId) => batch.leavesOf(streamId),
      piecesOf: (shuffleId) => batch.piecesOf(shuffleId),
      stateLeaves: (operatorId, view) => this.#states.leavesOf(operatorId, view),
    };
  }

  /** Between two tasks blocks may leave memory, so each task is told anew where they are. */
  readonly #holder: LeafHolder = {
    hold: (leaf) => this.#hold(leaf),
    release: (leaf) => this.#release(leaf),
  };

  #hold(leaf: Leaf): Leaf {
    if (leaf.kind === 'parts') {
      return {
        ...leaf,
        parts: leaf.parts.map((part) => ({ ...part, leaf: this.#hold(part.leaf) })),
      };
    }
    if (leaf.kind !== 'blocks') return leaf;
    const { memory, history } = this.#services;
    const blocks = leaf.blocks.map(({ key }) =>
      present(memory.pin(present(history.block(key), key)), `the place of block ${key}`),
    );
    return { ...leaf, blocks };
  }

  #release(leaf: Leaf): void {
    if (leaf.kind === 'parts') for (const part of leaf.parts) this.#release(part.leaf);
    else if (leaf.kind === 'blocks') this.#services.memory.unpin(leaf.blocks);
  }
}
