/** The threads of a run, which load their modules while its checkpoint directory is opened: both
 * take about as long. What they are depends on flags, module and defaults alone; a checkpoint hands
 * on no option that counts threads or sizes memory (docs/decisions/0006-options-do-not-stick.md).
 *
 * Until the engine tells them, they run no user code, open no log and start no receiver, so they
 * harm nothing when the start is refused. A start that fails closes them.
 * @module */
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import type { ResolvedOptions } from '../core/options.ts';
import { spawnTaskThreads } from './executor-pool.ts';
import { ReceiverThreads } from './executor-threads.ts';
import { placeReceivers } from './receiver-places.ts';
import { startTaskSide } from './task-side.ts';
import type { TaskSide, TaskSideInput } from './task-side.ts';

export interface EarlyThreadsInput extends Pick<
  TaskSideInput,
  'graph' | 'module' | 'events' | 'crash'
> {
  readonly options: ResolvedOptions;
}

export class EarlyThreads {
  readonly tasks: TaskSide;
  readonly receivers: ReceiverThreads;

  constructor(input: EarlyThreadsInput) {
    const { graph, options } = input;
    const { checkpointDir, receiverExecutors } = options;
    const scratch = checkpointDir === false ? tmpdir() : resolve(checkpointDir);
    this.tasks = startTaskSide({ ...input, scratch, spawnTasks: spawnTaskThreads });
    this.receivers = new ReceiverThreads(placeReceivers(graph, receiverExecutors).length);
  }

  /** Of a start that has failed, before there was an engine to close them. */
  async close(): Promise<void> {
    await Promise.all([this.tasks.pool.close(), this.receivers.close()]);
  }
}
