/** One partition of keyed state, as any thread reads it between two changes.
 *
 *     index:  [hash u32, address + 1 u32] for each slot, a power of two of them; 0: free
 *     chunks: entries (state-entry.ts), none of which ever changes
 *
 * A key's slot is the first one from `hash` on that has its entry: linear probing. The driver is
 * the only writer, and changes nothing while a task that was given the handle runs; the message
 * that brought the handle orders its writes before the task's reads.
 * @module */
import { present } from '../core/assert.ts';
import { ENTRY_HEADER_BYTES, chunkOf, entryBytes, NO_ADDRESS, offsetOf } from './state-entry.ts';
import type { StateValues } from './state-value.ts';

/** What a task needs to read a partition. Structured-cloneable; good until its task has ended. */
export interface StateHandle {
  readonly index: SharedArrayBuffer;
  /** By chunk index; `null` where there is none. */
  readonly chunks: readonly (SharedArrayBuffer | null)[];
  /** Of the hash of keys. */
  readonly seed: number;
}

interface OpenChunk {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly view: DataView;
}

export class StateReader {
  readonly #handle: StateHandle;
  readonly #index: Uint32Array;
  readonly #mask: number;
  readonly #chunks: (OpenChunk | undefined)[] = [];

  constructor(handle: StateHandle) {
    this.#handle = handle;
    this.#index = new Uint32Array(handle.index);
    this.#mask = this.#index.length / 2 - 1;
  }

  /** Of the hash of keys. */
  get seed(): number {
    return this.#handle.seed;
  }

  /** Address of the entry with this key, or NO_ADDRESS. */
  find(hash: number, key: Uint8Array, keyBytes: number): number {
    const index = this.#index;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = index[2 * slot + 1] as number;
      if (cell === 0) return NO_ADDRESS;
      if (index[2 * slot] === hash && this.#hasKey(cell - 1, key, keyBytes)) return cell - 1;
    }
  }

  /** Addresses of all entries whose key has this hash. */
  withHash(hash: number): number[] {
    const found: number[] = [];
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const cell = this.#index[2 * slot + 1] as number;
      if (cell === 0) return found;
      if (this.#index[2 * slot] === hash) found.push(cell - 1);
    }
  }

  /** Every entry, in no order that means anything. */
  forEach(visit: (address: number) => void): void {
    const index = this.#index;
    for (let i = 1; i < index.length; i += 2) {
      const cell = index[i] as number;
      if (cell !== 0) visit(cell - 1);
    }
  }

  touchedMs(address: number): number {
    return this.#chunkOf(address).view.getFloat64(offsetOf(address) + 16, true);
  }

  /** A view: good as long as the handle is. */
  keyOf(address: number): Uint8Array {
    const { bytes, view } = this.#chunkOf(address);
    const at = offsetOf(address) + ENTRY_HEADER_BYTES;
    return bytes.subarray(at, at + view.getUint32(at - ENTRY_HEADER_BYTES + 4, true));
  }

  /** A view: good as long as the handle is. */
  valueOf(address: number): Uint8Array {
    const { bytes, view } = this.#chunkOf(address);
    const offset = offsetOf(address);
    const at = offset + ENTRY_HEADER_BYTES + view.getUint32(offset + 4, true);
    return bytes.subarray(at, at + view.getUint32(offset + 8, true));
  }

  /** The value of an entry, unpacked. */
  readValue(address: number, values: StateValues): unknown {
    const chunk = this.#chunkOf(address);
    const offset = offsetOf(address);
    const at = offset + ENTRY_HEADER_BYTES + chunk.view.getUint32(offset + 4, true);
    return values.decode(chunk, at, chunk.view.getUint32(offset + 8, true));
  }

  /** Length of the whole entry, a multiple of 8. */
  entryBytes(address: number): number {
    const { view } = this.#chunkOf(address);
    const at = offsetOf(address);
    return entryBytes(view.getUint32(at + 4, true), view.getUint32(at + 8, true));
  }

  /** Copies a whole entry. By words: a view for each of so many small ones would cost more.
   * @param into with room for `lengthBytes`, which `entryBytes` gave, from `at` on. */
  copyEntry(address: number, lengthBytes: number, into: { words: Int32Array; at: number }): void {
    const { words } = this.#chunkOf(address);
    const from = offsetOf(address) / 4;
    const to = into.at / 4;
    const count = lengthBytes / 4;
    for (let i = 0; i < count; i += 1) into.words[to + i] = words[from + i] as number;
  }

  #hasKey(address: number, key: Uint8Array, keyBytes: number): boolean {
    const { bytes, view } = this.#chunkOf(address);
    const offset = offsetOf(address);
    if (view.getUint32(offset + 4, true) !== keyBytes) return false;
    const at = offset + ENTRY_HEADER_BYTES;
    for (let i = 0; i < keyBytes; i += 1) if (bytes[at + i] !== key[i]) return false;
    return true;
  }

  #chunkOf(address: number): OpenChunk {
    const index = chunkOf(address);
    return (this.#chunks[index] ??= openChunk(
      present(this.#handle.chunks[index] ?? undefined, 'a chunk of keyed state'),
    ));
  }
}

function openChunk(memory: SharedArrayBuffer): OpenChunk {
  const words = new Int32Array(memory);
  return { bytes: Buffer.from(memory), words, view: new DataView(memory) };
}
