/** Where the blocks of this run lie in memory: the driver's hold on the arena.
 *
 * One reference per registered block, dropped when its batch is done. Blocks that came back from a
 * log after a restart have no memory: tasks read them from the log. Written by the driver only.
 * @module */
import { join } from 'node:path';
import type { BlockArena } from '../blocks/block-arena.ts';
import type { ArenaBytes, BlockInfo, BlockRef } from '../blocks/block-ref.ts';
import { assert } from '../core/assert.ts';
import { blockKey } from '../core/ids.ts';
import type { Lsn } from '../core/ids.ts';
import { segmentName } from '../wal/segment-name.ts';

/** The record header that stands before a payload in a segment. */
const RECORD_HEADER_BYTES = 32;

export class BlockMemory {
  readonly #arena: BlockArena;
  readonly #directory: string | undefined;
  readonly #directoryOf: (log: string) => string;
  readonly #lastLsn: ReadonlyMap<string, Lsn>;
  readonly #bytes = new Map<string, ArenaBytes>();

  /** @param logs the checkpoint directory, logs that lie elsewhere, and the last LSN that recovery
   * found in each log. */
  constructor(
    arena: BlockArena,
    logs: {
      readonly directory: string | undefined;
      readonly directoryOf?: (log: string) => string;
      readonly lastLsn: ReadonlyMap<string, Lsn>;
    },
  ) {
    this.#arena = arena;
    this.#directory = logs.directory;
    this.#directoryOf = logs.directoryOf ?? ((log) => join(logs.directory ?? '', log));
    this.#lastLsn = logs.lastLsn;
  }

  /** Takes over the executor's reference. */
  keep(block: BlockInfo, bytes: ArenaBytes): void {
    this.#bytes.set(blockKey(block.blockId), bytes);
  }

  /** Gives up a block's memory, if it has any. */
  free(block: BlockInfo): void {
    const key = blockKey(block.blockId);
    const bytes = this.#bytes.get(key);
    if (bytes === undefined) return;
    this.#bytes.delete(key);
    this.#arena.drop(bytes.extentIndex);
  }

  /** Where a task finds the block: in memory, else in its log.
   * @returns `undefined` when neither has it: it was only ever in the memory of a process now
   * dead. */
  locate(block: BlockInfo): BlockRef | undefined {
    const { recordCount, codec, position } = block;
    const { streamId } = block.blockId;
    const bytes = this.#bytes.get(blockKey(block.blockId));
    if (bytes !== undefined) return { streamId, recordCount, codec, bytes };
    // Not in memory, so it came before this run: a `flush` block may not have survived with its
    // log.
    if (position === undefined) return undefined;
    if (position.lsn > (this.#lastLsn.get(position.log) ?? 0)) return undefined;
    assert(this.#directory !== undefined, 'a block has a log position and there is no directory');
    const path = join(this.#directoryOf(position.log), segmentName(position.segmentSeq));
    const { payloadBytes: lengthBytes, payloadCrc: crc } = position;
    const offsetBytes = position.offsetBytes + RECORD_HEADER_BYTES;
    return {
      streamId,
      recordCount,
      codec,
      bytes: { kind: 'log', path, offsetBytes, lengthBytes, crc },
    };
  }

  /** Per run of extents, how many blocks are kept in it: what must survive a thread's death. */
  references(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const { extentIndex } of this.#bytes.values()) {
      counts.set(extentIndex, (counts.get(extentIndex) ?? 0) + 1);
    }
    return counts;
  }
}
