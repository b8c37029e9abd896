/** The running batch and those before it that windows still look at: what each of them reads, and
 * the results of its shuffles.
 *
 * A window over an earlier batch needs what an operator made of that batch. Shuffles that a window
 * reads are therefore kept as the pieces that their map tasks wrote, until no later window needs
 * them: each batch is reduced once. What is not there, as after a restart, is made again from the
 * batch's share, which gives the same pieces. Everything else is freed when its batch has run.
 * Owns the pieces; where they lie is up to kept-pieces.ts. One writer: the driver. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import type { BlockInfo, BlockRef } from '../blocks/block-ref.ts';
import { present } from '../core/assert.ts';
import type { EventBus } from '../core/events.ts';
import { blockKey } from '../core/ids.ts';
import type { BatchTimeMs, StreamId } from '../core/ids.ts';
import { planJob, planShuffle, planStates, planStream } from '../dstream/batch-plan.ts';
import type {
  ExpansionContext,
  JobPlan,
  ShuffleMapStage,
  StatePlan,
} from '../dstream/batch-plan.ts';
import { valueOfNothing } from '../dstream/empty-partition.ts';
import { isSliding, roleOf } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import type { StreamTimes } from '../dstream/stream-times.ts';
import type { Leaf, LeafPart, TaskAction, TaskValue } from '../dstream/task-spec.ts';
import { windowTimes } from '../dstream/window-change.ts';
import type { SlidingSpan } from '../dstream/window-change.ts';
import type { BlockMemory } from './block-memory.ts';
import { PieceKeeper } from './kept-pieces.ts';
import type { Pieces, WrittenShuffle } from './kept-pieces.ts';
import { mapAt } from './tracker-state.ts';
import type { BatchShare, InputShare } from './tracker-state.ts';

export interface BatchHistoryOptions {
  readonly graph: Graph;
  readonly times: StreamTimes;
  readonly arena: BlockArena;
  /** For pieces that find no room in the arena; made when it is first needed. */
  readonly spillDirectory: string;
  readonly memory: BlockMemory;
  readonly events: EventBus;
  /** Keys of blocks that a repair has taken out of the log. */
  readonly droppedBlocks: ReadonlySet<string>;
  /** The share of a batch that is allocated and not cleaned. */
  readonly shareAt: (batchTimeMs: BatchTimeMs) => BatchShare | undefined;
  /** No later batch comes: what tasks write stays where it is, and goes with its batch. */
  readonly isPassing?: true;
}

export class BatchHistory {
  readonly #options: BatchHistoryOptions;
  readonly #batches = new Map<BatchTimeMs, KnownBatch>();
  readonly #running = new Set<BatchTimeMs>();
  /** The blocks of all of them, by key. */
  readonly #blocks = new Map<string, BlockInfo>();
  readonly #keeper: PieceKeeper;
  readonly #plans = new Map<string, JobPlan>();
  /** Of operators that slide, by id and age. */
  readonly #shufflePlans = new Map<string, readonly ShuffleMapStage[]>();
  readonly statePlans: readonly StatePlan[];
  /** How windows read shuffles, by shuffle id: the age of the oldest batch that an output reads, by
   * the slide of the output. Shuffles of the batch itself only have none. */
  readonly #oldestReadMs = new Map<string, Map<number, number>>();

  constructor(options: BatchHistoryOptions) {
    this.#options = options;
    this.#keeper = new PieceKeeper(options.arena, options.spillDirectory);
    this.statePlans = planStates(options.graph, options.times);
    for (const { id } of options.graph.outputs) {
      this.#addReaders(this.times.slideMs(id), this.planOf(id).shuffles);
    }
    for (const { operatorId } of this.statePlans) {
      if (this.isSliding(operatorId)) this.#addSliding(operatorId);
    }
  }

  get times(): StreamTimes {
    return this.#options.times;
  }

  /** Of an output operation, or of a stream. The same object each time. */
  planOf(outputId: string): JobPlan {
    let plan = this.#plans.get(outputId);
    if (plan === undefined) {
      const { graph, times } = this.#options;
      const isOutput = roleOf(graph.node(outputId).kind) === 'output';
      plan = (isOutput ? planJob : planStream)(graph, outputId, times);
      this.#plans.set(outputId, plan);
    }
    return plan;
  }

  /** What a task would answer for a partition that is empty. */
  valueOfNothing(part: LeafPart, action: TaskAction): TaskValue | undefined {
    return valueOfNothing(this.#options.graph, part, action);
  }

  isSliding(operatorId: string): boolean {
    return isSliding(this.#options.graph.node(operatorId).kind);
  }

  /** How the window of an operator moves that slides. */
  spanOf(operatorId: string): SlidingSpan {
    return this.times.spanOf(this.#options.graph.node(operatorId));
  }

  /** Whether all records are there that the window of such an operator held after a batch. */
  isWhole(operatorId: string, throughMs: number): boolean {
    const { times } = this;
    const { parents } = this.#options.graph.node(operatorId);
    const [oldestMs = throughMs] = windowTimes(this.spanOf(operatorId), throughMs);
    const belowMs = times.reachOf(present(parents[0], `the parent of ${operatorId}`));
    for (let timeMs = oldestMs - belowMs; timeMs <= throughMs; timeMs += times.batchIntervalMs) {
      if ((this.at(timeMs as BatchTimeMs)?.lostRecords ?? 0) > 0) return false;
    }
    return true;
  }

  /** What writes the shuffle of such an operator, of the batch that lies so long before. */
  shufflesOf(operatorId: string, ageMs: number): readonly ShuffleMapStage[] {
    const { graph, times } = this.#options;
    const key = `${operatorId}@${ageMs}`;
    let plan = this.#shufflePlans.get(key);
    if (plan === undefined) {
      plan = planShuffle(graph, times, { operatorId, ageMs });
      // After a gap ages are of any length; those that come again are not.
      if (ageMs <= times.reachMs) this.#shufflePlans.set(key, plan);
    }
    return plan;
  }

  /** A batch begins to run; `end` ends it. */
  run(share: BatchShare): void {
    this.#running.add(share.batchTimeMs);
    this.begin(share);
  }

  /** A batch that is about to be read. */
  begin(share: BatchShare): KnownBatch {
    const batch = new KnownBatch(share, this.#options);
    this.#batches.set(share.batchTimeMs, batch);
    for (const [key, block] of batch.blocks) this.#blocks.set(key, block);
    return batch;
  }

  /** @returns `undefined` when there was no batch at this time, or it is no longer remembered. */
  at(batchTimeMs: BatchTimeMs): KnownBatch | undefined {
    const known = this.#batches.get(batchTimeMs);
    if (known !== undefined) return known;
    const share = this.#options.shareAt(batchTimeMs);
    return share === undefined ? undefined : this.begin(share);
  }

  /** A block that some leaf names. */
  block(key: string): BlockInfo | undefined {
    return this.#blocks.get(key);
  }

  /** Packs pieces that were just written, those of a batch that ran before. */
  pack(written: WrittenShuffle): WrittenShuffle {
    return this.#options.isPassing ? written : this.#keeper.keep(written);
  }

  /** The batch has run, or failed: frees what no later one needs. No task of it may be running.
   * What belongs to batches that run at the same time stays. */
  end(batchTimeMs: BatchTimeMs): void {
    const toKeep: [batch: KnownBatch, shuffleId: string, written: WrittenShuffle][] = [];
    this.#running.delete(batchTimeMs);
    for (const [timeMs, batch] of this.#batches) {
      if (this.#running.has(timeMs)) continue;
      for (const [shuffleId, written] of batch.finished) {
        if (this.#isNeeded(shuffleId, { timeMs, afterMs: batchTimeMs })) {
          if (written.whole === undefined) toKeep.push([batch, shuffleId, written]);
        } else {
          batch.forget(shuffleId);
          this.#keeper.free(written);
        }
      }
      if (timeMs > batchTimeMs - this.times.reachMs) continue;
      this.#batches.delete(timeMs);
      for (const key of batch.blocks.keys()) this.#blocks.delete(key);
    }
    // After all that makes room for them.
    for (const [batch, shuffleId, written] of toKeep) {
      batch.finished.set(shuffleId, this.#keeper.keep(written));
    }
  }

  #isNeeded(
    shuffleId: string,
    { timeMs, afterMs }: { readonly timeMs: number; readonly afterMs: number },
  ): boolean {
    for (const [slideMs, ageMs] of this.#oldestReadMs.get(shuffleId) ?? []) {
      const nextMs = (Math.floor(afterMs / slideMs) + 1) * slideMs;
      if (nextMs - timeMs <= ageMs) return true;
    }
    return false;
  }

  /** What leaves is read once more, one slide after the last window that had it. What was made on
   * the way to it is not. */
  #addSliding(operatorId: string): void {
    const { windowMs, slideMs, batchMs } = this.spanOf(operatorId);
    const oldestEnteringMs = Math.min(windowMs, slideMs) - batchMs;
    this.#addReaders(slideMs, this.shufflesOf(operatorId, oldestEnteringMs));
    this.#addReaders(slideMs, [{ shuffleId: operatorId, ageMs: windowMs + slideMs - batchMs }]);
  }

  #addReaders(
    slideMs: number,
    shuffles: readonly Pick<ShuffleMapStage, 'shuffleId' | 'ageMs'>[],
  ): void {
    for (const { shuffleId, ageMs } of shuffles) {
      if (ageMs === 0) continue;
      const oldest = mapAt(this.#oldestReadMs, shuffleId, () => new Map<number, number>());
      oldest.set(slideMs, Math.max(ageMs, oldest.get(slideMs) ?? 0));
    }
  }
}

/** One batch, as the stages that read it see it. */
export class KnownBatch implements ExpansionContext {
  readonly share: BatchShare;
  /** Records of the share that are not there any more. */
  lostRecords = 0;
  /** Shuffles that were begun. */
  readonly shuffles: Map<string, Promise<void>> = new Map();
  /** Those of them that are written. */
  readonly finished: Map<string, WrittenShuffle> = new Map();
  readonly #options: BatchHistoryOptions;
  readonly #leaves = new Map<StreamId, readonly Leaf[]>();
  /** All blocks of the share that are there, by key. */
  readonly blocks: Map<string, BlockInfo> = new Map();

  constructor(share: BatchShare, options: BatchHistoryOptions) {
    this.share = share;
    this.#options = options;
    for (const input of share.inputs) this.#leaves.set(input.streamId, this.#leavesOf(input));
  }

  get defaultPartitions(): number {
    return this.share.partitions;
  }

  /** None of an input that was not there when the batch was allocated. */
  leavesOf(streamId: StreamId): readonly Leaf[] {
    return this.#leaves.get(streamId) ?? [];
  }

  piecesOf(shuffleId: string): Pieces {
    return present(this.finished.get(shuffleId), `shuffle ${shuffleId}`).pieces;
  }

  forget(shuffleId: string): void {
    this.finished.delete(shuffleId);
    this.shuffles.delete(shuffleId);
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
   * said, once in a run, and run without. */
  #locate(blocks: readonly BlockInfo[]): readonly BlockRef[] {
    const { memory, events, droppedBlocks } = this.#options;
    let recordCount = 0;
    let droppedCount = 0;
    const found = blocks.flatMap((block) => {
      const ref = memory.locate(block);
      const key = blockKey(block.blockId);
      if (ref !== undefined) {
        this.blocks.set(key, block);
        return [ref];
      }
      recordCount += block.recordCount;
      if (droppedBlocks.has(key)) droppedCount += block.recordCount;
      return [];
    });
    this.lostRecords += recordCount;
    if (recordCount > 0) {
      const { batchTimeMs } = this.share;
      events.emit({ type: 'blocks-lost', batchTimeMs, recordCount, droppedCount });
    }
    return found;
  }
}
