/** The ways in which a log's calls can reach the kernel, to be compared, and a busy thread pool.
 *
 * `thread` is what the engine does; `inline` blocks the log's own thread for each call; `pool`
 * waits behind whatever else uses the four threads of the process. @module */
import { pbkdf2 } from 'node:crypto';
import { allocateSharedPages } from '../src/core/shared-memory.ts';
import type { OpenedDisk } from '../src/wal/disk.ts';
import type * as DiskThreadModule from '../src/wal/disk-thread.ts';
import { diskOver, nodeDisk } from '../src/wal/node-disk.ts';
import { makeCall } from '../src/wal/system-calls.ts';

/** Threads are started from dist/: Node loads no TypeScript on them. */
const MODULE = new URL('../dist/wal/disk-thread.js', import.meta.url).href;

export type DiskKind = 'thread' | 'inline' | 'pool';

export async function openDisk(kind: DiskKind): Promise<OpenedDisk> {
  const close = (): Promise<void> => Promise.resolve();
  if (kind === 'pool') return { disk: nodeDisk, close };
  if (kind === 'inline') {
    return { disk: diskOver(async (call) => makeCall(call), allocateSharedPages), close };
  }
  const { DiskThread } = (await import(MODULE)) as typeof DiskThreadModule;
  const thread = new DiskThread('a benchmark');
  await thread.disk.list('/'); // it has loaded its code
  return thread;
}

/** How many calls are always waiting: twice the threads of the pool. */
const BUSY_CALLS = 8;
/** About 10 ms each on one core. */
const BUSY_ROUNDS = 10_000;

/** Keeps the process's thread pool busy until `stop`. */
export class BusyPool {
  readonly #loops: Promise<void>[] = [];
  #isStopped = false;

  start(): void {
    for (let n = 0; n < BUSY_CALLS; n += 1) this.#loops.push(this.#loop());
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      await new Promise<void>((resolve, reject) => {
        pbkdf2('secret', 'salt', BUSY_ROUNDS, 64, 'sha512', (error) =>
          error === null ? resolve() : reject(error),
        );
      });
    }
  }
}
