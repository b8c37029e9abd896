/** Lets the records of one receiver in at a rate: the smaller of `maxRate` and what the driver's
 * rate controller has published. Sits before the block generator, and outlives the lives of the
 * receiver, so that a restart neither forgives a debt nor fills the bucket.
 *
 * Waits are computed, not polled: one timer until the next token is due. One waiter at a time, the
 * current life's block generator, which the gate wakes also when the rate changes. @module */
import type { Clock, Timer } from '../core/clock.ts';
import type { RateAllowance } from '../dstream/receiver.ts';
import { TokenBucket } from './token-bucket.ts';

/** Longest timer: a debt may take longer than timers can count. */
const WAIT_MS_MAX = 60_000;
const UNLIMITED: RateAllowance = { records: Infinity, waitMs: 0 };

export interface RateGateOptions {
  readonly clock: Clock;
  /** Records per second; absent: no limit of its own. */
  readonly maxRate?: number | undefined;
  /** As last published; absent: nothing was. */
  readonly publishedRate?: number | undefined;
}

export class RateGate {
  readonly #options: RateGateOptions;
  #bucket: TokenBucket | undefined;
  #waiter: { readonly timer: Timer; readonly wake: () => void } | undefined;

  constructor(options: RateGateOptions) {
    this.#options = options;
    this.setRate(options.maxRate ?? Infinity);
    if (options.publishedRate !== undefined) this.setRate(options.publishedRate);
  }

  /** False: nothing may be taken before `wait` resolves. */
  get isOpen(): boolean {
    if (this.#bucket === undefined) return true;
    return this.#bucket.waitMs(this.#options.clock.monotonicMs()) === 0;
  }

  get allowance(): RateAllowance {
    if (this.#bucket === undefined) return UNLIMITED;
    const nowMs = this.#options.clock.monotonicMs();
    const waitMs = this.#bucket.waitMs(nowMs);
    const records = waitMs > 0 ? 0 : Math.max(1, Math.floor(this.#bucket.tokensAt(nowMs)));
    return { records, waitMs };
  }

  /** Records were taken. */
  spend(recordCount: number): void {
    this.#bucket?.spend(recordCount);
  }

  /** Goes by `recordsPerSecond` from now on, but never above `maxRate`. What is no rate (0, less,
   * NaN) changes nothing: a receiver that may take nothing would never learn of a better rate. */
  setRate(recordsPerSecond: number): void {
    if (!(recordsPerSecond > 0)) return;
    const { clock, maxRate = Infinity } = this.#options;
    const rate = Math.min(recordsPerSecond, maxRate);
    if (rate === Infinity) this.#bucket = undefined;
    else if (this.#bucket === undefined) this.#bucket = new TokenBucket(rate, clock.monotonicMs());
    else this.#bucket.setRate(rate, clock.monotonicMs());
    this.wake();
  }

  /** Resolves when a token is due, or the rate has changed, or somebody wakes it: look again. */
  wait(): Promise<void> {
    const { waitMs } = this.allowance;
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(Math.min(waitMs, WAIT_MS_MAX), () => this.wake());
      this.#waiter = { timer, wake: resolve };
    });
  }

  /** Ends a wait. */
  wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.timer.cancel();
    waiter?.wake();
  }
}
