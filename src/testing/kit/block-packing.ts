/** Records of a test as blocks: packed by the writer that receivers use, and copied out of its
 * arena, so that no memory outlives the call.
 *
 * One arena serves all tests of a process: it is empty between two calls, because packing never
 * waits. Owns nothing else.
 * @module */
import { BlockArena } from '../../blocks/block-arena.ts';
import { BlockWriter } from '../../blocks/block-writer.ts';
import { assert, present } from '../../core/assert.ts';
import { MillraceError } from '../../core/errors.ts';
import type { StreamId } from '../../core/ids.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { RecordCodec } from '../../serde/codec.ts';

/** Of which one record may fill 12 MiB. */
const ARENA_BYTES = 64 * 1024 * 1024;
const OWNER = 1;

/** The bytes of one block, in memory of its own. */
export interface PackedBlock {
  readonly recordCount: number;
  readonly codec: RecordCodec;
  /** The bin: block-layout.ts. */
  readonly bin: Uint8Array;
}

let arena: BlockArena | undefined;

/** Packs the records of one input: as a receiver, it keeps the encoding that it had to change to.
 * Call `close` before anything else happens. */
export class BlockPacking {
  readonly #streamId: StreamId;
  readonly #writer: BlockWriter;
  #seq = 0;

  constructor(streamId: StreamId) {
    arena ??= BlockArena.create(ARENA_BYTES);
    this.#streamId = streamId;
    this.#writer = new BlockWriter(arena, msgpackCodec, OWNER);
  }

  /** The records as blocks: one, or more where their encoding or their bytes make it so.
   * @param placeOf how messages name the record with this index.
   * @throws {MillraceError} RECORD_UNSUPPORTED, RECORD_TOO_LARGE. */
  pack(records: readonly unknown[], placeOf: (index: number) => string): PackedBlock[] {
    const blocks: PackedBlock[] = [];
    records.forEach((record, index) => {
      try {
        if (this.#writer.append(record) === 'taken') return;
        if (this.#writer.recordCount > 0) blocks.push(this.#cut());
        assert(this.#writer.append(record) === 'taken', 'an empty arena has no room');
      } catch (error) {
        throw atPlace(placeOf(index), error);
      }
    });
    if (this.#writer.recordCount > 0) blocks.push(this.#cut());
    return blocks;
  }

  close(): void {
    this.#writer.close();
  }

  #cut(): PackedBlock {
    const blockId = {
      streamId: this.#streamId,
      receiverIndex: 0,
      incarnation: { epoch: 1, n: 1 },
      seq: this.#seq,
    };
    this.#seq += 1;
    const meta = { blockId, positions: [], sourceIds: [], isBuffered: true };
    const { bytes, recordCount, codec } = this.#writer.cut(meta);
    const { offsetBytes, lengthBytes, extentIndex } = bytes;
    const memory = present(arena, 'the arena of the tests');
    const bin = new Uint8Array(lengthBytes); // its end table has to stand on a multiple of 4
    bin.set(memory.bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
    memory.drop(extentIndex);
    return { recordCount, codec, bin };
  }
}

function atPlace(place: string, error: unknown): unknown {
  if (!(error instanceof MillraceError)) return error;
  return new MillraceError(error.code, `${place}: ${error.message}`, { cause: error });
}
