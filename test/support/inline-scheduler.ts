/** A batch scheduler with its execution and outputs over a pool without threads, as tests want it:
 * whatever a test does not name is the plainest there is. @module */
import type { BlockArena } from '../../src/blocks/block-arena.ts';
import type { Clock } from '../../src/core/clock.ts';
import { EventBus } from '../../src/core/events.ts';
import type { Lsn } from '../../src/core/ids.ts';
import type { BatchExecutionServices } from '../../src/driver/batch-execution.ts';
import { BatchHistory } from '../../src/driver/batch-history.ts';
import type { BatchHistoryOptions } from '../../src/driver/batch-history.ts';
import { BatchScheduler } from '../../src/driver/batch-scheduler.ts';
import type { BatchSchedulerOptions } from '../../src/driver/batch-scheduler.ts';
import { BlockMemory } from '../../src/driver/block-memory.ts';
import type { TaskPool } from '../../src/driver/executor-pool.ts';
import { OutputRunner } from '../../src/driver/output-runner.ts';
import type { OutputRunnerOptions } from '../../src/driver/output-runner.ts';
import { TaskScheduler } from '../../src/driver/task-scheduler.ts';
import type { Graph } from '../../src/dstream/graph.ts';
import { StreamTimes } from '../../src/dstream/stream-times.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { ManualClock } from './manual-clock.ts';

const INTERVAL_MS = 1_000;

type Reactions = Pick<BatchSchedulerOptions, 'onCompleted' | 'onFailed' | 'concurrentBatches'>;

export interface InlineSchedulerOptions extends Reactions {
  readonly graph: Graph;
  readonly arena: BlockArena;
  readonly pool: TaskPool;
  /** @defaultValue one that stands still at 0 */
  readonly clock?: Clock;
  readonly events?: EventBus;
  readonly maxTaskFailures?: number;
  /** @defaultValue for batches of a second */
  readonly times?: StreamTimes;
  readonly state?: BatchExecutionServices['state'];
  readonly outputs?: Partial<OutputRunnerOptions>;
  readonly history?: Partial<BatchHistoryOptions>;
}

export interface InlineScheduler {
  readonly scheduler: BatchScheduler;
  readonly tasks: TaskScheduler;
  readonly memory: BlockMemory;
}

export function inlineScheduler(options: InlineSchedulerOptions): InlineScheduler {
  const { graph, arena, pool, clock = new ManualClock(0), events = new EventBus() } = options;
  const { state, maxTaskFailures = 1, onCompleted, onFailed, concurrentBatches } = options;
  const memory = new BlockMemory(arena, { lastLsn: new Map<string, Lsn>() });
  const tasks = new TaskScheduler({ pool, events, maxTaskFailures, threads: 2 });
  const outputs = new OutputRunner({
    graph,
    arena,
    codec: msgpackCodec,
    logId: '00112233445566778899aabbccddeeff',
    epoch: 1,
    cleanedThroughMs: () => 0,
    printLine: () => {},
    ...options.outputs,
  });
  const history = new BatchHistory({
    graph,
    times: options.times ?? new StreamTimes(graph.nodes, INTERVAL_MS),
    arena,
    spillDirectory: '/nowhere',
    memory,
    events,
    droppedBlocks: new Set(),
    shareAt: () => undefined,
    ...options.history,
  });
  const scheduler = new BatchScheduler({
    graph,
    clock,
    events,
    outputs,
    execution: { tasks, memory, arena, history, ...(state === undefined ? {} : { state }) },
    ...(concurrentBatches === undefined ? {} : { concurrentBatches }),
    onCompleted,
    onFailed,
  });
  return { scheduler, tasks, memory };
}
