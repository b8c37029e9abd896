/** The task executors: a piscina pool, and what a driver needs around it. The only importer of
 * piscina.
 *
 * Each attempt has an owner number in the arena's table, so that when its thread dies, what it had
 * taken is given back. Atomics mode `async`: in `sync` mode a thread's event loop is frozen between
 * tasks, and a sink that keeps a connection would lose it. Tasks are retried by the batch runner,
 * never here. @module */
import type { Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { BlockArena } from '../blocks/block-arena.ts';
import { MillraceError, toError } from '../core/errors.ts';
import { threadEntry } from '../core/thread-entry.ts';
import type { TaskResult, TaskSpec } from '../dstream/task-spec.ts';
import type { PoolTask, TaskExecutorData, ThreadGraph } from '../workers/protocol.ts';

/** Runs tasks somewhere: on threads here, inline in tests. */
export interface TaskPool {
  /** Resolves with the task's own answer, also when it failed.
   * @throws {MillraceError} EXECUTOR_DIED when the thread did not live to answer. */
  run(spec: TaskSpec): Promise<TaskResult>;
  close(): Promise<void>;
}

/** All task executors of a run. */
export interface TaskExecutors extends TaskPool {
  /** What graph each of them built. */
  hello(): Promise<readonly ThreadGraph[]>;
}

/** Starts task executors: threads here, others in a simulation.
 * @param options onError: of an executor that was idle when it failed. */
export type SpawnTaskExecutors = (
  arena: BlockArena,
  data: TaskExecutorData,
  options: { readonly threads: number; readonly onError: (error: Error) => void },
) => TaskExecutors;

export const spawnTaskThreads: SpawnTaskExecutors = (arena, data, options) =>
  new ExecutorPool(arena, data, options);

/** Owners below are receiver executors. 2^20 of them, one per thread start, never run out. */
const FIRST_TASK_OWNER = 1 << 20;
const LAST_OWNER = 0x7fff_ffff;

class ExecutorPool implements TaskExecutors {
  readonly #piscina: Piscina;
  readonly #arena: BlockArena;
  readonly #threads: number;
  /** Settled when the thread has loaded its modules, or has ended. */
  readonly #loading = new WeakMap<Worker, Promise<void>>();
  #nextOwner = FIRST_TASK_OWNER;
  #isClosed = false;

  /** Starts the threads. @param onError of a thread that was idle when it failed. */
  constructor(
    arena: BlockArena,
    data: TaskExecutorData,
    options: { readonly threads: number; readonly onError: (error: Error) => void },
  ) {
    this.#arena = arena;
    this.#threads = options.threads;
    this.#piscina = new Piscina({
      filename: threadEntry('../workers/task-main.ts', import.meta.url).href,
      minThreads: options.threads,
      maxThreads: options.threads,
      idleTimeout: Infinity,
      concurrentTasksPerWorker: 1,
      atomics: 'async',
      recordTiming: false,
      execArgv: [],
      workerData: data,
    });
    this.#piscina.on('error', (error: unknown) => options.onError(toError(error)));
    for (const thread of this.#piscina.threads) this.#loading.set(thread, firstWord(thread));
    // A thread that replaces another is made known when it has loaded.
    this.#piscina.on('workerCreate', ({ id }: { readonly id: number }) => {
      const thread = this.#piscina.threads.find(({ threadId }) => threadId === id);
      if (thread === undefined || this.#loading.has(thread)) return;
      this.#loading.set(thread, Promise.resolve());
    });
  }

  /** Asks each thread what graph it built. One barrier makes sure that each of them answers. */
  async hello(): Promise<readonly ThreadGraph[]> {
    const barrier = new SharedArrayBuffer(4);
    const task: PoolTask = { kind: 'hello', barrier, threads: this.#threads };
    const answers = Array.from({ length: this.#threads }, () => this.#piscina.run(task));
    return (await Promise.all(answers)) as ThreadGraph[];
  }

  async run(spec: TaskSpec): Promise<TaskResult> {
    if (this.#isClosed) throw new MillraceError('EXECUTOR_DIED', 'the task executors have ended');
    const arenaOwner = this.#nextOwner;
    this.#nextOwner = arenaOwner === LAST_OWNER ? FIRST_TASK_OWNER : arenaOwner + 1;
    const task: PoolTask = { kind: 'task', spec, arenaOwner };
    try {
      return (await this.#piscina.run(task)) as TaskResult;
    } catch (error) {
      // Failures of the task come as data; what is thrown here is the end of its thread.
      this.#arena.reclaim(arenaOwner, new Map());
      const reason = toError(error).message;
      throw new MillraceError('EXECUTOR_DIED', `the task executor died in a task: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Ends the threads, also in the middle of a task, but not while they load: a thread that is
   * ended in a `require` of an ES module, which is how piscina loads, ends the process with a fatal
   * error (Node 20.20, `Module::IsGraphAsync`). */
  async close(): Promise<void> {
    this.#isClosed = true;
    const { threads } = this.#piscina;
    await Promise.all(threads.map((thread) => this.#loading.get(thread) ?? firstWord(thread)));
    await this.#piscina.destroy();
  }
}

/** The first message of a thread of piscina says that it has loaded. */
async function firstWord(thread: Worker): Promise<void> {
  await new Promise<void>((resolve) => {
    thread.once('message', () => resolve());
    thread.once('exit', () => resolve());
  });
}
