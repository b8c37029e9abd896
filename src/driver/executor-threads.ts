/** Starts receiver executors on worker threads. The tracker knows only the handle, so that tests
 * and a simulation can start executors of another kind. @module */
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

export const spawnReceiverThread: SpawnReceiverExecutor = (data) => {
  const name = `receiver executor ${data.executorIndex}`;
  const worker = new Worker(threadEntry('../workers/executor-main.ts', import.meta.url), {
    workerData: data,
    execArgv: ['--enable-source-maps'],
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
  return {
    api: guardRemote<ReceiverExecutorApi>(worker, name),
    exited,
    async terminate() {
      await worker.terminate();
    },
  };
};
