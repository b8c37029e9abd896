/** Task executors without threads: tasks run here, in memory that is shared with nobody.
 * @module */
import type { BlockArena } from '../../src/blocks/block-arena.ts';
import { recordsOfBin } from '../../src/blocks/block-records.ts';
import type { SharedBytes } from '../../src/blocks/block-ref.ts';
import { SharedStore, freeShared, readShared } from '../../src/blocks/shared-store.ts';
import type { TaskPool } from '../../src/driver/executor-pool.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import type { TaskResult, TaskSpec } from '../../src/dstream/task-spec.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { toWireError } from '../../src/serde/wire-error.ts';
import { createSink } from '../../src/sinks/sink-factory.ts';
import { runTask } from '../../src/workers/task-runner.ts';

export class InlinePool implements TaskPool {
  /** Every attempt, in the order of their starts. */
  readonly specs: TaskSpec[] = [];
  /** Attempts under way. */
  runningCount = 0;
  /** Called before each attempt; what it throws is the thread's death. */
  before: (spec: TaskSpec) => void | Promise<void> = () => {};
  readonly #graph: Graph;
  readonly #arena: BlockArena;
  readonly #spillDirectory: string;

  constructor(graph: Graph, arena: BlockArena, spillDirectory = '/nowhere') {
    this.#graph = graph;
    this.#arena = arena;
    this.#spillDirectory = spillDirectory;
  }

  async run(spec: TaskSpec): Promise<TaskResult> {
    const owner = 1_000 + this.specs.push(spec);
    this.runningCount += 1;
    try {
      await this.before(spec);
      return await this.#run(structuredClone(spec), owner);
    } finally {
      this.runningCount -= 1;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** How often tasks with this action ran. */
  count(action: TaskSpec['action']['kind']): number {
    return this.specs.filter((spec) => spec.action.kind === action).length;
  }

  async #run(spec: TaskSpec, owner: number): Promise<TaskResult> {
    const store = new SharedStore(this.#arena, owner, this.#spillDirectory);
    const written: SharedBytes[] = [];
    try {
      const { value, inputRecordCount } = await runTask(spec, {
        graph: this.#graph,
        codec: msgpackCodec,
        readBlock: async (ref) => {
          const { offsetBytes, lengthBytes } = ref.bytes;
          const bin = this.#arena.bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
          return recordsOfBin(bin, ref, msgpackCodec);
        },
        readFile: () => [],
        readShared: (shared) => readShared(this.#arena, shared),
        writeShared: (bytes) => {
          const shared = store.write(bytes);
          written.push(shared);
          return shared;
        },
        sinkFor: (outputId) => createSink(this.#graph.node(outputId)),
      });
      return { ok: true, value, inputRecordCount };
    } catch (error) {
      for (const shared of written) freeShared(this.#arena, shared);
      return { ok: false, error: toWireError(error) };
    } finally {
      store.close();
    }
  }
}
