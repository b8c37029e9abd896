/** Memory to read files into, used again: fit for reads past the page cache, and the disk's own, so
 * that no read has to be copied out of another thread's.
 * @module */
import type { Disk } from './disk.ts';
import { PAGE_BYTES, roundUp } from './record-header.ts';

/** Who takes memory gives it back. What is free is bounded by what was taken at a time. */
export class ReadMemory {
  readonly #disk: Pick<Disk, 'allocateAligned'>;
  readonly #free: Buffer[] = [];
  /** Taken and free. */
  heldBytes = 0;

  constructor(disk: Pick<Disk, 'allocateAligned'>) {
    this.#disk = disk;
  }

  /** Whole pages with any content, at least `bytes`. What is too small is replaced. */
  take(bytes: number): Buffer {
    const fitting = this.#free.findIndex(({ byteLength }) => byteLength >= bytes);
    const [found] = fitting === -1 ? [] : this.#free.splice(fitting, 1);
    if (found !== undefined) return found;
    const pages = roundUp(bytes, PAGE_BYTES);
    this.heldBytes += pages - (this.#free.pop()?.byteLength ?? 0);
    const { buffer, byteOffset } = this.#disk.allocateAligned(pages);
    return Buffer.from(buffer, byteOffset, pages);
  }

  give(memory: Buffer): void {
    this.#free.push(memory);
  }
}
