/** What one task changes in its partition of keyed state: a run of entries, each key at most once.
 *
 * The task reads the state as it was after the batch before and writes nothing but this. So a task
 * that is tried again meets the same state, and whoever owns the state applies the delta once.
 * @module */
import { ENTRY_HEADER_BYTES, entryBytes, REMOVED } from './state-entry.ts';

const FIRST_BYTES = 64 * 1024;

/** Bytes of a key or a value, in memory that may hold more. */
export interface DeltaBytes {
  readonly bytes: Uint8Array;
  /** Where they begin; 0 when absent. */
  readonly at?: number;
  readonly lengthBytes: number;
}

/** A key's place. */
export interface DeltaKey extends DeltaBytes {
  readonly hash: number;
  /** Address of the entry that the key has, or NO_ADDRESS. */
  readonly replaces: number;
}

/** Shorter runs are copied byte by byte: a view of each would cost more. */
const VIEWED_BYTES_MIN = 64;

export class DeltaWriter {
  readonly #touchedMs: number;
  #bytes = Buffer.alloc(FIRST_BYTES);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #at = 0;

  /** @param touchedMs the batch time. */
  constructor(touchedMs: number) {
    this.#touchedMs = touchedMs;
  }

  /** The key has this value from now on, and was touched now. */
  put(key: DeltaKey, value: DeltaBytes): void {
    const at = this.#writeKey(key, value.lengthBytes);
    this.#copy(value, at + ENTRY_HEADER_BYTES + key.lengthBytes);
  }

  remove(key: DeltaKey): void {
    this.#writeKey(key, REMOVED);
  }

  /** A view, or `undefined` when nothing was changed. */
  finish(): Uint8Array | undefined {
    return this.#at === 0 ? undefined : this.#bytes.subarray(0, this.#at);
  }

  #writeKey(key: DeltaKey, valueBytes: number): number {
    const at = this.#at;
    this.#at = at + entryBytes(key.lengthBytes, valueBytes);
    if (this.#at > this.#bytes.byteLength) this.#grow(this.#at);
    const view = this.#view;
    view.setUint32(at, key.hash, true);
    view.setUint32(at + 4, key.lengthBytes, true);
    view.setUint32(at + 8, valueBytes, true);
    view.setUint32(at + 12, key.replaces, true);
    view.setFloat64(at + 16, this.#touchedMs, true);
    this.#copy(key, at + ENTRY_HEADER_BYTES);
    return at;
  }

  #copy({ bytes, at = 0, lengthBytes }: DeltaBytes, to: number): void {
    if (lengthBytes >= VIEWED_BYTES_MIN) {
      this.#bytes.set(bytes.subarray(at, at + lengthBytes), to);
      return;
    }
    const target = this.#bytes;
    for (let i = 0; i < lengthBytes; i += 1) target[to + i] = bytes[at + i] as number;
  }

  #grow(wantedBytes: number): void {
    const grown = Buffer.alloc(2 ** Math.ceil(Math.log2(wantedBytes)));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset);
  }
}
