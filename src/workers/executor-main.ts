/** Entry of a receiver executor thread: binds a ReceiverExecutor to the worker's port, nothing
 * else. What it is for comes as the first message, or that it is not needed (executor-threads.ts).
 * @module */
import { performance } from 'node:perf_hooks';
import { parentPort } from 'node:worker_threads';
import { present } from '../core/assert.ts';
import { systemClock } from '../core/clock.ts';
import { armCrash } from '../core/crash-point.ts';
import { DiskThread } from '../wal/disk-thread.ts';
import { loadUserModule } from './load-user-module.ts';
import type { DriverCallbacks, ReceiverExecutorApi, ReceiverExecutorData } from './protocol.ts';
import { ReceiverExecutor } from './receiver-executor.ts';
import { exposeApi } from './rpc.ts';

const port = present(parentPort, 'the port of the executor thread');

port.once('message', (data: ReceiverExecutorData | undefined) => {
  // Within this turn: calls may follow in the next one.
  if (data === undefined) port.close();
  else begin(data);
});

function begin(data: ReceiverExecutorData): void {
  armCrash(data.crash);
  const executor = new ReceiverExecutor(data, {
    openDisk: () => new DiskThread(`receiver executor ${data.executorIndex}`),
    clock: systemClock,
    activeMs: () => performance.eventLoopUtilization().active,
    load: loadUserModule,
  });
  // comlink calls methods on the exposed object; a class instance would lose its private fields.
  const api: ReceiverExecutorApi = {
    load: () => executor.load(),
    open: (callbacks: DriverCallbacks) => executor.open(callbacks),
    startReceiver: (life) => executor.startReceiver(life),
    stopReceivers: () => executor.stopReceivers(),
    hold: (isHeld) => executor.hold(isHeld),
    setRate: (streamId, recordsPerSecond) => executor.setRate(streamId, recordsPerSecond),
    truncateLog: (lsn) => executor.truncateLog(lsn),
    stats: () => executor.stats(),
    close: () => executor.close(),
  };
  exposeApi(api, port);
}
