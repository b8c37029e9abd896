/** Keeps batches from being forgotten while a slice reads them, and knows which ones are.
 *
 * A batch is forgotten when its cleaning has begun or its blocks have left this process, whichever
 * comes first: both say so here before they begin, in the turn of the event loop in which they
 * look. A slice looks and holds in one turn too, so nobody goes between: what it has found stays.
 *
 *      forgotten ──► │ done, and remembered │ held: from the oldest that a slice reads ─► now
 *
 * One writer: the driver. @module */

export class HeldBatches {
  #forgottenThroughMs: number;
  /** Where each slice under way begins. */
  readonly #heldFromMs = new Set<{ readonly fromMs: number }>();

  /** @param forgottenThroughMs what an earlier run has cleaned. */
  constructor(forgottenThroughMs = 0) {
    this.#forgottenThroughMs = forgottenThroughMs;
  }

  /** The latest batch that was forgotten; 0: none. */
  get forgottenThroughMs(): number {
    return this.#forgottenThroughMs;
  }

  /** Batches from this one on must stay; Infinity: none. */
  get fromMs(): number {
    return Math.min(Infinity, ...[...this.#heldFromMs].map(({ fromMs }) => fromMs));
  }

  /** From now on this batch and all before it are forgotten. Call it before they are given up. */
  forgotten(batchTimeMs: number): void {
    this.#forgottenThroughMs = Math.max(this.#forgottenThroughMs, batchTimeMs);
  }

  /** @returns what gives them free again. */
  hold(fromMs: number): () => void {
    const held = { fromMs };
    this.#heldFromMs.add(held);
    return () => void this.#heldFromMs.delete(held);
  }
}
