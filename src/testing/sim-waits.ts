/** Waiting on shared memory in a simulated process: by its clock, woken in an order of the seed.
 * @module */
import type { SharedWaits } from '../core/shared-waits.ts';
import { Lane } from './sim-scheduler.ts';
import type { SimScheduler, SimThread } from './sim-scheduler.ts';

interface Waiter {
  readonly buffer: ArrayBufferLike;
  readonly index: number;
  readonly lane: Lane;
  readonly wake: () => void;
}

export class SimWaits implements SharedWaits {
  readonly #scheduler: SimScheduler;
  readonly #lanes = new Map<SimThread, Lane>();
  #waiters: Waiter[] = [];

  constructor(scheduler: SimScheduler) {
    this.#scheduler = scheduler;
  }

  wait(
    cells: Int32Array,
    index: number,
    { seen, limitMs }: { readonly seen: number; readonly limitMs: number },
  ): Promise<void> {
    if (Atomics.load(cells, index) !== seen) return Promise.resolve();
    const thread = this.#scheduler.current;
    return new Promise((resolve) => {
      const timer = this.#scheduler.after(thread, limitMs, () => waiter.wake());
      const waiter: Waiter = {
        buffer: cells.buffer,
        index,
        lane: this.#laneOf(thread),
        wake: () => {
          timer.cancel();
          this.#waiters = this.#waiters.filter((each) => each !== waiter);
          resolve();
        },
      };
      this.#waiters.push(waiter);
    });
  }

  notify(cells: Int32Array, index: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.buffer !== cells.buffer || waiter.index !== index) continue;
      this.#scheduler.post(waiter.lane, 'woken', waiter.wake);
    }
  }

  #laneOf(thread: SimThread): Lane {
    let lane = this.#lanes.get(thread);
    if (lane === undefined) {
      lane = new Lane(`${thread.name} memory`, thread);
      this.#lanes.set(thread, lane);
    }
    return lane;
  }
}
