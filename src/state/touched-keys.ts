/** The keys that one task touches in its partition: each has a number, from 0 on, in the order of
 * first touches.
 *
 *     slots:  [hash u32, number + 1 u32], a power of two of them; 0: free. Linear probing
 *     places: [hash, address, start of the key in `bytes`, its length], four u32 by number
 *     bytes:  canonical keys, one after the other
 *
 * A key is encoded and looked up in the state once for a touch, and kept as bytes: a Map of strings
 * takes twice the time, and a collector has to walk it.
 * @module */
import { KeyEncoder } from './key-encoder.ts';
import type { Codec } from '../serde/codec.ts';
import type { DeltaKey } from './delta-writer.ts';
import type { StateReader } from './state-reader.ts';

const FIRST_SLOTS = 256;
const PLACE_WORDS = 4;
const FIRST_BYTES = 4 * 1024;

export class TouchedKeys {
  readonly #reader: StateReader;
  readonly #keys: KeyEncoder;
  #count = 0;
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #places = new Uint32Array((FIRST_SLOTS / 2) * PLACE_WORDS);
  #bytes = Buffer.alloc(FIRST_BYTES);
  #usedBytes = 0;

  constructor(reader: StateReader, codec: Codec) {
    this.#reader = reader;
    this.#keys = new KeyEncoder(codec, reader.seed);
  }

  /** Numbers so far. */
  get count(): number {
    return this.#count;
  }

  /** @returns the key's number; the count before, when it is a new one.
   * @throws {MillraceError} RECORD_UNSUPPORTED for a key that the codec refuses. */
  touch(key: unknown): number {
    const keys = this.#keys;
    keys.encode(key);
    const { hash } = keys;
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = hash & mask;
    for (; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      const number = (slots[2 * slot + 1] as number) - 1;
      if (slots[2 * slot] === hash && this.#isLastEncoded(number)) return number;
    }
    return this.#add(slot);
  }

  /** Address of the entry that the key had before the batch, or NO_ADDRESS. */
  addressOf(number: number): number {
    return this.#places[number * PLACE_WORDS + 1] as number;
  }

  /** Whether the key with this entry was touched. */
  has(hash: number, address: number): boolean {
    const slots = this.#slots;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = slots[2 * slot + 1] as number;
      if (cell === 0) return false;
      if (slots[2 * slot] === hash && this.addressOf(cell - 1) === address) return true;
    }
  }

  /** What a delta says of the key. Good until the next `touch`. */
  placeOf(number: number): DeltaKey {
    const at = number * PLACE_WORDS;
    const places = this.#places;
    return {
      hash: places[at] as number,
      replaces: places[at + 1] as number,
      bytes: this.#bytes,
      at: places[at + 2] as number,
      lengthBytes: places[at + 3] as number,
    };
  }

  #isLastEncoded(number: number): boolean {
    const { bytes, lengthBytes } = this.#keys;
    const at = number * PLACE_WORDS;
    if (this.#places[at + 3] !== lengthBytes) return false;
    const start = this.#places[at + 2] as number;
    for (let i = 0; i < lengthBytes; i += 1) {
      if (this.#bytes[start + i] !== bytes[i]) return false;
    }
    return true;
  }

  /** The key that was encoded last, to a free slot. */
  #add(slot: number): number {
    const { hash, bytes, lengthBytes } = this.#keys;
    const number = this.#count;
    this.#count += 1;
    if (this.#usedBytes + lengthBytes > this.#bytes.length) this.#growBytes(lengthBytes);
    const start = this.#usedBytes;
    for (let i = 0; i < lengthBytes; i += 1) this.#bytes[start + i] = bytes[i] as number;
    this.#usedBytes = start + lengthBytes;
    const at = number * PLACE_WORDS;
    const places = this.#places;
    places[at] = hash;
    places[at + 1] = this.#reader.find(hash, bytes, lengthBytes);
    places[at + 2] = start;
    places[at + 3] = lengthBytes;
    this.#slots[2 * slot] = hash;
    this.#slots[2 * slot + 1] = number + 1;
    if (this.#count * 2 > this.#mask) this.#growSlots();
    return number;
  }

  #growBytes(moreBytes: number): void {
    const wanted = 2 ** Math.ceil(Math.log2(this.#usedBytes + moreBytes + 1));
    const grown = Buffer.alloc(wanted);
    grown.set(this.#bytes.subarray(0, this.#usedBytes));
    this.#bytes = grown;
  }

  #growSlots(): void {
    const before = this.#slots;
    const slots = new Uint32Array(2 * before.length);
    const mask = 2 * this.#mask + 1;
    for (let i = 0; i < before.length; i += 2) {
      const cell = before[i + 1] as number;
      if (cell === 0) continue;
      const hash = before[i] as number;
      let slot = hash & mask;
      while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
      slots[2 * slot] = hash;
      slots[2 * slot + 1] = cell;
    }
    this.#slots = slots;
    this.#mask = mask;
    const places = new Uint32Array(2 * this.#places.length);
    places.set(this.#places);
    this.#places = places;
  }
}
