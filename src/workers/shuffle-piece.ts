/** The bytes of one shuffle piece: what one map partition sends to one reduce partition.
 *
 *      u32 length │ message │ u32 length │ message │ …      length little-endian
 *
 * Each message is one flat msgpack array of records; of pairs, `[k1, v1, k2, v2, …]`. A piece is
 * made of messages of bounded size, so that neither side holds its records as objects all at once.
 * @module */
import { assert } from '../core/assert.ts';
import type { Codec } from '../serde/codec.ts';

/** Messages are cut near this size: large enough to amortise, small beside a block. */
const MESSAGE_BYTES_AIM = 256 * 1024;
const ITEMS_MIN = 2;
const ITEMS_FIRST = 64;
const ITEMS_MAX = 8_192;
const LENGTH_BYTES = 4;

/** Collects the items of one piece. */
export class PieceWriter {
  readonly #codec: Codec;
  readonly #messages: Uint8Array[] = [];
  #items: unknown[] = [];
  #itemsMax = ITEMS_FIRST;
  #bytes = 0;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** @throws {MillraceError} RECORD_UNSUPPORTED, for this record or one added before. */
  add(record: unknown): void {
    this.#items.push(record);
    if (this.#items.length >= this.#itemsMax) this.#cut();
  }

  /** Both go into the same message. */
  addPair(key: unknown, value: unknown): void {
    this.#items.push(key, value);
    if (this.#items.length >= this.#itemsMax) this.#cut();
  }

  /** @returns the whole piece, or `undefined` when nothing was added. */
  finish(): Uint8Array | undefined {
    if (this.#items.length > 0) this.#cut();
    if (this.#messages.length === 0) return undefined;
    const piece = new Uint8Array(this.#bytes);
    const view = new DataView(piece.buffer);
    let at = 0;
    for (const message of this.#messages) {
      view.setUint32(at, message.byteLength, true);
      piece.set(message, at + LENGTH_BYTES);
      at += LENGTH_BYTES + message.byteLength;
    }
    return piece;
  }

  #cut(): void {
    const message = this.#codec.pack(this.#items);
    this.#messages.push(message);
    this.#bytes += LENGTH_BYTES + message.byteLength;
    const itemBytes = message.byteLength / this.#items.length;
    const fitting = Math.floor(MESSAGE_BYTES_AIM / itemBytes);
    this.#itemsMax = Math.max(ITEMS_MIN, Math.min(fitting, ITEMS_MAX));
    this.#items = [];
  }
}

/** Visits the items of a piece, one array per message, in the order of adding. */
export function readPiece(
  piece: Uint8Array,
  codec: Codec,
  visit: (items: readonly unknown[]) => void,
): void {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  let at = 0;
  while (at < piece.byteLength) {
    assert(at + LENGTH_BYTES <= piece.byteLength, 'a shuffle piece ends inside a length');
    const end = at + LENGTH_BYTES + view.getUint32(at, true);
    assert(end <= piece.byteLength, 'a shuffle piece ends inside a message');
    const items = codec.unpack(piece.subarray(at + LENGTH_BYTES, end));
    assert(Array.isArray(items), 'a message of a shuffle piece is no array');
    visit(items);
    at = end;
  }
}
