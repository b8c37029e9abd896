/** What tasks of a test read and write, in plain memory: blocks, shuffle pieces and results.
 *
 * Stands in for the arena of an engine. Everything stays until the run is forgotten, so that
 * operators may look back at batches before; a test's records are few.
 * @module */
import { recordsOfBin } from '../../blocks/block-records.ts';
import type { BlockRecords } from '../../blocks/block-records.ts';
import type { ArenaBytes, BlockRef, SharedBytes } from '../../blocks/block-ref.ts';
import { present } from '../../core/assert.ts';
import type { StreamId } from '../../core/ids.ts';
import { msgpackCodec } from '../../serde/msgpack-codec.ts';
import type { PackedBlock } from './block-packing.ts';

export class InlineMemory {
  readonly #bytes: Uint8Array[] = [];

  /** A block as tasks are told of it. */
  addBlock(streamId: StreamId, { bin, recordCount, codec }: PackedBlock): BlockRef {
    const bytes = this.#add(bin);
    return { streamId, key: `${streamId}/${bytes.offsetBytes}`, recordCount, codec, bytes };
  }

  readBlock(ref: BlockRef): BlockRecords {
    return recordsOfBin(this.#at(ref.bytes.offsetBytes), ref, msgpackCodec);
  }

  /** @param bytes of which the codec gives up every part: they are not copied. */
  write(bytes: Uint8Array): SharedBytes {
    return this.#add(bytes);
  }

  read(shared: SharedBytes): Uint8Array {
    return this.#at(shared.offsetBytes);
  }

  /** Places are numbers of entries, not offsets: nothing here lies next to something else. */
  #add(bytes: Uint8Array): ArenaBytes {
    const offsetBytes = this.#bytes.push(bytes) - 1;
    return { kind: 'arena', extentIndex: 0, offsetBytes, lengthBytes: bytes.byteLength };
  }

  #at(index: number): Uint8Array {
    return present(this.#bytes[index], 'bytes of this run');
  }
}
