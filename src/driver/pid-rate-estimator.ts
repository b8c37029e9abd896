/** The rate at which an input should send, from how fast its last batches went: a PID controller.
 *
 *      r = records / processing time                    what the pipeline can do
 *      e = last rate − r                                it was sent too much
 *      h = scheduling delay × r / batch interval        what waits, per second of a batch
 *      d = (e − last e) / time since the last batch
 *      rate = max(minRate, last rate − proportional·e − integral·h − derived·d)
 *
 * The formula and the defaults are those of Spark's PIDRateEstimator. The first batch only tells
 * where to begin; one without records or without time tells nothing. Pure. @module */
import type { Backpressure } from '../core/options-types.ts';

/** How one batch went, for one input. */
export interface BatchSpeed {
  /** When it was done, on the monotonic clock. */
  readonly doneMs: number;
  readonly recordCount: number;
  readonly processingMs: number;
  /** From its submission to its start. */
  readonly schedulingDelayMs: number;
}

export type PidSettings = Omit<Backpressure, 'initialRate'>;

interface Estimate {
  readonly doneMs: number;
  readonly rate: number;
  readonly error: number;
}

export class PidRateEstimator {
  readonly #batchIntervalMs: number;
  readonly #settings: PidSettings;
  #last: Estimate | undefined;

  constructor(batchIntervalMs: number, settings: PidSettings) {
    this.#batchIntervalMs = batchIntervalMs;
    this.#settings = settings;
  }

  /** @returns records per second of the whole input; `undefined`: nothing new is known. */
  next({ doneMs, recordCount, processingMs, schedulingDelayMs }: BatchSpeed): number | undefined {
    const last = this.#last;
    if (doneMs <= (last?.doneMs ?? -Infinity) || recordCount <= 0 || processingMs <= 0) {
      return undefined;
    }
    const speed = (recordCount / processingMs) * 1_000;
    if (last === undefined) {
      this.#last = { doneMs, rate: speed, error: 0 };
      return undefined;
    }
    const { proportional, integral, derived, minRate } = this.#settings;
    const error = last.rate - speed;
    const waiting = (schedulingDelayMs * speed) / this.#batchIntervalMs;
    const change = (error - last.error) / ((doneMs - last.doneMs) / 1_000);
    const wanted = last.rate - proportional * error - integral * waiting - derived * change;
    const rate = Math.max(minRate, wanted);
    this.#last = { doneMs, rate, error };
    return rate;
  }
}
