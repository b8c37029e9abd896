/** Shuffle pieces that are kept for later windows, packed together.
 *
 * Each map task writes into extents of its own, so pieces that stayed where they are would hold
 * nearly empty extents, and many. What is kept of one shuffle of one batch is therefore copied into
 * one run of bytes, several of them in an extent, and given up as a whole. Batches leave windows in
 * the order in which they came, so extents empty in order too. Beyond half of the tasks' region,
 * and where no extent is free, it goes to one file of the run.
 *
 *      batch 12: │ map 0 → reduce 0 │ map 0 → reduce 1 │ map 1 → reduce 0 │ …    8n bytes each
 *
 * One writer: the driver. @module */
import type { BlockArena } from '../blocks/block-arena.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import { SharedStore, freeShared, readShared } from '../blocks/shared-store.ts';
import { present } from '../core/assert.ts';

/** `[map partition][reduce partition]` */
export type Pieces = readonly (readonly (SharedBytes | null)[])[];

export interface WrittenShuffle {
  readonly pieces: Pieces;
  /** What all pieces are parts of, when they are packed; `null` when there are none. */
  readonly whole?: SharedBytes | null;
}

/** Of extents, in the arena's table: the one number between receivers' and tasks'. */
const DRIVER_OWNER = (1 << 20) - 1;
const ALIGNMENT_BYTES = 8;
const ARENA_SHARE_MAX = 1 / 2;

export class PieceKeeper {
  readonly #arena: BlockArena;
  readonly #store: SharedStore;
  /** Of what is packed and in the arena. */
  #arenaBytes = 0;

  constructor(arena: BlockArena, spillDirectory: string) {
    this.#arena = arena;
    this.#store = new SharedStore(arena, DRIVER_OWNER, spillDirectory);
  }

  /** Packs the pieces of a shuffle; those given are freed. No task may be reading them. */
  keep({ pieces }: WrittenShuffle): WrittenShuffle {
    const all = pieces.flat().filter((piece) => piece !== null);
    const offsets = new Map<SharedBytes, number>();
    let totalBytes = 0;
    for (const piece of all) {
      offsets.set(piece, totalBytes);
      totalBytes += Math.ceil(piece.lengthBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    }
    if (totalBytes === 0) return { pieces, whole: null };
    const packed = Buffer.alloc(totalBytes);
    for (const [piece, at] of offsets) packed.set(readShared(this.#arena, piece), at);
    const whole = this.#mayTake(totalBytes) ? this.#store.write(packed) : this.#store.spill(packed);
    if (whole.kind === 'arena') this.#arenaBytes += totalBytes;
    for (const piece of all) freeShared(this.#arena, piece);
    const moved = (piece: SharedBytes): SharedBytes => {
      const at = present(offsets.get(piece), 'the place of a piece');
      const { lengthBytes } = piece;
      return { ...whole, offsetBytes: whole.offsetBytes + at, lengthBytes };
    };
    const rows = pieces.map((row) => row.map((piece) => (piece === null ? null : moved(piece))));
    return { pieces: rows, whole };
  }

  /** Gives up the pieces of a shuffle, packed or not. No task may be reading them. */
  free({ pieces, whole }: WrittenShuffle): void {
    const parts = whole === undefined ? pieces.flat() : [whole];
    for (const part of parts) if (part !== null) freeShared(this.#arena, part);
    if (whole?.kind === 'arena') this.#arenaBytes -= whole.lengthBytes;
  }

  #mayTake(bytes: number): boolean {
    const { extentBytes, extentCount, receiverExtents } = this.#arena.handle;
    const regionBytes = (extentCount - receiverExtents) * extentBytes;
    return this.#arenaBytes + bytes <= regionBytes * ARENA_SHARE_MAX;
  }
}
