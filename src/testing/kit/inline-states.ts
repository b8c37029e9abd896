/** Keyed state of a run in memory: the state of the engine (driver/keyed-state.ts), changed by the
 * tasks of one batch after the other, without snapshots.
 *
 * What tasks put out is remembered for the batch that ran last, which is the one that is read.
 * @module */
import type { SharedBytes } from '../../blocks/block-ref.ts';
import { assert, present } from '../../core/assert.ts';
import type { BatchTimeMs } from '../../core/ids.ts';
import { KeyedState } from '../../driver/keyed-state.ts';
import type { Graph } from '../../dstream/graph.ts';
import type { Leaf, TaskSpec, TaskValue } from '../../dstream/task-spec.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { InlineMemory } from './inline-memory.ts';

/** Of the hashes of keys: the same in every run, so that results come in the same order. */
const HASH_SEED = 1;

export interface InlineStatesOptions {
  readonly graph: Graph;
  readonly partitions: number;
  readonly memory: InlineMemory;
  readonly runTask: (spec: TaskSpec) => Promise<TaskValue>;
}

/** One run of a stateful operator. */
interface StateRun {
  readonly operatorId: string;
  readonly outputId: string;
  readonly batchTimeMs: BatchTimeMs;
  /** Of its shuffle, or of what leaves and what enters its window:
   * `[map partition][state partition]`. */
  readonly inputs: readonly (readonly (readonly (SharedBytes | null)[])[])[];
}

export class InlineStates {
  readonly #options: InlineStatesOptions;
  readonly #state: KeyedState;
  readonly #outputs = new Map<string, readonly SharedBytes[]>();

  constructor(options: InlineStatesOptions) {
    const { graph, partitions } = options;
    this.#options = options;
    this.#state = new KeyedState({ graph, partitions, codec: msgpackCodec, seed: HASH_SEED });
  }

  /** @returns `undefined` for an operator without state. */
  partitionsOf(operatorId: string): number | undefined {
    const isStateful = this.#options.graph.stateful.some(({ id }) => id === operatorId);
    return isStateful ? this.#state.partitionsOf(operatorId) : undefined;
  }

  /** The batch after which the state is as it is. */
  throughMsOf(operatorId: string): number | undefined {
    return this.#state.throughMsOf(operatorId);
  }

  /** Runs an operator, once in a batch. */
  async run({ operatorId, inputs, ...job }: StateRun): Promise<void> {
    const { memory, runTask } = this.#options;
    const outputs: SharedBytes[] = [];
    const deltas: { delta: Uint8Array | null; due: Uint32Array }[] = [];
    const updates = this.#state.updates(operatorId, job.batchTimeMs);
    for (const [partition, { store, due }] of updates.entries()) {
      const own = inputs.map((rows) => ({
        shuffleId: operatorId,
        pieces: rows.map((row) => row[partition] ?? null).filter((piece) => piece !== null),
      }));
      const value = await runTask({
        ...job,
        partition,
        attempt: 0,
        leaf: { kind: 'shuffle', operatorId, inputs: own },
        via: [],
        action: { kind: 'state-update', operatorId, store, due },
      });
      assert(value.kind === 'state-update', 'a task of keyed state answered something else');
      deltas.push({ delta: value.delta === null ? null : memory.read(value.delta), due });
      if (value.output !== null) outputs.push(value.output);
    }
    this.#state.apply(operatorId, job.batchTimeMs, deltas);
    this.#outputs.set(operatorId, outputs);
  }

  leavesOf(operatorId: string, view: 'output' | 'all'): readonly Leaf[] {
    if (view === 'all') {
      const stores = this.#state.handlesOf(operatorId);
      return stores.map((store) => ({ kind: 'state', operatorId, store }));
    }
    const outputs = present(this.#outputs.get(operatorId), `the output of ${operatorId}`);
    return outputs.map((piece) => ({ kind: 'state-output', operatorId, piece }));
  }
}
