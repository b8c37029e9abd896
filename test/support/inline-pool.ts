/** Task executors without threads: tasks run here, in memory that is shared with nobody.
 * @module */
import type { BlockArena } from '../../src/blocks/block-arena.ts';
import type { TaskPool } from '../../src/driver/executor-pool.ts';
import { describeGraph, graphHash } from '../../src/dstream/graph.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import { definePipeline } from '../../src/dstream/pipeline.ts';
import type { TaskResult, TaskSpec } from '../../src/dstream/task-spec.ts';
import { createSink } from '../../src/sinks/sink-factory.ts';
import { nodeDisk } from '../../src/wal/node-disk.ts';
import { TaskExecutor } from '../../src/workers/task-executor.ts';

export class InlinePool implements TaskPool {
  /** Every attempt, in the order of their starts. */
  readonly specs: TaskSpec[] = [];
  /** Attempts under way. */
  runningCount = 0;
  /** Called before each attempt; what it throws is the thread's death. */
  before: (spec: TaskSpec) => void | Promise<void> = () => {};
  readonly #executor: TaskExecutor;

  constructor(graph: Graph, arena: BlockArena, spillDirectory = '/nowhere') {
    const definition = definePipeline({ name: 'test' }, () => {});
    this.#executor = new TaskExecutor(
      {
        arena: arena.handle,
        pipeline: { moduleUrl: '', codeHash: '' },
        graphHash: graphHash(describeGraph(graph)),
        spillDirectory,
      },
      {
        arena,
        disk: nodeDisk,
        load: () => Promise.resolve({ definition, graph }),
        createSink,
      },
    );
  }

  async run(spec: TaskSpec): Promise<TaskResult> {
    const owner = 1_000 + this.specs.push(spec);
    this.runningCount += 1;
    try {
      await this.before(spec);
      return await this.#executor.run(structuredClone(spec), owner);
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
}
