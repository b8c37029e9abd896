/** Entry of a task executor thread, called by piscina once for each task: binds a TaskExecutor to
 * the thread, nothing else.
 * @module */
import { workerData } from 'node:worker_threads';
import { BlockArena } from '../blocks/block-arena.ts';
import { armCrash } from '../core/crash-point.ts';
import type { TaskResult } from '../dstream/task-spec.ts';
import { createSink } from '../sinks/sink-factory.ts';
import { nodeDisk } from '../wal/node-disk.ts';
import { loadUserModule } from './load-user-module.ts';
import type { HelloTask, PoolTask, TaskExecutorData, ThreadGraph } from './protocol.ts';
import { TaskExecutor } from './task-executor.ts';

/** A thread that waits at the barrier for longer than this has lost a sibling at its start. */
const BARRIER_LIMIT_MS = 10_000;

const data = workerData as TaskExecutorData;
armCrash(data.crash);
const executor = new TaskExecutor(data, {
  arena: BlockArena.attach(data.arena),
  disk: nodeDisk,
  load: loadUserModule,
  createSink,
});

export default async function runPoolTask(task: PoolTask): Promise<TaskResult | ThreadGraph> {
  if (task.kind === 'hello') return hello(task);
  return executor.run(task.spec, task.arenaOwner);
}

async function hello({ barrier, threads }: HelloTask): Promise<ThreadGraph> {
  const built = await executor.hello();
  const arrived = new Int32Array(barrier);
  Atomics.add(arrived, 0, 1);
  Atomics.notify(arrived, 0);
  for (let seen = Atomics.load(arrived, 0); seen < threads; seen = Atomics.load(arrived, 0)) {
    if (Atomics.wait(arrived, 0, seen, BARRIER_LIMIT_MS) === 'timed-out') break;
  }
  return built;
}
