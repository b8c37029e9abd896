/** Values of keyed state as msgpack messages. One for each thread and task: it has scratch buffers.
 *
 * Numbers, the most frequent states, are written and read here, in the form that the codec gives
 * them; everything else goes through the codec. A short message is copied to where the codec reads
 * it, into the one buffer of its length: a view of each would cost as much as reading it.
 * @module */
import type { Codec } from '../serde/codec.ts';

const NUMBER_BYTES_MAX = 9;
/** Longer messages are read where they are. */
const SHORT_BYTES_MAX = 128;

/** First bytes of the forms that are written here; up to FIXED_MAX it is the number itself. */
const FIXED_MAX = 0x7f;
const [UINT8, UINT16, UINT32, FLOAT64] = [0xcc, 0xcd, 0xce, 0xcb];

/** Where messages lie. */
export interface ValueMemory {
  readonly bytes: Buffer;
  /** Of the same memory. */
  readonly view: DataView;
}

export class StateValues {
  readonly #codec: Codec;
  readonly #number = Buffer.alloc(NUMBER_BYTES_MAX);
  readonly #numberView = new DataView(this.#number.buffer, this.#number.byteOffset);
  /** By length. */
  readonly #short: (Buffer | undefined)[] = [];
  /** Of the last `encode`; overwritten by the next one. */
  bytes: Uint8Array = this.#number;
  lengthBytes = 0;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** @throws {MillraceError} RECORD_UNSUPPORTED for a value that the codec refuses. */
  encode(value: unknown): void {
    if (typeof value !== 'number' || (value < 0 && (value | 0) === value)) {
      this.bytes = this.#codec.pack(value);
      this.lengthBytes = this.bytes.byteLength;
      return;
    }
    this.bytes = this.#number;
    this.lengthBytes = value >>> 0 === value ? this.#writeWhole(value) : this.#writeFloat(value);
  }

  /** The value whose message begins at `at`. */
  decode(memory: ValueMemory, at: number, lengthBytes: number): unknown {
    const first = memory.bytes[at] as number;
    if (first <= FIXED_MAX) return first;
    switch (first) {
      case UINT8:
        return memory.bytes[at + 1];
      case UINT16:
        return memory.view.getUint16(at + 1);
      case UINT32:
        return memory.view.getUint32(at + 1);
      case FLOAT64:
        return memory.view.getFloat64(at + 1);
      default:
        return this.#codec.unpack(this.#message(memory.bytes, at, lengthBytes));
    }
  }

  #writeWhole(value: number): number {
    const number = this.#number;
    if (value <= FIXED_MAX) {
      number[0] = value;
      return 1;
    }
    if (value <= 0xff) {
      number[0] = UINT8;
      number[1] = value;
      return 2;
    }
    if (value <= 0xffff) {
      number[0] = UINT16;
      this.#numberView.setUint16(1, value);
      return 3;
    }
    number[0] = UINT32;
    this.#numberView.setUint32(1, value);
    return 5;
  }

  #writeFloat(value: number): number {
    this.#number[0] = FLOAT64;
    this.#numberView.setFloat64(1, value);
    return NUMBER_BYTES_MAX;
  }

  #message(bytes: Buffer, at: number, lengthBytes: number): Uint8Array {
    if (lengthBytes > SHORT_BYTES_MAX) return bytes.subarray(at, at + lengthBytes);
    const short = (this.#short[lengthBytes] ??= Buffer.alloc(lengthBytes));
    for (let i = 0; i < lengthBytes; i += 1) short[i] = bytes[at + i] as number;
    return short;
  }
}
