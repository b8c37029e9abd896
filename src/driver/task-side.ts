/** The task executors of a run, and the memory that they share with it. Nothing here depends on
 * what the checkpoint directory holds, so the threads may start while that is opened. They run
 * nothing before they are told to.
 * @module */
import { join } from 'node:path';
import { BlockArena } from '../blocks/block-arena.ts';
import type { CrashPlan } from '../core/crash-point.ts';
import type { EventBus } from '../core/events.ts';
import type { ResolvedOptions } from '../core/options.ts';
import { uniqueId } from '../core/random.ts';
import { describeGraph, graphHash } from '../dstream/graph.ts';
import type { Graph } from '../dstream/graph.ts';
import type { PipelineModule } from '../workers/protocol.ts';
import type { SpawnTaskExecutors, TaskExecutors } from './executor-pool.ts';
import { SPILL_PREFIX } from './home-directory.ts';

export interface TaskSideInput {
  readonly graph: Graph;
  readonly module: PipelineModule;
  readonly options: Pick<ResolvedOptions, 'executors' | 'memoryBytes'>;
  readonly events: EventBus;
  readonly spawnTasks: SpawnTaskExecutors;
  /** The memory of blocks. @defaultValue shared memory of the `memory` option's size */
  readonly newArena?: (bytes: number) => BlockArena;
  /** Where files go that are worth nothing to another run. */
  readonly scratch: string;
  /** Names that nothing else has, 32 hexadecimal digits. @defaultValue random ones */
  readonly newId?: () => string;
  /** For crash tests: what to arm in the threads. */
  readonly crash?: CrashPlan | undefined;
}

export interface TaskSide {
  readonly arena: BlockArena;
  /** Whoever holds this closes it. */
  readonly pool: TaskExecutors;
  /** As it was given: also for files of the driver. */
  readonly scratch: string;
  /** In it, for shuffle pieces that find no room in the arena; not made yet. */
  readonly spillDirectory: string;
}

export function startTaskSide(input: TaskSideInput): TaskSide {
  const { graph, module, options, events, crash, spawnTasks, scratch } = input;
  const { newArena = (bytes) => BlockArena.create(bytes), newId = uniqueId } = input;
  const arena = newArena(options.memoryBytes);
  const spillDirectory = join(scratch, `${SPILL_PREFIX}${newId()}`);
  const data = {
    arena: arena.handle,
    pipeline: module,
    graphHash: graphHash(describeGraph(graph)),
    spillDirectory,
    ...(crash === undefined ? {} : { crash }),
  };
  const pool = spawnTasks(arena, data, {
    threads: options.executors,
    onError: (error) =>
      events.emit({
        type: 'executor-died',
        executor: 'task executor',
        receivers: [],
        error: error.message,
      }),
  });
  return { arena, pool, scratch, spillDirectory };
}
