/** Keys as canonical bytes, and their hash. One for each thread and task: it has one scratch
 * buffer.
 *
 * Short ASCII strings, the most frequent keys, are written here, in the form that the codec gives
 * them; everything else goes through the codec (serde/canonical-key.ts).
 * @module */
import { canonicalKeyBytes } from '../serde/canonical-key.ts';
import type { Codec } from '../serde/codec.ts';

const SHORT_CHARS_MAX = 31;
/** msgpack: a string of up to 31 bytes has its length in its first byte. */
const SHORT_STRING = 0xa0;

export class KeyEncoder {
  readonly #codec: Codec;
  readonly #seed: number;
  readonly #short = Buffer.alloc(1 + SHORT_CHARS_MAX);
  /** Of the last `encode`; overwritten by the next one. */
  bytes: Uint8Array = this.#short;
  lengthBytes = 0;
  /** 0 … 2^32 − 1. */
  hash = 0;

  constructor(codec: Codec, seed: number) {
    this.#codec = codec;
    this.#seed = seed;
  }

  /** @throws {MillraceError} RECORD_UNSUPPORTED for a key that the codec refuses. */
  encode(key: unknown): void {
    if (typeof key !== 'string' || !this.#writeShort(key)) {
      this.bytes = canonicalKeyBytes(key, this.#codec);
      this.lengthBytes = this.bytes.byteLength;
    }
    this.hash = hashBytes(this.bytes, this.lengthBytes, this.#seed);
  }

  #writeShort(key: string): boolean {
    const { length } = key;
    if (length > SHORT_CHARS_MAX) return false;
    const short = this.#short;
    short[0] = SHORT_STRING | length;
    for (let i = 0; i < length; i += 1) {
      const code = key.charCodeAt(i);
      if (code >= 0x80) return false;
      short[i + 1] = code;
    }
    this.bytes = short;
    this.lengthBytes = length + 1;
    return true;
  }
}

/** FNV-1a with a seed that differs between directories, and the finalizer of MurmurHash3. */
export function hashBytes(bytes: Uint8Array, lengthBytes: number, seed: number): number {
  let hash = seed | 0;
  for (let i = 0; i < lengthBytes; i += 1) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85eb_ca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
