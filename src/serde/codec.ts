/** Values ↔ bytes. The interface; msgpack-codec.ts is the only implementation and the only importer
 * of msgpackr.
 *
 * Each message is self-contained: it never refers to a structure of another message, so any message
 * can be read alone, by any msgpack reader. Map, Set, Date, bigint and typed arrays round-trip;
 * functions, symbols and promises are refused.
 * @module */

/** How the records of a block are stored. `ascii` and `utf8` hold plain text without any
 * framing. */
export type RecordCodec = 'ascii' | 'utf8' | 'msgpack';

export interface Codec {
  /** One value as one message, in memory of its own that later calls never touch.
   * @throws {MillraceError} RECORD_UNSUPPORTED naming the path of the offending part. */
  pack(value: unknown): Uint8Array;
  /** @throws when the bytes are not exactly one message. Only a CRC decides whether bytes are
   * sound. */
  unpack(bytes: Uint8Array): unknown;
}
