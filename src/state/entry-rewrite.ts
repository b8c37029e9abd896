/** A run of entries with other values: the same keys, hashes and times of the last touch.
 * @module */
import { ENTRY_HEADER_BYTES, EntryCursor, NO_ADDRESS, entryBytes } from './state-entry.ts';

/** @param rewrite is given views of key and value. @returns the value from now on; `undefined`: the
 *   key goes.
 * @returns a run of its own. */
export function rewriteEntries(
  entries: Uint8Array,
  rewrite: (key: Uint8Array, value: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  let bytes: Buffer = Buffer.alloc(entries.byteLength);
  let length = 0;
  const cursor = new EntryCursor(entries);
  while (cursor.advance()) {
    const from = cursor.at + ENTRY_HEADER_BYTES;
    const key = entries.subarray(from, from + cursor.keyBytes);
    const valueAt = from + cursor.keyBytes;
    const value = rewrite(key, entries.subarray(valueAt, valueAt + cursor.valueBytes));
    if (value === undefined) continue;
    const at = length;
    length += entryBytes(key.byteLength, value.byteLength);
    if (length > bytes.byteLength) bytes = grown(bytes, at, length);
    bytes.writeUInt32LE(cursor.hash, at);
    bytes.writeUInt32LE(key.byteLength, at + 4);
    bytes.writeUInt32LE(value.byteLength, at + 8);
    bytes.writeUInt32LE(NO_ADDRESS, at + 12);
    bytes.writeDoubleLE(cursor.touchedMs, at + 16);
    bytes.set(key, at + ENTRY_HEADER_BYTES);
    bytes.set(value, at + ENTRY_HEADER_BYTES + key.byteLength);
  }
  return bytes.subarray(0, length);
}

/** Zeros follow what is used. */
function grown(bytes: Buffer, usedBytes: number, wantedBytes: number): Buffer {
  const larger = Buffer.alloc(Math.max(2 * bytes.byteLength, wantedBytes));
  larger.set(bytes.subarray(0, usedBytes));
  return larger;
}
