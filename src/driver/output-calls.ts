/** Knows whether the code that asks is a function of `foreachBatch` that is still under way: it
 * must not wait for the end of the run, because the end waits for it.
 *
 * Follows the function through its awaits, timers and events by AsyncLocalStorage, which costs
 * promises of this thread a little; so nothing is followed before the first such function runs.
 * @module */
import { AsyncLocalStorage } from 'node:async_hooks';

interface OutputCall {
  isUnderWay: boolean;
}

export class OutputCalls {
  readonly #storage = new AsyncLocalStorage<OutputCall | undefined>();

  get isInside(): boolean {
    return this.#storage.getStore()?.isUnderWay === true;
  }

  /** Calls `fn`, and resolves or rejects as it does. */
  async run(fn: () => unknown): Promise<void> {
    const call: OutputCall = { isUnderWay: true };
    try {
      await this.#storage.run(call, fn);
    } finally {
      // What it has left behind, such as a timer or a server, may wait for the run like anybody.
      call.isUnderWay = false;
    }
  }

  /** Calls `fn` for a function that is followed, as the engine's own work: what it leads to, such
   * as events and those who hear them, is not the function's. */
  outside<R>(fn: () => R): R {
    return this.#storage.run(undefined, fn);
  }

  /** Follows nothing any more. */
  close(): void {
    this.#storage.disable();
  }
}
