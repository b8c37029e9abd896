/** How many records may be taken now, at a rate: a bucket that fills with tokens, one per record.
 *
 *      tokens  full ──spend──► … ──► 1 ──► 0 ──► debt (below 0), paid by time
 *              └── takes records while there is 1 ──┘
 *
 * The bucket holds what comes in `BURST_MS`, and one token at least. Whoever finds a token may take
 * more records than there are tokens: the rest is a debt, and nobody is let in until it is paid. So
 * a call larger than the bucket passes, and in any span of time no more records are taken than
 * rate × span + bucket + the last call. Pure: the caller says what time it is, by a monotonic
 * clock.
 * @module */

/** How much a receiver that was idle may take at once, as time at its rate. */
export const BURST_MS: number = 200;
/** A sum of fractions may miss the token that it is by this much. */
const ROUNDING = 1e-6;

export class TokenBucket {
  #recordsPerSecond: number;
  #tokens: number;
  #atMs: number;

  /** Full. @param recordsPerSecond above 0, finite. */
  constructor(recordsPerSecond: number, nowMs: number) {
    this.#recordsPerSecond = recordsPerSecond;
    this.#tokens = this.#capacity;
    this.#atMs = nowMs;
  }

  /** What was earned until now stays, at the old rate, and so does a debt. */
  setRate(recordsPerSecond: number, nowMs: number): void {
    this.tokensAt(nowMs);
    this.#recordsPerSecond = recordsPerSecond;
    this.#tokens = Math.min(this.#tokens, this.#capacity);
  }

  /** Tokens there are; below 0: a debt. */
  tokensAt(nowMs: number): number {
    const earned = (Math.max(0, nowMs - this.#atMs) * this.#recordsPerSecond) / 1_000;
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned);
    this.#atMs = Math.max(nowMs, this.#atMs);
    return this.#tokens;
  }

  /** In how many whole milliseconds there is a token; 0: there is one. */
  waitMs(nowMs: number): number {
    const missing = 1 - this.tokensAt(nowMs);
    if (missing <= ROUNDING) return 0;
    return Math.ceil((missing * 1_000) / this.#recordsPerSecond);
  }

  /** Takes the tokens of `recordCount` records, whether they are there or not. */
  spend(recordCount: number): void {
    this.#tokens -= recordCount;
  }

  get #capacity(): number {
    return Math.max(1, (this.#recordsPerSecond * BURST_MS) / 1_000);
  }
}
