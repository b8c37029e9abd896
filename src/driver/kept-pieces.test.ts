/** @module */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BlockArena } from '../blocks/block-arena.ts';
import type { SharedBytes } from '../blocks/block-ref.ts';
import { SharedStore, readShared } from '../blocks/shared-store.ts';
import { PieceKeeper } from './kept-pieces.ts';
import type { Pieces } from './kept-pieces.ts';

const EXTENT = 64 * 1024;

let directory: string;
let arena: BlockArena;
let keeper: PieceKeeper;
let tasks: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kept-pieces-'));
  arena = BlockArena.create(64 * EXTENT); // 16 extents for tasks
  keeper = new PieceKeeper(arena, directory);
  tasks = 0;
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Pieces as a task writes them, in extents of its own. */
function written(...row: readonly (Uint8Array | null)[]): (SharedBytes | null)[] {
  tasks += 1;
  const store = new SharedStore(arena, 100 + tasks, directory);
  const pieces = row.map((bytes) => (bytes === null ? null : store.write(bytes)));
  store.close();
  return pieces;
}

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

function shown(pieces: Pieces): (string | null)[][] {
  return pieces.map((row) =>
    row.map((piece) => {
      if (piece === null) return null;
      const all = readShared(arena, piece);
      expect(new Set(all).size).toBe(1);
      return `${all.byteLength} × ${all[0]}`;
    }),
  );
}

it('packs the pieces of many tasks into one extent, byte for byte', () => {
  const pieces = Array.from({ length: 12 }, (_, n) => written(bytes(3, n), null, bytes(9, n + 50)));
  expect(arena.usedExtents('tasks')).toBe(12);
  const kept = keeper.keep({ pieces });
  expect(arena.usedExtents('tasks')).toBe(1);
  expect(shown(kept.pieces)).toEqual(
    Array.from({ length: 12 }, (_, n) => [`3 × ${n}`, null, `9 × ${n + 50}`]),
  );
  for (const piece of kept.pieces.flat()) expect((piece?.offsetBytes ?? 0) % 8).toBe(0);
  const next = keeper.keep({ pieces: [written(bytes(5, 99))] });
  keeper.free(kept);
  expect([arena.usedExtents('tasks'), shown(next.pieces)]).toEqual([1, [['5 × 99']]]);
});

it('keeps nothing of a shuffle without records', () => {
  const kept = keeper.keep({ pieces: [[null, null]] });
  expect([kept, arena.usedExtents('tasks')]).toEqual([{ pieces: [[null, null]], whole: null }, 0]);
  keeper.free(kept);
});

it('writes to one file what would fill more than half of the tasks’ memory, and removes it', () => {
  const batches = Array.from({ length: 12 }, (_, n) =>
    keeper.keep({ pieces: [written(bytes(EXTENT - 8, n)), written(bytes(8, n + 50))] }),
  );
  expect(arena.usedExtents('tasks')).toBe(8);
  expect(readdirSync(directory)).toHaveLength(4);
  expect(batches.map(({ pieces }) => shown(pieces).flat())).toEqual(
    batches.map((_, n) => [`${EXTENT - 8} × ${n}`, `8 × ${n + 50}`]),
  );
  for (const kept of batches.splice(0, 10)) keeper.free(kept);
  expect(readdirSync(directory)).toHaveLength(2);
  const again = keeper.keep({ pieces: [written(bytes(8, 7))] });
  expect(again.whole?.kind).toBe('arena');
});

it('frees pieces that were never packed', () => {
  const pieces = [written(bytes(3, 1), bytes(4, 2))];
  keeper.free({ pieces });
  expect(arena.usedExtents('tasks')).toBe(0);
});
