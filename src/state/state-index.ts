/** The hash index of one partition of keyed state, as its owner changes it: where each key's entry
 * is. Never looks at keys: whoever adds or replaces says the hash, and the address that it
 * replaces.
 *
 * Layout and reading: state-reader.ts. A slot is freed by moving later ones back, so no marks of
 * removed keys gather. Grows to twice its size when 5 of 8 slots are taken; the old memory goes
 * back to the pool.
 * @module */
import { assert } from '../core/assert.ts';
import type { ChunkPool } from './chunk-pool.ts';

const SLOT_BYTES = 8;
const FIRST_SLOTS = 1024;

export class StateIndex {
  readonly #pool: ChunkPool;
  #memory: SharedArrayBuffer;
  #cells: Uint32Array;
  #mask: number;
  #count = 0;

  /** @param keys that are about to come. A snapshot has its keys in the order of their slots: in an
   * index that is smaller than theirs was they would crowd together, each one behind all before
   * (10 M keys took 29 s of CPU, and 1 s with room for them from the start). */
  constructor(pool: ChunkPool, keys = 0) {
    const slots = Math.max(FIRST_SLOTS, 2 ** Math.ceil(Math.log2((keys * 8) / 5 + 1)));
    this.#pool = pool;
    this.#memory = pool.acquire(slots * SLOT_BYTES);
    this.#cells = new Uint32Array(this.#memory).fill(0);
    this.#mask = slots - 1;
  }

  get memory(): SharedArrayBuffer {
    return this.#memory;
  }

  get count(): number {
    return this.#count;
  }

  /** For a key that has none. */
  insert(hash: number, address: number): void {
    if ((this.#count + 1) * 8 > (this.#mask + 1) * 5) this.#grow();
    this.#place(hash, address);
    this.#count += 1;
  }

  /** The entry at `before` is at `address` from now on. */
  replace(hash: number, before: number, address: number): void {
    this.#cells[2 * this.#slotOf(hash, before) + 1] = address + 1;
  }

  /** True while the entry at `address` is the one of its key. */
  has(hash: number, address: number): boolean {
    const cells = this.#cells;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = cells[2 * slot + 1] as number;
      if (cell === 0 || cell === address + 1) return cell !== 0;
    }
  }

  remove(hash: number, address: number): void {
    const cells = this.#cells;
    let free = this.#slotOf(hash, address);
    for (let slot = (free + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (cells[2 * slot + 1] === 0) break;
      const home = (cells[2 * slot] as number) & this.#mask;
      // Its way from home must not pass the freed slot.
      if (((slot - home) & this.#mask) < ((slot - free) & this.#mask)) continue;
      cells[2 * free] = cells[2 * slot] as number;
      cells[2 * free + 1] = cells[2 * slot + 1] as number;
      free = slot;
    }
    cells[2 * free + 1] = 0;
    this.#count -= 1;
  }

  close(): void {
    this.#pool.drop(this.#memory);
  }

  #slotOf(hash: number, address: number): number {
    const cells = this.#cells;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = cells[2 * slot + 1] as number;
      if (cell === address + 1) return slot;
      assert(cell !== 0, 'a change of keyed state names an entry that is not there');
    }
  }

  #place(hash: number, address: number): void {
    const cells = this.#cells;
    let slot = hash & this.#mask;
    while (cells[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    cells[2 * slot] = hash;
    cells[2 * slot + 1] = address + 1;
  }

  #grow(): void {
    const [memory, cells] = [this.#memory, this.#cells];
    this.#memory = this.#pool.acquire(2 * memory.byteLength);
    this.#cells = new Uint32Array(this.#memory).fill(0);
    this.#mask = 2 * this.#mask + 1;
    for (let i = 0; i < cells.length; i += 2) {
      const cell = cells[i + 1] as number;
      if (cell !== 0) this.#place(cells[i] as number, cell - 1);
    }
    this.#pool.drop(memory);
  }
}
