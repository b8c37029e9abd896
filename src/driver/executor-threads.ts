/** Receiver executors on worker threads. The tracker knows only the handle, so that tests and a
 * simulation can start executors of another kind.
 *
 *   started: loads its modules ─ begin(data) ─► an executor ─ terminate() ─► exited
 *                                └── dismiss() ───────────────────────────► exited
 *
 * A thread is started without knowing what it will do; so the first ones load their modules while
 * the checkpoint directory is opened. Until it is told, it has no memory, no log and no receiver.
 * @module */
import { Worker } from 'node:worker_threads';
import { MillraceError } from '../core/errors.ts';
import { threadEntry } from '../core/thread-entry.ts';
import type { ReceiverExecutorApi, ReceiverExecutorData } from '../workers/protocol.ts';
import { guardRemote } from '../workers/rpc.ts';

export interface ReceiverExecutorHandle {
  /** Every call rejects with EXECUTOR_DIED once the executor is gone. */
  readonly api: ReceiverExecutorApi;
  /** Resolves, once, when the executor is gone and uses no memory any more. */
  readonly exited: Promise<Error>;
  terminate(): Promise<void>;
}

export type SpawnReceiverExecutor = (data: ReceiverExecutorData) => ReceiverExecutorHandle;

/** Not told yet what it is for. */
interface StartedThread {
  begin(data: ReceiverExecutorData): ReceiverExecutorHandle;
  /** Lets it end as soon as it has loaded. Resolves when it is gone. */
  dismiss(): Promise<void>;
}

/** Threads of one run: some that wait, and all that are asked for later. */
export class ReceiverThreads {
  readonly #waiting: Map<number, StartedThread>;
  readonly #start: (executorIndex: number) => StartedThread;

  /** @param count executors of the run. @param start for tests. @defaultValue worker threads */
  constructor(count: number, start: (executorIndex: number) => StartedThread = startThread) {
    this.#start = start;
    this.#waiting = new Map(Array.from({ length: count }, (_, index) => [index, start(index)]));
  }

  /** The thread that waits for this executor, or a new one in place of one that has died. */
  readonly spawn: SpawnReceiverExecutor = (data) => {
    const { executorIndex } = data;
    const thread = this.#waiting.get(executorIndex) ?? this.#start(executorIndex);
    this.#waiting.delete(executorIndex);
    return thread.begin(data);
  };

  /** Ends those that still wait; the others are their owner's. */
  async close(): Promise<void> {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    await Promise.all(waiting.map((thread) => thread.dismiss()));
  }
}

function startThread(executorIndex: number): StartedThread {
  const name = `receiver executor ${executorIndex}`;
  const worker = new Worker(threadEntry('../workers/executor-main.ts', import.meta.url), {
    execArgv: [],
    name,
  });
  let failure: Error | undefined;
  const exited = new Promise<Error>((resolve) => {
    worker.once('error', (error) => {
      failure = error;
    });
    worker.once('exit', (code) => {
      const message = `${name} exited with code ${code}`;
      resolve(new MillraceError('EXECUTOR_DIED', message, { cause: failure }));
    });
  });
  const api = guardRemote<ReceiverExecutorApi>(worker, name);
  return {
    begin(data) {
      worker.postMessage(data);
      return {
        api,
        exited,
        async terminate() {
          await worker.terminate();
        },
      };
    },
    async dismiss() {
      worker.postMessage(undefined);
      await exited;
    },
  };
}
