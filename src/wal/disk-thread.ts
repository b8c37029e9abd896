/** A disk whose calls are made by a thread of its own, in the order of asking.
 *
 * For everything that an acknowledgement waits for: the thread pool of the process has four threads
 * for all that runs in it, and users' code may fill them for as long as it likes. Who opens a disk
 * thread owns it and closes it, after all files; a thread that is terminated takes its disk threads
 * with it. When a disk thread dies, every call in flight and every later one rejects, so that its
 * log is poisoned and nobody waits for ever. Why a thread: docs/decisions/0007-disk-threads.md.
 *
 * Memory of `allocateAligned`, and any other shared memory, is written and read where it lies;
 * other memory is copied on its way. Between two calls the thread costs nothing but its memory.
 * @module */
import { MessageChannel, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { MillraceError } from '../core/errors.ts';
import { allocateSharedPages } from '../core/shared-memory.ts';
import { threadEntry } from '../core/thread-entry.ts';
import { fromWireError } from '../serde/wire-error.ts';
import type { Disk, OpenedDisk } from './disk.ts';
import { DOORBELL_INDEX } from './disk-thread-protocol.ts';
import type {
  DiskMessage,
  DiskReply,
  DiskRequest,
  DiskThreadData,
} from './disk-thread-protocol.ts';
import { diskOver } from './node-disk.ts';
import type { CallName, CallOf, RunCall } from './system-calls.ts';

/** Whose call is under way. */
interface Waiting {
  readonly path: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (cause: Error) => void;
}

export class DiskThread implements OpenedDisk {
  readonly disk: Disk;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #doorbell = new Int32Array(new SharedArrayBuffer(4));
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  /** Why no more calls are taken. */
  #ended: string | undefined;

  /** Starts the thread; calls may be made at once. @param name of its owner, for messages. */
  constructor(name: string) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(threadEntry('../wal/disk-thread-main.ts', import.meta.url), {
      workerData: { port: port2, doorbell: this.#doorbell } satisfies DiskThreadData,
      transferList: [port2],
      name: `disk of ${name}`,
    });
    port1.on('message', (reply: DiskReply) => this.#settle(reply));
    this.#exited = this.#follow();
    this.#keepsProcess(false);
    const run = (call: CallOf<CallName>): Promise<unknown> => this.#call(call);
    this.disk = diskOver(run as RunCall, allocateSharedPages);
  }

  /** Lets what was asked for come to its end, then ends the thread. Files that are still open are
   * closed by that. A second call waits for the same end. */
  async close(): Promise<void> {
    if (this.#ended === undefined) {
      this.#ended = 'the disk thread was closed';
      this.#keepsProcess(true);
      this.#post('end');
    }
    await this.#exited;
  }

  /** The thread can only fill memory that it shares, and must not get more than is meant: cloning
   * a view clones all of the memory that it looks at. */
  async #call({ name, path, args }: CallOf<CallName>): Promise<unknown> {
    const [fd, target, at] = args;
    if (name === 'read' && target instanceof Uint8Array && !isShared(target)) {
      return this.#readThroughShared(target, (shared) => ({ name, path, args: [fd, shared, at] }));
    }
    if (!Array.isArray(target)) return this.#request({ name, path, args });
    const views = (target as readonly Uint8Array[]).map((view) =>
      isShared(view) ? view : view.slice(),
    );
    return this.#request({ name, path, args: [fd, views, at] });
  }

  async #readThroughShared(
    target: Uint8Array,
    callFor: (shared: Uint8Array) => DiskRequest['call'],
  ): Promise<unknown> {
    const lent = new SharedArrayBuffer(target.byteLength);
    const count = await this.#request(callFor(new Uint8Array(lent)));
    target.set(new Uint8Array(lent, 0, Number(count)));
    return count;
  }

  #request(call: DiskRequest['call']): Promise<unknown> {
    const { path } = call;
    if (this.#ended !== undefined) return Promise.reject(goneError(path, this.#ended));
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) this.#keepsProcess(true);
      this.#waiting.set(id, { path, resolve, reject });
      this.#post({ id, call });
    });
  }

  #post(message: DiskMessage): void {
    this.#port.postMessage(message);
    Atomics.add(this.#doorbell, DOORBELL_INDEX, 1);
    Atomics.notify(this.#doorbell, DOORBELL_INDEX);
  }

  #settle({ id, value, error }: DiskReply): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0 && this.#ended === undefined) this.#keepsProcess(false);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(fromWireError(error));
  }

  /** Whoever waits for a call keeps the process alive; an idle thread does not. */
  #keepsProcess(isKept: boolean): void {
    if (isKept) {
      this.#port.ref();
      this.#worker.ref();
    } else {
      this.#port.unref();
      this.#worker.unref();
    }
  }

  #follow(): Promise<void> {
    let cause = '';
    return new Promise((resolve) => {
      this.#worker.once('error', (error) => (cause = `: ${error.message}`));
      this.#worker.once('exit', (code) => {
        this.#ended ??= `the disk thread died with code ${code}${cause}`;
        this.#port.close();
        const waiting = [...this.#waiting.values()];
        this.#waiting.clear();
        for (const { path, reject } of waiting) reject(goneError(path, this.#ended));
        resolve();
      });
    });
  }
}

function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer;
}

function goneError(path: string, why: string): MillraceError {
  return new MillraceError('DISK_FAILED', `nothing can be done with ${path}: ${why}`, {
    details: { path, call: 'thread' },
  });
}
