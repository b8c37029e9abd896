/** How long to wait before the next attempt: exponential with jitter. Knows no clock.
 *
 * The jitter keeps receivers that lost the same peer from coming back in step: each wait is drawn
 * from the upper half of its step, so it is never shorter than half of it. @module */
import type { Random } from '../core/random.ts';

export interface BackoffOptions {
  /** Length of the first step. */
  readonly firstMs: number;
  /** Steps double until here. */
  readonly longestMs: number;
  readonly random: Random;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Wait before the next attempt, in whole milliseconds. Each call makes the next one longer. */
  nextMs(): number {
    const { firstMs, longestMs, random } = this.#options;
    const stepMs = Math.min(longestMs, firstMs * 2 ** Math.min(this.#attempts, 52));
    this.#attempts += 1;
    return Math.round(stepMs * (0.5 + random.next() / 2));
  }

  /** An attempt has succeeded: the next wait is short again. */
  reset(): void {
    this.#attempts = 0;
  }
}
