/** One batch on its way through its outputs, as the batch after it sees it.
 *
 *      batch 1   out A ─► out B ─► done
 *      batch 2            out A ─► out B ─► done        never before batch 1 is
 *
 * Batches that run at the same time (`concurrentBatches`) keep the order of each output: one begins
 * an output when the one before it has passed it, and is done when the one before it is. What needs
 * no order, the shuffles before an output, does not wait. One writer: the scheduler. @module */
import type { TrackedBatch } from './tracker-state.ts';

export class BatchRun {
  readonly batch: TrackedBatch;
  /** From submission to start, on the monotonic clock. */
  readonly waitedMs: number;
  /** Its part of the time in which it ran: time that two batches share counts half for each. */
  busyMs = 0;
  #previous: BatchRun | undefined;
  /** So many of the outputs need no more of this batch. */
  #passedCount = 0;
  #hasEnded = false;
  #waiters: (() => void)[] = [];

  /** @param previous the batch that was started before it. */
  constructor(
    batch: TrackedBatch,
    { waitedMs, previous }: { readonly waitedMs: number; readonly previous: BatchRun | undefined },
  ) {
    this.batch = batch;
    this.waitedMs = waitedMs;
    this.#previous = previous;
  }

  /** Resolves when the batch before has passed this output, or has ended in whatever way. */
  async turn(outputIndex: number): Promise<void> {
    await this.#previous?.until((previous) => previous.#passedCount > outputIndex);
  }

  /** Resolves when the batch before has ended. */
  async lastTurn(): Promise<void> {
    await this.#previous?.until(() => false);
  }

  passed(outputIndex: number): void {
    this.#passedCount = outputIndex + 1;
    this.#wake();
  }

  end(): void {
    this.#hasEnded = true;
    this.#previous = undefined; // or each batch would hold all before it
    this.#wake();
  }

  async until(condition: (run: BatchRun) => boolean): Promise<void> {
    while (!this.#hasEnded && !condition(this)) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
