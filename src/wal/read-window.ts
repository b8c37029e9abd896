/** The memory through which segments are read: one part to look at, one for the disk to fill.
 * @module */
import type { Disk } from './disk.ts';

type Allocate = Pick<Disk, 'allocateAligned'>;

const NOTHING: Buffer = Buffer.alloc(0);

/** Used by several readers, one after the other. Its memory is the disk's own, so that no read has
 * to be copied out of another thread's. */
export class ReadWindow {
  readonly #disk: Allocate;
  #current = NOTHING;
  #next = NOTHING;

  constructor(disk: Allocate) {
    this.#disk = disk;
  }

  /** All that it holds. */
  get heldBytes(): number {
    return this.#current.byteLength + this.#next.byteLength;
  }

  /** Memory of at least `bytes` to look at; the content is lost when it has to grow. */
  current(bytes: number): Buffer {
    if (this.#current.byteLength < bytes) this.#current = this.#allocate(bytes);
    return this.#current;
  }

  /** The same, to be filled meanwhile. */
  next(bytes: number): Buffer {
    if (this.#next.byteLength < bytes) this.#next = this.#allocate(bytes);
    return this.#next;
  }

  /** What was filled is what is looked at now. */
  swap(): void {
    [this.#current, this.#next] = [this.#next, this.#current];
  }

  #allocate(bytes: number): Buffer {
    const { buffer, byteOffset } = this.#disk.allocateAligned(bytes);
    return Buffer.from(buffer, byteOffset, bytes);
  }
}
