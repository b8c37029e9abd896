/** The thread pool of this process, filled so that nothing else gets a turn: every thread of it
 * waits for a reader of a FIFO that does not come until `release`.
 *
 * Deterministic: more opens than the pool has threads are asked for first, and the pool serves in
 * the order of asking, so whatever is asked of it later waits. Needs `mkfifo`.
 * @module */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';

/** Threads of the pool when UV_THREADPOOL_SIZE does not say otherwise. */
const POOL_THREADS = 4;

export class BlockedPool {
  readonly #path: string;
  readonly #opened: Promise<number>[];
  #isReleased = false;

  /** @param directory where the FIFO may lie. */
  constructor(directory: string) {
    this.#path = join(directory, 'blocked-pool');
    const { status } = spawnSync('mkfifo', [this.#path]);
    if (status !== 0) throw new Error(`mkfifo ${this.#path} failed`);
    const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? POOL_THREADS);
    // Opening a FIFO for writing waits for a reader.
    this.#opened = Array.from(
      { length: 2 * threads },
      () =>
        new Promise((resolve, reject) => {
          fs.open(this.#path, 'w', (error, fd) => (error ? reject(error) : resolve(fd)));
        }),
    );
  }

  /** True as long as not one of the pool's threads has come free. */
  async isBlocked(): Promise<boolean> {
    const first = Promise.race(this.#opened.map((opened) => opened.then(() => false)));
    const now = new Promise<boolean>((resolve) => setImmediate(() => resolve(true)));
    return Promise.race([first, now]);
  }

  /** Lets the pool go on. A second call does nothing. */
  async release(): Promise<void> {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const reader = fs.openSync(this.#path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const fds = await Promise.all(this.#opened);
    for (const fd of [...fds, reader]) fs.closeSync(fd);
    fs.rmSync(this.#path);
  }
}
