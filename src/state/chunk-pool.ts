/** Shared memory for keyed state, in powers of two; what is given back is used again.
 *
 * The collector of a thread does not count shared memory, so a dropped buffer might stay for good:
 * each buffer has references here, and at zero it waits for its next use. Memory is never given
 * back to the operating system while the run lasts: what is held is the most that was in use.
 * One owner: the driver. @module */
import { assert } from '../core/assert.ts';

export class ChunkPool {
  readonly #free = new Map<number, SharedArrayBuffer[]>();
  readonly #references = new Map<SharedArrayBuffer, number>();
  #heldBytes = 0;
  #usedBytes = 0;

  /** Taken from the operating system so far. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** With one reference. What is in it is left over from its last use.
   * @returns at least `bytes` of it: the next power of two. */
  acquire(bytes: number): SharedArrayBuffer {
    const size = 2 ** Math.ceil(Math.log2(bytes));
    let memory = this.#free.get(size)?.pop();
    if (memory === undefined) {
      memory = new SharedArrayBuffer(size);
      this.#heldBytes += size;
    }
    this.#usedBytes += size;
    this.#references.set(memory, 1);
    return memory;
  }

  /** One more reference to memory that the caller holds already. */
  hold(memory: SharedArrayBuffer): void {
    this.#references.set(memory, this.#referencesOf(memory) + 1);
  }

  /** One reference less. */
  drop(memory: SharedArrayBuffer): void {
    const left = this.#referencesOf(memory) - 1;
    if (left > 0) {
      this.#references.set(memory, left);
      return;
    }
    this.#references.delete(memory);
    const size = memory.byteLength;
    this.#usedBytes -= size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [memory]);
    else free.push(memory);
  }

  #referencesOf(memory: SharedArrayBuffer): number {
    const references = this.#references.get(memory);
    assert(references !== undefined, 'memory of keyed state was given back twice (I8)');
    return references;
  }
}
