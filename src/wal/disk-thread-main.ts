/** Entry of a disk thread: makes calls of the disk, one after the other, in the order of asking.
 *
 * Synchronous, so no call of it ever waits for the thread pool of the process. All descriptors that
 * it uses are its own. It ends when it is told to, or with the thread that started it.
 * @module */
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { toWireError } from '../serde/wire-error.ts';
import { DOORBELL_INDEX } from './disk-thread-protocol.ts';
import type {
  DiskMessage,
  DiskReply,
  DiskRequest,
  DiskThreadData,
} from './disk-thread-protocol.ts';
import { makeCall } from './system-calls.ts';
import type { CallName, CallOf } from './system-calls.ts';

const { port, doorbell } = workerData as DiskThreadData;

function answer({ id, call }: DiskRequest): DiskReply {
  try {
    return { id, value: makeCall(call as CallOf<CallName>) };
  } catch (thrown) {
    return { id, error: toWireError(thrown) };
  }
}

/** Makes what was asked for so far. @returns false when it was told to end. */
function serveAll(): boolean {
  for (;;) {
    const received = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const message = received.message as DiskMessage;
    if (message === 'end') return false;
    port.postMessage(answer(message));
  }
}

for (;;) {
  // Read before serving: a request that comes after the last look makes the wait return at once.
  const rings = Atomics.load(doorbell, DOORBELL_INDEX);
  if (!serveAll()) break;
  Atomics.wait(doorbell, DOORBELL_INDEX, rings);
}
port.close();
