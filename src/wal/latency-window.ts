/** The latest durations of one kind of call, for percentiles. Bounded, so it forgets old ones.
 * @module */

const WINDOW_SAMPLES = 1024;

/** Milliseconds; all 0 when there is no sample yet. */
export interface LatencySummary {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class LatencyWindow {
  readonly #samples = new Float64Array(WINDOW_SAMPLES);
  #count = 0;

  add(durationMs: number): void {
    this.#samples[this.#count % WINDOW_SAMPLES] = durationMs;
    this.#count += 1;
  }

  /** Over the last 1024 samples at most. Sorts them: for status lines, not for hot paths. */
  summary(): LatencySummary {
    const sorted = this.#samples.slice(0, Math.min(this.#count, WINDOW_SAMPLES)).toSorted();
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
    return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
  }
}
