/** Runs the stages of one batch: R5. Shuffles are computed once, whichever outputs read them, and
 * those of earlier batches only when batch-history.ts no longer has them. A stateful operator runs
 * when its shuffle is written, which is of the batch itself and never of an earlier one; one that
 * slides, when those of the batches that leave its window or enter it are. Knows no
 * output semantics (output-runner.ts) and no schedule (batch-scheduler.ts). @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import { freeShared } from '../blocks/shared-store.ts';
import { assert, present } from '../core/assert.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import { expandStage } from '../dstream/batch-plan.ts';
import type { ExpansionContext, JobPlan, ShuffleMapStage } from '../dstream/batch-plan.ts';
import type { Leaf, TaskAction, TaskSpec, TaskValue } from '../dstream/task-spec.ts';
import { windowChange } from '../dstream/window-change.ts';
import type { BatchHistory, KnownBatch } from './batch-history.ts';
import type { BlockMemory } from './block-memory.ts';
import type { Pieces } from './kept-pieces.ts';
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
  /** Windows that have been moved, or are being moved, by operator. */
  readonly #slides = new Map<string, Promise<void>>();

  /** `close` ends it. */
  constructor(share: BatchShare, services: BatchExecutionServices) {
    this.share = share;
    this.#services = services;
    this.#states = new StateStages(services);
    services.history.run(share);
  }

  /** Runs what `outputId` needs, as far as it takes no effect. */
  async prepare(outputId: string): Promise<void> {
    await this.#runShuffles(this.#services.history.planOf(outputId));
  }

  /** Runs what `outputId` needs, then `action` on each partition of its result. The id may be that
   * of a stream, too.
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
      // Where a batch time was left out at which a window ends, the next batch moves the window.
      if (history.isSliding(plan.operatorId)) await this.#slide(plan.operatorId, plan.outputId);
      else if (history.times.isDue(plan.operatorId, this.share.batchTimeMs)) {
        await this.#runShuffles(plan);
      }
    }
  }

  /** Frees the shuffle pieces that no later window needs. No task of this batch may be running. */
  close(): void {
    this.#services.history.end(this.share.batchTimeMs);
    this.#states.close();
  }

  async #runShuffles(plan: ShufflesPlan): Promise<void> {
    const { outputId } = plan;
    for (const stage of plan.shuffles) {
      const { operatorId } = stage;
      if (this.#services.history.isSliding(operatorId)) await this.#slide(operatorId, outputId);
      else await this.#write(stage, outputId);
    }
  }

  /** Once, whoever asks. */
  async #write(stage: ShuffleMapStage, outputId: string): Promise<void> {
    const { shuffleId, ageMs } = stage;
    const batch = this.#batchAt(ageMs);
    if (batch === undefined) return; // a time without a batch
    let running = batch.shuffles.get(shuffleId);
    if (running === undefined) {
      running = this.#runShuffle(stage, { batch, outputId });
      batch.shuffles.set(shuffleId, running);
    }
    await running;
  }

  /** Moves the window of an operator that takes away again what leaves it; once in the batch. */
  async #slide(operatorId: string, outputId: string): Promise<void> {
    let running = this.#slides.get(operatorId);
    if (running === undefined) {
      running = this.#moveWindow(operatorId, outputId);
      this.#slides.set(operatorId, running);
    }
    await running;
  }

  async #moveWindow(operatorId: string, outputId: string): Promise<void> {
    const { batchTimeMs } = this.share;
    const span = this.#services.history.spanOf(operatorId);
    const { state } = this.#states;
    let change = windowChange(span, state.throughMsOf(operatorId), batchTimeMs);
    if (change === undefined) return;
    if (this.#hasLost(operatorId)) {
      state.beginAnew(operatorId);
      change = windowChange(span, undefined, batchTimeMs) ?? change;
    }
    const inputs: Pieces[] = [];
    for (const timesMs of [change.leavingMs, change.enteringMs]) {
      inputs.push(await this.#piecesAt(timesMs, { operatorId, outputId }));
    }
    const isEmpty = inputs.every((rows) => rows.flat().every((piece) => piece === null));
    if (isEmpty) this.#states.pass(operatorId, batchTimeMs);
    else await this.#states.run({ operatorId, batchTimeMs, outputId, inputs });
  }

  /** Records that are gone, with a process that had them in memory only or by a repair, cannot be
   * taken away again: then the window is made anew of those that are there. */
  #hasLost(operatorId: string): boolean {
    const { state } = this.#states;
    const throughMs = state.throughMsOf(operatorId);
    if (throughMs === undefined || !state.isRestored(operatorId)) return false;
    return !this.#services.history.isWhole(operatorId, throughMs);
  }

  /** The shuffle of an operator that slides, of several batches: those that are not kept are
   * written first. */
  async #piecesAt(
    timesMs: readonly number[],
    { operatorId, outputId }: { readonly operatorId: string; readonly outputId: string },
  ): Promise<Pieces> {
    const { history } = this.#services;
    const rows: Pieces[number][] = [];
    for (const timeMs of timesMs) {
      const batch = history.at(timeMs as BatchTimeMs);
      if (batch === undefined) continue;
      if (!batch.finished.has(operatorId)) {
        const stages = history.shufflesOf(operatorId, this.share.batchTimeMs - timeMs);
        for (const stage of stages) await this.#write(stage, outputId);
      }
      rows.push(...batch.piecesOf(operatorId));
    }
    return rows;
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
    if (!isStateful || history.isSliding(operatorId)) return;
    const { batchTimeMs } = this.share;
    await this.#states.run({ operatorId, batchTimeMs, outputId, inputs: [pieces] });
  }

  /** What is empty anyway needs no task. */
  async #runStage(
    stage: Pick<ShuffleMapStage, 'branches'>,
    { outputId, action }: { readonly outputId: string; readonly action: TaskAction },
  ): Promise<readonly TaskValue[]> {
    const { batchTimeMs } = this.share;
    const { history, tasks } = this.#services;
    const specs: Omit<TaskSpec, 'attempt'>[] = [];
    const parts = expandStage(stage, (ageMs) => this.#contextAt(ageMs));
    const known = parts.map(({ leaf, via }, partition) => {
      const value = history.valueOfNothing({ leaf, via }, action);
      if (value === undefined) specs.push({ batchTimeMs, outputId, partition, leaf, via, action });
      return value;
    });
    const answers = specs.length === 0 ? [] : await tasks.runStage(specs, this.#holder);
    let answered = 0;
    return known.map((value) => value ?? present(answers[answered++], 'the answer of a task'));
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
    discard: (value) => this.#discard(value),
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

  /** Of a batch the run ends with it, of a slice it goes on. */
  #discard(value: TaskValue): void {
    const pieces = value.kind === 'shuffle-write' ? value.pieces.slice() : [];
    if (value.kind === 'collect') pieces.push(value.bytes);
    for (const piece of pieces) if (piece !== null) freeShared(this.#services.arena, piece);
  }
}
