/** Calls of `store` that a receiver does not await one by one: how many are under way, and the wait
 * for one of them to settle. Their bound is the receiver's backpressure, and bounds what the engine
 * has to queue. One owner, who asks `isFull` before each call.
 * @module */
import type { Clock, Timer } from '../core/clock.ts';

const CALLS_MAX = 512;

export class OutstandingCalls {
  readonly #clock: Clock;
  readonly #callsMax: number;
  #count = 0;
  /** Set while somebody pauses. */
  #wake: (() => void) | undefined;

  constructor(clock: Clock, callsMax: number = CALLS_MAX) {
    this.#clock = clock;
    this.#callsMax = callsMax;
  }

  get isFull(): boolean {
    return this.#count >= this.#callsMax;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** @param call that does not reject: its owner has dealt with that. */
  add(call: Promise<void>): void {
    this.#count += 1;
    void call.finally(() => {
      this.#count -= 1;
      this.wake();
    });
  }

  /** Ends a pause now. */
  wake(): void {
    this.#wake?.();
  }

  /** Waits until a call settles or `wake` is called, at most `limitMs`. One at a time. */
  pause(limitMs: number = Infinity): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const wake = (): void => {
        timer?.cancel();
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      // A timer of less than a millisecond fires after one.
      if (limitMs < Infinity) timer = this.#clock.after(Math.ceil(limitMs), wake);
    });
  }
}
