/** Runs a stateful operator in one batch: a task for each partition of its state, whose deltas are
 * taken over when all have succeeded. Owns what the tasks have put out, until the batch ends.
 * @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import { freeShared, readShared } from '../blocks/shared-store.ts';
import { assert, present } from '../core/assert.ts';
import type { BatchTimeMs } from '../core/ids.ts';
import type { Leaf } from '../dstream/task-spec.ts';
import type { KeyedState } from './keyed-state.ts';
import type { TaskScheduler } from './task-scheduler.ts';

export interface StateStageServices {
  readonly tasks: TaskScheduler;
  readonly arena: BlockArena;
  readonly state?: KeyedState | undefined;
}

/** Of one shuffle: `[map partition][state partition]`. */
type Pieces = readonly (readonly (SharedBytes | null)[])[];

interface Stage {
  readonly operatorId: string;
  readonly batchTimeMs: BatchTimeMs;
  /** The output operation that asked first. */
  readonly outputId: string;
  /** What each task reads: of the operator's shuffle, or of what leaves its window and what comes
   * in. */
  readonly inputs: readonly Pieces[];
}

/** The stateful operators of one batch. */
export class StateStages {
  readonly #services: StateStageServices;
  readonly #outputs = new Map<string, readonly (SharedBytes | null)[]>();

  constructor(services: StateStageServices) {
    this.#services = services;
  }

  get state(): KeyedState {
    return present(this.#services.state, 'keyed state');
  }

  /** Runs an operator, once in the batch. @throws {MillraceError} TASK_FAILED: the state is as it
   *   was. */
  async run({ operatorId, batchTimeMs, outputId, inputs }: Stage): Promise<void> {
    const { tasks, arena } = this.#services;
    const updates = this.state.updates(operatorId, batchTimeMs);
    const values = await tasks.runStage(
      updates.map(({ store, due }, partition) => {
        const own = inputs.map((rows) => ({
          shuffleId: operatorId,
          pieces: rows.map((row) => row[partition] ?? null).filter((piece) => piece !== null),
        }));
        return {
          batchTimeMs,
          outputId,
          partition,
          leaf: { kind: 'shuffle', operatorId, inputs: own },
          via: [],
          action: { kind: 'state-update', operatorId, store, due },
        };
      }),
    );
    const results = values.map((value) => {
      assert(
        value.kind === 'state-update',
        'a task of a stateful operator answered something else',
      );
      return value;
    });
    const deltas = results.map(({ delta }, partition) => ({
      delta: delta === null ? null : readShared(arena, delta),
      due: present(updates[partition], 'a partition').due,
    }));
    this.state.apply(operatorId, batchTimeMs, deltas);
    for (const { delta } of results) if (delta !== null) freeShared(arena, delta);
    this.#outputs.set(
      operatorId,
      results.map(({ output }) => output),
    );
  }

  /** Nothing has come for an operator: its state is that after this batch too. */
  pass(operatorId: string, batchTimeMs: BatchTimeMs): void {
    this.state.apply(operatorId, batchTimeMs, []);
  }

  /** What readers of an operator that has run in this batch read. */
  leavesOf(operatorId: string, view: 'output' | 'all'): readonly Leaf[] {
    if (view === 'all') {
      const stores = this.state.handlesOf(operatorId);
      return stores.map((store) => ({ kind: 'state', operatorId, store }));
    }
    const outputs = present(this.#outputs.get(operatorId), `the output of ${operatorId}`);
    return outputs.flatMap((piece) =>
      piece === null ? [] : [{ kind: 'state-output', operatorId, piece }],
    );
  }

  /** Gives back what the tasks have put out. No task of the batch may be running. */
  close(): void {
    for (const piece of [...this.#outputs.values()].flat()) {
      if (piece !== null) freeShared(this.#services.arena, piece);
    }
    this.#outputs.clear();
  }
}
