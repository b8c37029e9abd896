/** One entry of keyed state: a key with its value, as bytes. Chunks, deltas and snapshots hold the
 * same entries, so that one can be copied into the other as it is.
 *
 *      0     4           8             12          16       24
 *      hash  key length  value length  replaces    touched  key │ value │ zeros to a multiple of 8
 *      u32   u32         u32           u32         f64      little-endian
 *
 * `hash` is of the key's bytes, with the seed of the operator. `replaces` counts in a delta only:
 * the address of the entry that the key had before. A value length of REMOVED says that the key
 * goes. `touched` is the batch time of the last touch, which expiry counts from.
 *
 * An address is a chunk's index and an offset in it, in units of 8 bytes.
 * @module */
import { assert } from '../core/assert.ts';

export const ENTRY_HEADER_BYTES: number = 24;
/** As the value length: the key is removed. */
export const REMOVED: number = 0xffff_ffff;
/** As an address: no entry. */
export const NO_ADDRESS: number = 0xffff_ffff;
/** A key with its value, at most. Bounds what a chunk that holds one entry may weigh. */
const ENTRY_BYTES_MAX: number = 256 * 1024 * 1024;

const UNIT_BYTES = 8;
const OFFSET_BITS = 20;
/** A chunk is no larger, unless one entry alone is. */
export const CHUNK_BYTES_MAX: number = 2 ** OFFSET_BITS * UNIT_BYTES;
/** One chunk less than the bits allow: its addresses would look like NO_ADDRESS. */
export const CHUNKS_MAX: number = 2 ** (32 - OFFSET_BITS) - 1;

export function addressOf(chunkIndex: number, offsetBytes: number): number {
  return ((chunkIndex << OFFSET_BITS) | (offsetBytes / UNIT_BYTES)) >>> 0;
}

export function chunkOf(address: number): number {
  return address >>> OFFSET_BITS;
}

export function offsetOf(address: number): number {
  return (address & (2 ** OFFSET_BITS - 1)) * UNIT_BYTES;
}

/** Bytes of a whole entry. @param valueBytes may be REMOVED. */
export function entryBytes(keyBytes: number, valueBytes: number): number {
  const content = keyBytes + (valueBytes === REMOVED ? 0 : valueBytes);
  // The sentence is made only when it is said: this is asked several times for each touched key.
  if (content > ENTRY_BYTES_MAX) assert(false, `a key with its state has ${content} bytes`);
  return (ENTRY_HEADER_BYTES + content + UNIT_BYTES - 1) & -UNIT_BYTES;
}

/** Reads entry after entry of a run of them. Every length is checked against the end. */
export class EntryCursor {
  readonly view: DataView;
  hash = 0;
  keyBytes = 0;
  valueBytes = 0;
  replaces: number = NO_ADDRESS;
  touchedMs = 0;
  /** Of the entry, from the start of the run. */
  at = 0;
  /** Of what follows it. */
  next = 0;
  readonly #endBytes: number;

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#endBytes = bytes.byteLength;
  }

  /** Moves to the next entry. @returns false at the end.
   * @throws {MillraceError} BROKEN_INVARIANT when an entry reaches past it. */
  advance(): boolean {
    const at = this.next;
    if (at === this.#endBytes) return false;
    const { view } = this;
    assert(at + ENTRY_HEADER_BYTES <= this.#endBytes, 'an entry of state ends inside its header');
    this.at = at;
    this.hash = view.getUint32(at, true);
    this.keyBytes = view.getUint32(at + 4, true);
    this.valueBytes = view.getUint32(at + 8, true);
    this.replaces = view.getUint32(at + 12, true);
    this.touchedMs = view.getFloat64(at + 16, true);
    this.next = at + entryBytes(this.keyBytes, this.valueBytes);
    assert(this.next <= this.#endBytes, 'an entry of state reaches past the end');
    return true;
  }
}
