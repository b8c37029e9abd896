/** One piece of page-aligned memory that grows on demand and is used again for every group.
 *
 * A log has one write under way at a time, so one slab is enough: whoever took it must be done with
 * the bytes (written and synced) before the next `take`. Kept up to a bound; a larger demand, which
 * only a single huge record makes, gets memory of its own that is dropped afterwards.
 * @module */
import type { Disk } from './disk.ts';
import { roundUp } from './record-header.ts';

const SLAB_BYTES_MIN = 256 * 1024;

export class Slab {
  readonly #disk: Disk;
  readonly #keptBytesMax: number;
  #memory: Uint8Array | undefined;

  /** @param keptBytesMax the most that is held between two uses. */
  constructor(disk: Disk, keptBytesMax: number) {
    this.#disk = disk;
    this.#keptBytesMax = Math.max(keptBytesMax, SLAB_BYTES_MIN);
  }

  /** At least `bytes` bytes with any content, starting on a page. */
  take(bytes: number): Uint8Array {
    if (bytes > this.#keptBytesMax) return this.#disk.allocateAligned(bytes);
    if (this.#memory === undefined || this.#memory.byteLength < bytes) {
      this.#memory = this.#disk.allocateAligned(nextSize(bytes, this.#keptBytesMax));
    }
    return this.#memory;
  }
}

/** Doubles, so that a log whose groups grow slowly allocates few times. */
function nextSize(bytes: number, bytesMax: number): number {
  let size = SLAB_BYTES_MIN;
  while (size < bytes) size *= 2;
  return Math.min(size, roundUp(bytesMax, SLAB_BYTES_MIN));
}
