/** The idempotency keys that one input remembers: a bounded window over the newest ones.
 *
 * Keys come with registered blocks and go, oldest first, when the window is full. Within the window
 * a repeated delivery is known; a key that is older counts as new (README.md says so).
 *
 * Checkpoints hold the whole window, so it is kept in chunks that are packed once: a checkpoint of
 * 100,000 keys then costs copies, not 100,000 small messages. Eviction is by whole chunks, so the
 * window holds up to one chunk more than asked for. @module */
import type { SourceId } from '../blocks/block-ref.ts';
import type { Codec } from '../serde/codec.ts';

const CHUNK_IDS = 1024;

interface Chunk {
  readonly ids: SourceId[];
  /** Once the chunk is full and was wanted. */
  packed?: Uint8Array;
}

type IdTuple = readonly [key: string, digest: string, recordCount: number];

export class SourceIdWindow {
  readonly #idsMax: number;
  readonly #byKey = new Map<string, SourceId>();
  /** Oldest first; only the last one grows. */
  readonly #chunks: Chunk[] = [{ ids: [] }];

  /** @param idsMax keys remembered at least, 1 or more. */
  constructor(idsMax: number) {
    this.#idsMax = idsMax;
  }

  get(key: string): SourceId | undefined {
    return this.#byKey.get(key);
  }

  add(id: SourceId): void {
    this.#byKey.set(id.key, id);
    let last = this.#chunks.at(-1);
    if (last === undefined || last.ids.length >= CHUNK_IDS) {
      last = { ids: [] };
      this.#chunks.push(last);
    }
    last.ids.push(id);
    this.#evict();
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The window as packed chunks, oldest first, for a checkpoint. */
  pack(codec: Codec): Uint8Array[] {
    return this.#chunks.map((chunk) => {
      if (chunk.packed !== undefined) return chunk.packed;
      const packed = codec.pack(
        chunk.ids.map(({ key, digest, recordCount }): IdTuple => [key, digest, recordCount]),
      );
      if (chunk.ids.length >= CHUNK_IDS) chunk.packed = packed;
      return packed;
    });
  }

  /** What `pack` gave, in a window of `idsMax` keys. */
  static unpack(chunks: readonly Uint8Array[], codec: Codec, idsMax: number): SourceIdWindow {
    const window = new SourceIdWindow(idsMax);
    for (const chunk of chunks) {
      for (const [key, digest, recordCount] of codec.unpack(chunk) as readonly IdTuple[]) {
        window.add({ key, digest, recordCount });
      }
    }
    return window;
  }

  #evict(): void {
    const oldest = this.#chunks[0];
    if (oldest === undefined || this.#byKey.size - oldest.ids.length < this.#idsMax) return;
    this.#chunks.shift();
    for (const id of oldest.ids) {
      // A key that came again later lives in a younger chunk.
      if (this.#byKey.get(id.key) === id) this.#byKey.delete(id.key);
    }
  }
}
