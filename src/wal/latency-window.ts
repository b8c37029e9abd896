/** How long one kind of call takes: the latest durations, for percentiles, and a count of all of
 * them by length, for histograms. Bounded: of single durations it forgets the old ones.
 * @module */

const WINDOW_SAMPLES = 1024;
/** Four buckets for each doubling: a bucket is a fifth wider than the one before. */
const BUCKETS_PER_DOUBLING = 4;
const FIRST_BOUND_MS = 0.01;
/** The last bound is above 10 s. */
const BUCKET_COUNT = 82;

/** Upper ends of the buckets of a histogram, in milliseconds; the last bucket has none. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from(
  { length: BUCKET_COUNT - 1 },
  (_, index) => FIRST_BOUND_MS * 2 ** (index / BUCKETS_PER_DOUBLING),
);

/** Milliseconds; all 0 when there is no sample yet. */
export interface LatencySummary {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class LatencyWindow {
  readonly #samples = new Float64Array(WINDOW_SAMPLES);
  readonly #buckets = new Float64Array(BUCKET_COUNT);
  #count = 0;

  add(durationMs: number): void {
    this.#samples[this.#count % WINDOW_SAMPLES] = durationMs;
    this.#count += 1;
    const steps = Math.ceil(BUCKETS_PER_DOUBLING * Math.log2(durationMs / FIRST_BOUND_MS));
    const bucket = Math.max(0, Math.min(steps, BUCKET_COUNT - 1));
    this.#buckets[bucket] = (this.#buckets[bucket] as number) + 1; // there, as it was bounded
  }

  /** Over the last 1024 samples at most. Sorts them: for status lines, not for hot paths. */
  summary(): LatencySummary {
    const sorted = this.#samples.slice(0, Math.min(this.#count, WINDOW_SAMPLES)).toSorted();
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;
    return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
  }

  /** Of all samples so far, how many were in each bucket: at most its bound, above the one before.
   * One number more than LATENCY_BOUNDS_MS has. */
  counts(): readonly number[] {
    return [...this.#buckets];
  }
}
