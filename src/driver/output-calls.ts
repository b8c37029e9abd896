/** Knows whether the code that asks is the user's part of an output, a function of `foreachBatch`
 * or a call of a sink on the driver, that is still under way: it must not wait for the end of the
 * run, nor for a time without a batch, because both wait for it.
 *
 * Follows the function through its awaits, timers and events by AsyncLocalStorage, which costs
 * promises of this thread a little; so nothing is followed before the first such function runs, nor
 * after the last run has ended. There is one storage for all runs of the process, because Node
 * carries each of them through every promise.
 * @module */
import { AsyncLocalStorage } from 'node:async_hooks';

interface OutputCall {
  readonly owner: OutputCalls;
  isUnderWay: boolean;
  /** Of another run, in whose function this run was started. */
  readonly outer: OutputCall | undefined;
}

const followed = new AsyncLocalStorage<OutputCall | undefined>();
let followerCount = 0;

export class OutputCalls {
  #isFollowing = false;

  get isInside(): boolean {
    for (let call = followed.getStore(); call !== undefined; call = call.outer) {
      if (call.owner === this && call.isUnderWay) return true;
    }
    return false;
  }

  /** Calls `fn`, and resolves or rejects as it does. */
  async run<R>(fn: () => R): Promise<Awaited<R>> {
    if (!this.#isFollowing) followerCount += 1;
    this.#isFollowing = true;
    const before = followed.getStore();
    const outer = before?.isUnderWay === true ? before : undefined;
    const call: OutputCall = { owner: this, isUnderWay: true, outer };
    try {
      return await followed.run(call, fn);
    } finally {
      // What it has left behind, such as a timer or a server, may wait for the run like anybody.
      call.isUnderWay = false;
    }
  }

  /** Calls `fn` for a function that is followed, as the engine's own work: what it leads to, such
   * as events and those who hear them, is not the function's. */
  outside<R>(fn: () => R): R {
    return followed.run(undefined, fn);
  }

  /** Follows nothing any more. */
  close(): void {
    if (!this.#isFollowing) return;
    this.#isFollowing = false;
    followerCount -= 1;
    if (followerCount === 0) followed.disable();
  }
}
