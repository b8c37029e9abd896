/** Keyed state as a snapshot file, in memory: what one life of an engine leaves to the next.
 * @module */
import type { BatchTimeMs } from '../../src/core/ids.ts';
import type { KeyedState } from '../../src/driver/keyed-state.ts';
import { msgpackCodec } from '../../src/serde/msgpack-codec.ts';
import { readSnapshot, writeSnapshot } from '../../src/state/snapshot-file.ts';
import { MemoryDisk } from './memory-disk.ts';

export class SavedState {
  readonly batchTimeMs: BatchTimeMs;
  readonly #disk: MemoryDisk;

  private constructor(batchTimeMs: BatchTimeMs, disk: MemoryDisk) {
    this.batchTimeMs = batchTimeMs;
    this.#disk = disk;
  }

  /** The state as it is, which is that after a batch. */
  static async of(state: KeyedState, batchTimeMs: BatchTimeMs): Promise<SavedState> {
    const disk = new MemoryDisk();
    await disk.makeDirectory('/state');
    const file = await disk.create('/state/s', 'buffered');
    const frozen = state.freeze(batchTimeMs, 'log');
    await writeSnapshot(file, frozen, { codec: msgpackCodec });
    frozen.close();
    await file.close();
    return new SavedState(batchTimeMs, disk);
  }

  /** @param ids of the operators to take over. @defaultValue all */
  async restoreTo(state: KeyedState, ids?: readonly string[]): Promise<void> {
    const where = { disk: this.#disk, path: '/state/s', codec: msgpackCodec };
    await readSnapshot(where, (head) =>
      state.restore(head, new Set(ids ?? head.operators.map(({ id }) => id))),
    );
  }
}
