/** One task executor: runs tasks of one pipeline, one after the other or at the same time.
 *
 * Loads the pipeline once, checks that its graph equals the driver's, and answers failures as data,
 * because an error that is thrown to the pool loses its code. Knows no thread API: task-main.ts
 * binds it to a thread of the pool, a simulation calls it directly. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import { SharedStore, freeShared, readShared } from '../blocks/shared-store.ts';
import { reached } from '../core/crash-point.ts';
import { MillraceError } from '../core/errors.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import type { Graph, GraphNode } from '../dstream/graph.ts';
import type { LoadedPipeline } from '../dstream/load-pipeline.ts';
import type { Sink } from '../dstream/sink.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import { msgpackCodec } from '../serde/msgpack-codec.ts';
import { toWireError } from '../serde/wire-error.ts';
import { readLines } from '../sources/text-files.ts';
import type { Disk } from '../wal/disk.ts';
import { ReadMemory } from '../wal/read-memory.ts';
import { BlockReader } from './block-reader.ts';
import type { TaskExecutorData, ThreadGraph } from './protocol.ts';
import { runTask } from './task-runner.ts';

export interface TaskExecutorServices {
  readonly arena: BlockArena;
  /** For blocks that are read back. */
  readonly disk: Pick<Disk, 'openForReading' | 'allocateAligned'>;
  readonly load: (moduleUrl: string) => Promise<LoadedPipeline>;
  readonly createSink: (node: GraphNode) => Sink<unknown>;
}

export class TaskExecutor {
  readonly #data: TaskExecutorData;
  readonly #services: TaskExecutorServices;
  readonly #readMemory: ReadMemory;
  #loading: Promise<Graph> | undefined;

  constructor(data: TaskExecutorData, services: TaskExecutorServices) {
    this.#data = data;
    this.#services = services;
    this.#readMemory = new ReadMemory(services.disk);
  }

  /** The graph that this executor builds, whatever the driver's is. */
  async hello(): Promise<ThreadGraph> {
    const { graph } = await this.#services.load(this.#data.pipeline.moduleUrl);
    const nodes = describeGraph(graph);
    return { nodes, graphHash: graphHash(nodes) };
  }

  /** @param arenaOwner of this attempt in the arena's table. */
  async run(spec: TaskSpec, arenaOwner: number): Promise<TaskResult> {
    const { arena, disk, createSink } = this.#services;
    const store = new SharedStore(arena, arenaOwner, this.#data.spillDirectory);
    const memory = this.#readMemory;
    const reader = new BlockReader({ arena, disk, memory, codec: msgpackCodec });
    const written: SharedBytes[] = [];
    try {
      const graph = await (this.#loading ??= this.#loadSameGraph());
      reached('R5.before');
      const { value, inputRecordCount } = await runTask(spec, {
        graph,
        codec: msgpackCodec,
        readBlock: (ref, next) => reader.read(ref, next),
        readFile: readLines,
        readShared: (shared) => readShared(arena, shared),
        writeShared: (bytes) => {
          const shared = store.write(bytes);
          written.push(shared);
          return shared;
        },
        sinkFor: (outputId) => createSink(graph.node(outputId)),
      });
      reached('R5.after');
      return { ok: true, value, inputRecordCount };
    } catch (error) {
      for (const shared of written) freeShared(arena, shared);
      return { ok: false, error: toWireError(error) };
    } finally {
      store.close();
      await reader.close();
    }
  }

  async #loadSameGraph(): Promise<Graph> {
    const { graph } = await this.#services.load(this.#data.pipeline.moduleUrl);
    if (graphHash(describeGraph(graph)) !== this.#data.graphHash) {
      throw new MillraceError(
        'PIPELINE_MISMATCH',
        'a task executor that was started anew built another graph than the driver did; a ' +
          'pipeline must not depend on time, randomness or the thread that builds it',
      );
    }
    return graph;
  }
}
