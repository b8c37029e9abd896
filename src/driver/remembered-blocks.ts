/** Blocks of batches that are done, until no window looks at them any more.
 *
 * Their memory is given up with the batch after which no window reaches them, nor `remember`.
 * Until then they may leave memory before all others: windows read what was kept of them in
 * shuffle pieces (batch-history.ts), and read blocks only where there is nothing to keep. One
 * writer: the driver.
 * @module */
import type { BlockMemory } from './block-memory.ts';
import type { HeldBatches } from './held-batches.ts';
import { blocksOf } from './tracker-state.ts';
import type { BatchShare } from './tracker-state.ts';

export class RememberedBlocks {
  readonly #memory: Pick<BlockMemory, 'free' | 'letGo'>;
  readonly #reachMs: number;
  readonly #held: Pick<HeldBatches, 'forgotten'> | undefined;
  /** Done batches of this run whose blocks are kept, oldest first. */
  readonly #shares: BatchShare[] = [];

  /** @param reachMs how far back windows and slices look; 0: nothing is remembered.
   * @param held is told which batches are forgotten. */
  constructor(
    memory: Pick<BlockMemory, 'free' | 'letGo'>,
    reachMs: number,
    held?: Pick<HeldBatches, 'forgotten'>,
  ) {
    this.#held = held;
    this.#memory = memory;
    this.#reachMs = reachMs;
  }

  /** A batch is done, and all before it are. */
  done(share: BatchShare): void {
    if (this.#reachMs > 0) this.#memory.letGo(blocksOf(share));
    this.#shares.push(share);
    // The next batch may begin right after this one, and reaches one batch less far back.
    const throughMs = share.batchTimeMs - this.#reachMs;
    const kept = this.#shares.findIndex(({ batchTimeMs }) => batchTimeMs > throughMs);
    const left = this.#shares.splice(0, kept === -1 ? this.#shares.length : kept);
    const last = left.at(-1);
    if (last !== undefined) this.#held?.forgotten(last.batchTimeMs);
    for (const each of left) for (const block of blocksOf(each)) this.#memory.free(block);
  }
}
